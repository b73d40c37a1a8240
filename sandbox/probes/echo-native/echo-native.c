// A native worker in C that answers every event with its own data: speaks the worker protocol of docs/worker-protocol.md,
// and is the fastest worker there can be. With an argument it misbehaves, for tests of the server:
//
//   echo-native [MODE]
//
// Modes that answer: `echo` (default), `fail` every event, `reject` every event, `table` counts records, `slow MILLISECONDS`,
// `gate FILE`: not before there is such a file, `status NUMBER`: as an HTTP reply with that status, `whole`: a batch with an event whose
// data has `bad` in it fails as a whole, `shut`: takes one event and reads nothing after it.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    HELLO = 1, INIT, READY, CREDIT, DRAIN, PING, BYE, SLEEP, WAKE,
    INVOKE = 16, BATCH, DATA, RESULT, ERROR, ITEM_RESULT, CANCEL,
    PROGRESS = 32, LOG, EMIT, CALL, CALL_RESULT, INPUT_REQUEST, INPUT,
};
enum { MORE = 1, STREAM = 2, TABLE = 4, DESCRIPTOR = 8, FAILED = 16, ANSWER = 32 };
enum { HEADER = 24, INVOKE_HEAD = 40, BLOCK_HEAD = 24, FRAME_MAX = 256 * 1024, BUFFER = 2 * FRAME_MAX };

typedef struct __attribute__((packed)) {
    uint32_t length;
    uint8_t type, flags;
    uint16_t version;
    uint64_t stream;
    int64_t deadline;
} Header;

typedef struct __attribute__((packed)) {
    int64_t timestamp;
    uint32_t key, attributes, data, flags;
} Block;

static const char *mode = "echo";
static int argument;
static const char *word;
static long credit = 1;
static unsigned char in[BUFFER], out[BUFFER];
static size_t filled, gathered;
static char attribute[64];
static uint32_t attribute_size;
static long records;

static void write_all(const void *bytes, size_t count) {
    for (size_t at = 0; at < count;) {
        ssize_t n = write(4, (const char *)bytes + at, count - at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) _exit(0);
        at += (size_t)n;
    }
}

static void flush(void) {
    write_all(out, gathered);
    gathered = 0;
}

static unsigned char *room(size_t count) {
    if (gathered + count > sizeof out) flush();
    return out + gathered;
}

static void send_frame(int type, int flags, uint64_t stream, const void *payload, uint32_t length) {
    unsigned char *to = room(HEADER + length);
    Header header = {length, (uint8_t)type, (uint8_t)flags, 1, stream, 0};
    memcpy(to, &header, HEADER);
    if (length) memcpy(to + HEADER, payload, length);
    gathered += HEADER + length;
}

static int scope;

static void send_detailed_error(int type, uint64_t stream, int class, const char *code, const char *message, const char *detail) {
    unsigned char payload[512];
    uint16_t code_size = (uint16_t)strlen(code);
    uint32_t message_size = (uint32_t)strlen(message), detail_size = (uint32_t)strlen(detail), delay = 0xFFFFFFFF;
    memset(payload, 0, 16);
    payload[0] = (unsigned char)class;
    payload[1] = (unsigned char)scope;
    memcpy(payload + 2, &code_size, 2);
    memcpy(payload + 4, &message_size, 4);
    memcpy(payload + 8, &detail_size, 4);
    memcpy(payload + 12, &delay, 4);
    memcpy(payload + 16, code, code_size);
    memcpy(payload + 16 + code_size, message, message_size);
    memcpy(payload + 16 + code_size + message_size, detail, detail_size);
    send_frame(type, type == ITEM_RESULT ? FAILED : 0, stream, payload, 16 + code_size + message_size + detail_size);
}

static void send_error(int type, uint64_t stream, int class, const char *code, const char *message) {
    send_detailed_error(type, stream, class, code, message, "");
}

static void build_attribute(void) {
    const char *name = "datacontenttype", *value = "application/octet-stream";
    uint16_t size = (uint16_t)strlen(value);
    attribute[0] = (char)strlen(name);
    attribute[1] = 0;
    memcpy(attribute + 2, &size, 2);
    memcpy(attribute + 4, name, strlen(name));
    memcpy(attribute + 4 + strlen(name), value, size);
    attribute_size = 4 + (uint32_t)strlen(name) + size;
}

// The head of a result block with data of this size.
static uint32_t result_head(unsigned char *to, uint32_t data) {
    Block block = {0, 0xFFFFFFFF, attribute_size, data, 0};
    memcpy(to, &block, BLOCK_HEAD);
    memcpy(to + BLOCK_HEAD, attribute, attribute_size);
    return BLOCK_HEAD + attribute_size;
}

// A header among the attributes of a block.
static uint32_t put_header(unsigned char *to, const char *name, const char *value) {
    uint16_t size = (uint16_t)strlen(value);
    to[0] = (unsigned char)strlen(name);
    to[1] = 128;
    memcpy(to + 2, &size, 2);
    memcpy(to + 4, name, strlen(name));
    memcpy(to + 4 + strlen(name), value, size);
    return 4 + (uint32_t)strlen(name) + size;
}

static void answer_status(int type, uint64_t stream) {
    unsigned char payload[256];
    uint32_t size = put_header(payload + BLOCK_HEAD, "apus-http-status", word);
    size += put_header(payload + BLOCK_HEAD + size, "Retry-After", "3600");
    Block block = {0, 0xFFFFFFFF, size, 0, 1};
    memcpy(payload, &block, BLOCK_HEAD);
    send_frame(type, 0, stream, payload, BLOCK_HEAD + size);
}

static void answer(int type, uint64_t stream, const unsigned char *data, uint32_t size) {
    if (!strcmp(mode, "status")) return answer_status(type, stream);
    if (!strcmp(mode, "fail")) return send_error(type == RESULT ? ERROR : type, stream, 0, "function_failed", "it fails by design");
    if (!strcmp(mode, "reject")) return send_error(type == RESULT ? ERROR : type, stream, 1, "function_rejected", "it rejects by design");
    if (HEADER + BLOCK_HEAD + attribute_size + size <= FRAME_MAX) {
        uint32_t length = BLOCK_HEAD + attribute_size + size;
        unsigned char *to = room(HEADER + length);
        Header header = {length, (uint8_t)type, 0, 1, stream, 0};
        memcpy(to, &header, HEADER);
        result_head(to + HEADER, size);
        memcpy(to + HEADER + BLOCK_HEAD + attribute_size, data, size);
        gathered += HEADER + length;
        return;
    }
    unsigned char head[BLOCK_HEAD + sizeof attribute];
    send_frame(type, MORE, stream, head, result_head(head, size));
    for (uint32_t at = 0; at < size;) {
        uint32_t part = size - at > 64 * 1024 ? 64 * 1024 : size - at;
        send_frame(DATA, at + part < size ? MORE : 0, stream, data + at, part);
        at += part;
    }
}

// An event whose data is still coming.
static struct Arriving {
    uint64_t stream;
    unsigned char *data;
    uint32_t filled, size;
    int type;
} arriving[64];

static void arrive(uint64_t stream, const unsigned char *data, uint32_t present, uint32_t size, int type) {
    for (size_t i = 0; i < sizeof arriving / sizeof *arriving; i++) {
        if (arriving[i].data) continue;
        arriving[i] = (struct Arriving){stream, malloc(size ? size : 1), present, size, type};
        if (!arriving[i].data) _exit(1);
        memcpy(arriving[i].data, data, present);
        return;
    }
    _exit(70);
}

static void more_data(const Header *header, const unsigned char *data) {
    for (size_t i = 0; i < sizeof arriving / sizeof *arriving; i++) {
        struct Arriving *a = &arriving[i];
        if (!a->data || a->stream != header->stream) continue;
        if (a->filled + header->length > a->size) _exit(70);
        memcpy(a->data + a->filled, data, header->length);
        a->filled += header->length;
        if (header->flags & MORE) return;
        answer(a->type, a->stream, a->data, a->size);
        free(a->data);
        a->data = 0;
        return;
    }
    _exit(70);
}

// Data that came as a sealed memory descriptor.
static void from_descriptor(uint64_t stream, uint32_t size) {
    uint64_t tag;
    struct iovec part = {&tag, sizeof tag};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    if (recvmsg(5, &message, MSG_CMSG_CLOEXEC) != sizeof tag || tag != stream) _exit(71);
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    int memory;
    if (!head || head->cmsg_type != SCM_RIGHTS) _exit(72);
    memcpy(&memory, CMSG_DATA(head), sizeof memory);
    int seals = fcntl(memory, F_GET_SEALS);
    // Newer kernels seal it against being executed, too.
    const int sealed = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
    if (seals < 0 || (seals & sealed) != sealed) _exit(73);
    struct stat status;
    if (fstat(memory, &status) || status.st_size != (off_t)size) _exit(74);
    unsigned char *data = mmap(0, size, PROT_READ, MAP_SHARED, memory, 0);
    if (data == MAP_FAILED) _exit(75);
    if (mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0) != MAP_FAILED) _exit(76);
    answer(RESULT, stream, data, size);
    munmap(data, size);
    close(memory);
}

static void pause_milliseconds(int count) {
    struct timespec time = {count / 1000, count % 1000 * 1000000L};
    nanosleep(&time, 0);
}

static void invoke(const Header *header, const unsigned char *payload, uint32_t length, int type, uint64_t stream) {
    if (length < INVOKE_HEAD + BLOCK_HEAD) _exit(70);
    Block block;
    memcpy(&block, payload + INVOKE_HEAD, BLOCK_HEAD);
    uint32_t key = block.key == 0xFFFFFFFF ? 0 : block.key, at = INVOKE_HEAD + BLOCK_HEAD + key + block.attributes;
    if (at > length) _exit(70);
    if (!strcmp(mode, "slow")) pause_milliseconds(argument);
    while (!strcmp(mode, "gate") && access(word, F_OK) != 0) pause_milliseconds(1);
    if (header->flags & TABLE) records++;
    if (header->flags & DESCRIPTOR) return from_descriptor(stream, block.data);
    if (length - at < block.data) {
        if (!(header->flags & MORE)) _exit(70);
        return arrive(stream, payload + at, length - at, block.data, type);
    }
    if (!strcmp(mode, "table") && !(header->flags & TABLE)) {
        char text[32];
        int count = snprintf(text, sizeof text, "%ld", records);
        return answer(type, stream, (unsigned char *)text, (uint32_t)count);
    }
    answer(type, stream, payload + at, block.data);
}

static void batch(const Header *header, const unsigned char *payload) {
    uint32_t count, at = 8;
    memcpy(&count, payload, 4);
    int fails = !strcmp(mode, "whole") && memmem(payload, header->length, "bad", 3) != 0;
    scope = fails;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t stream;
        uint32_t length;
        if (at + 16 > header->length) _exit(70);
        memcpy(&stream, payload + at, 8);
        memcpy(&length, payload + at + 8, 4);
        if (at + 16 + length > header->length) _exit(70);
        if (fails) {
            send_error(ITEM_RESULT, stream, 0, "function_failed", "the batch fails by design");
        } else {
            invoke(header, payload + at + 16, length, ITEM_RESULT, stream);
        }
        at += 16 + length;
    }
    scope = 0;
}

#include "misbehave.h"

static void handle(const Header *header, const unsigned char *payload) {
    uint32_t count;
    if (misbehave(header, payload)) return;
    switch (header->type) {
    case INIT: {
        char *found = memmem(payload, header->length, "\"concurrency\":", 14);
        if (found) credit = strtol(found + 14, 0, 10);
        count = (uint32_t)credit;
        send_frame(READY, 0, 0, 0, 0);
        send_frame(CREDIT, 0, 0, &count, 4);
        break;
    }
    case INVOKE:
        if (!strcmp(mode, "shut")) close(3);
        invoke(header, payload, header->length, RESULT, header->stream);
        if (strcmp(mode, "shut")) break;
        flush();
        pause_milliseconds(300);
        _exit(0);
    case BATCH: batch(header, payload); break;
    case DATA: more_data(header, payload); break;
    case PING: send_frame(PING, ANSWER, 0, 0, 0); break;
    case SLEEP:
    case WAKE: send_frame(header->type, ANSWER, 0, 0, 0); break;
    case DRAIN:
        send_frame(BYE, 0, 0, 0, 0);
        flush();
        exit(0);
    default: break;
    }
}

int main(int count, char **values) {
    if (count > 1) mode = values[1];
    if (count > 2) argument = atoi(word = values[2]);
    build_attribute();
    begin_badly();
    const char *name = "echo-native";
    unsigned char hello[64] = {1, 0, 1, 0, 1 | 2 | 4 | 8, 0, 0, 0};
    if (!strcmp(mode, "chunks") || !strcmp(mode, "inherited")) hello[4] = 2 | 4 | 8;
    if (!strcmp(mode, "future")) hello[0] = hello[2] = 9;
    uint16_t size = (uint16_t)strlen(name);
    memcpy(hello + 8, &size, 2);
    memcpy(hello + 10, name, size);
    send_frame(HELLO, 0, 0, hello, 10u + size);
    flush();
    for (;;) {
        ssize_t n = read(3, in + filled, sizeof in - filled);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return 0;
        filled += (size_t)n;
        size_t at = 0;
        while (filled - at >= HEADER) {
            Header header;
            memcpy(&header, in + at, HEADER);
            if (header.length > FRAME_MAX - HEADER || header.version != 1) return 70;
            if (filled - at < HEADER + header.length) break;
            handle(&header, in + at + HEADER);
            at += HEADER + header.length;
        }
        flush();
        if (at) memmove(in, in + at, filled -= at);
    }
}
