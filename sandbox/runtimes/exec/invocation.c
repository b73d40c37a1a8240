// One attempt: its event as it arrives, and its answer as it leaves. The process in between is in process.c.
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "worker.h"

#define INPUT_BYTES ((size_t)KEY_BYTES + ATTRIBUTES_BYTES + RESULT_BYTES)
#define MEMORY_KEPT_BYTES (256u * 1024)

struct invocation invocations[CONCURRENCY_MAX];
static uint32_t invocation_count;
static struct reply reply;

static unsigned char *take_memory(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) violation("no address space for events");
    return memory;
}

void make_invocations(uint32_t count) {
    invocation_count = count;
    for (uint32_t index = 0; index < count; index++) {
        // Address space only: pages are taken as an event or a result needs them, and given back behind a large one.
        invocations[index].input = take_memory(INPUT_BYTES);
        invocations[index].output = take_memory(RESULT_BYTES + 1);
        invocations[index].output_room = RESULT_BYTES + 1;
        invocations[index].reply_text = take_memory(ATTRIBUTES_BYTES + 1);
        invocations[index].in = invocations[index].out = invocations[index].errors = invocations[index].reply = -1;
    }
}

static struct invocation *find(uint64_t stream) {
    for (uint32_t index = 0; index < invocation_count; index++) {
        if (invocations[index].state != INVOCATION_FREE && invocations[index].stream == stream)
            return &invocations[index];
    }
    return NULL;
}

static struct invocation *take_free(void) {
    for (uint32_t index = 0; index < invocation_count; index++) {
        if (invocations[index].state == INVOCATION_FREE) return &invocations[index];
    }
    return NULL;
}

bool is_idle(void) {
    for (uint32_t index = 0; index < invocation_count; index++) {
        if (invocations[index].state != INVOCATION_FREE) return false;
    }
    return true;
}

void fail_invocation(struct invocation *of, int class, const char *code, const char *format, ...) {
    of->is_failure = true;
    of->failure_class = class;
    of->failure_code = code;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(of->failure_message, sizeof of->failure_message, format, arguments);
    va_end(arguments);
    of->state = INVOCATION_ANSWERING;
}

static void check_attributes(const unsigned char *at, uint32_t bytes) {
    const unsigned char *end = at + bytes;
    uint32_t count = 0;
    while (at < end) {
        if (end - at < 4) violation("an attribute is cut off");
        size_t all = 4u + at[0] + get16(at + 2);
        if (at[0] == 0 || (size_t)(end - at) < all || ++count > ATTRIBUTES_MAX) violation("an attribute is malformed");
        at += all;
    }
}

static void begin(struct invocation *of) {
    if (of->is_cancelled) {
        fail_invocation(of, RETRYABLE, "cancelled", "the invocation was cancelled before its process started");
    } else {
        start_process(of);
    }
}

void invoke(uint64_t stream, int flags, int64_t deadline, const unsigned char *payload, uint32_t length) {
    if ((flags & ~(MORE | TABLE)) != 0) violation("an INVOKE with a flag that was not agreed on");
    if (stream == 0 || find(stream) != NULL) violation("an INVOKE on a stream that is in use");
    if (length < INVOKE_HEAD_BYTES + BLOCK_HEAD_BYTES) violation("an INVOKE without an event");
    struct invocation *of = take_free();
    if (of == NULL) violation("more INVOKE frames than credit");
    const unsigned char *block = payload + INVOKE_HEAD_BYTES;
    uint32_t key = get32(block + 8), attributes = get32(block + 12), data = get32(block + 16), kinds = get32(block + 20);
    bool has_key = key != NO_KEY;
    if (!has_key) key = 0;
    if (key > KEY_BYTES || attributes > ATTRIBUTES_BYTES || data > RESULT_BYTES) violation("an event over its bounds");
    uint32_t present = length - INVOKE_HEAD_BYTES - BLOCK_HEAD_BYTES;
    if (present < key + attributes || present - key - attributes > data || (kinds & ~NULL_DATA) != 0 ||
        ((kinds & NULL_DATA) != 0 && data != 0)) {
        violation("an INVOKE whose lengths contradict each other");
    }
    uint32_t received = present - key - attributes;
    if (received < data && (flags & MORE) == 0) violation("an INVOKE whose data is cut off");
    unsigned char *input = of->input, *output = of->output, *reply_text = of->reply_text;
    uint32_t output_room = of->output_room;
    memset(of, 0, sizeof *of);
    of->input = input;
    of->output = output;
    of->output_room = output_room;
    of->reply_text = reply_text;
    of->in = of->out = of->errors = of->reply = -1;
    of->stream = stream;
    of->deadline = deadline;
    of->attempt = get32(payload);
    of->trigger = get32(payload + 4);
    of->partition = get32(payload + 8);
    of->flags = get32(payload + 12);
    of->offset = (int64_t)get64(payload + 16);
    of->id[0] = get64(payload + 24);
    of->id[1] = get64(payload + 32);
    of->has_key = has_key;
    of->key = key;
    of->attributes = attributes;
    of->data = data;
    of->received = received;
    memcpy(of->input, block + BLOCK_HEAD_BYTES, present);
    check_attributes(of->input + key, attributes);
    of->state = INVOCATION_RECEIVING;
    if ((flags & TABLE) != 0) {
        fail_invocation(of, PERMANENT, "function_rejected", "a process for each event cannot hold a table");
    } else if ((flags & MORE) == 0) {
        begin(of);
    }
}

void receive_data(uint64_t stream, int flags, const unsigned char *payload, uint32_t length) {
    if ((flags & ~MORE) != 0) violation("a DATA frame with an unknown flag");
    struct invocation *of = find(stream);
    if (of == NULL || of->state != INVOCATION_RECEIVING) violation("a DATA frame that nothing waits for");
    if (length > of->data - of->received) violation("more data than was announced");
    if (length > 0) memcpy(of->input + of->key + of->attributes + of->received, payload, length);
    of->received += length;
    if ((flags & MORE) != 0) return;
    if (of->received != of->data) violation("less data than was announced");
    begin(of);
}

// One that was answered already is nothing.
void cancel(uint64_t stream) {
    struct invocation *of = find(stream);
    if (of == NULL || of->is_cancelled) return;
    of->is_cancelled = true;
    if (of->state == INVOCATION_RUNNING) ask_to_end(of, BY_CANCEL);
}

static void release(struct invocation *of) {
    if (of->data > MEMORY_KEPT_BYTES) madvise(of->input, INPUT_BYTES, MADV_DONTNEED);
    if (of->output_bytes > MEMORY_KEPT_BYTES) madvise(of->output, of->output_room, MADV_DONTNEED);
    if (of->output_room > RESULT_BYTES + 1) {
        // It becomes smaller where it is, which does not fail.
        mremap(of->output, of->output_room, RESULT_BYTES + 1, 0);
        of->output_room = RESULT_BYTES + 1;
    }
    of->state = INVOCATION_FREE;
}

static void send_failure(struct invocation *of) {
    static char detail[TAIL_BYTES];
    size_t count = of->tail_total < TAIL_BYTES ? (size_t)of->tail_total : TAIL_BYTES;
    for (size_t index = 0; index < count; index++) {
        detail[index] = of->tail[(of->tail_total - count + index) % TAIL_BYTES];
    }
    send_error(of->stream, of->failure_class, of->failure_code, of->failure_message, detail, count);
    release(of);
}

// Key, attributes and the length of the data; null data is "nothing", for a process that wrote nothing at all.
static void send_result_head(struct invocation *of) {
    bool is_nothing = of->output_bytes == 0 && of->reply_bytes == 0;
    uint32_t key = reply.has_key ? reply.key_bytes : 0, attributes = is_nothing ? 0 : reply.attribute_bytes;
    uint32_t head = BLOCK_HEAD_BYTES + key + attributes;
    bool fits = of->output_bytes <= PAYLOAD_BYTES - head;
    unsigned char *to = begin_frame(RESULT, fits ? 0 : MORE, of->stream, head + (fits ? of->output_bytes : 0));
    put64(to, 0);
    put32(to + 8, reply.has_key ? key : NO_KEY);
    put32(to + 12, attributes);
    put32(to + 16, of->output_bytes);
    put32(to + 20, is_nothing ? NULL_DATA : 0);
    if (key > 0) memcpy(to + BLOCK_HEAD_BYTES, reply.key, key);
    if (attributes > 0) memcpy(to + BLOCK_HEAD_BYTES + key, reply.attributes, attributes);
    if (fits && of->output_bytes > 0) memcpy(to + head, of->output, of->output_bytes);
    of->has_begun = true;
    of->sent = fits ? of->output_bytes : 0;
    if (fits) release(of);
}

static void send_next_part(struct invocation *of) {
    uint32_t left = of->output_bytes - of->sent, part = left < OUTPUT_READ_BYTES ? left : OUTPUT_READ_BYTES;
    send_frame(DATA, part < left ? MORE : 0, of->stream, of->output + of->sent, part);
    of->sent += part;
    if (of->sent == of->output_bytes) release(of);
}

void answer(struct invocation *of) {
    while (of->state == INVOCATION_ANSWERING && outgoing_room() >= FRAME_BYTES) {
        if (of->is_failure) {
            send_failure(of);
        } else if (of->has_begun) {
            send_next_part(of);
        } else {
            char why[256];
            if (read_reply_lines(&reply, of->reply_text, of->reply_bytes, why, sizeof why)) {
                send_result_head(of);
            } else {
                fail_invocation(of, RETRYABLE, "function_failed", "%s", why);
            }
        }
    }
}
