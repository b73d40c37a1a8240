// Calls: from an INVOKE frame to a line for the server, and who waits for which answer.
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "mcp.h"

#define EVENT_BYTES ((size_t)KEY_BYTES + ATTRIBUTES_BYTES + DATA_BYTES)

static struct call calls[CALLS_MAX];
static uint32_t call_count;
static uint64_t last_id = 1;
static int silent_calls;

void heard(void) { silent_calls = 0; }

void make_calls(uint32_t count) {
    call_count = count + SPARE_CALLS;
    for (uint32_t index = 0; index < call_count; index++) {
        // Address space only: pages are taken as events need them.
        void *memory = mmap(NULL, EVENT_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) violation("no address space for events");
        calls[index].data = memory;
    }
}

static struct call *find(uint64_t stream) {
    for (uint32_t index = 0; index < call_count; index++) {
        struct call *of = &calls[index];
        if (of->state != CALL_FREE && of->state != CALL_LEFT && of->stream == stream) return of;
    }
    return NULL;
}

struct call *find_call(uint64_t id) {
    for (uint32_t index = 0; index < call_count; index++) {
        if (calls[index].state == CALL_WRITTEN && calls[index].id == id) return &calls[index];
    }
    return NULL;
}

struct call *only_call(void) {
    struct call *only = NULL;
    for (uint32_t index = 0; index < call_count; index++) {
        if (calls[index].state != CALL_WRITTEN) continue;
        if (only != NULL) return NULL;
        only = &calls[index];
    }
    return only;
}

bool is_idle(void) {
    for (uint32_t index = 0; index < call_count; index++) {
        if (calls[index].state != CALL_FREE && calls[index].state != CALL_LEFT) return false;
    }
    return true;
}

static bool any_left(void) {
    for (uint32_t index = 0; index < call_count; index++) {
        if (calls[index].state == CALL_LEFT) return true;
    }
    return false;
}

void answered(struct call *of) { of->state = CALL_FREE; }

static void fail(struct call *of, int class, const char *code, const char *message) {
    send_error(of->stream, class, code, message, NULL, 0);
    of->state = CALL_FREE;
}

void fail_all(const char *message) {
    for (uint32_t index = 0; index < call_count; index++) {
        struct call *of = &calls[index];
        if (of->state == CALL_LEFT) of->state = CALL_FREE;
        else if (of->state != CALL_FREE) fail(of, RETRYABLE, "function_failed", message);
    }
}

// Where members can be put into an object, behind its bracket.
struct place {
    const char *at;
    bool is_empty;
};
static struct place params_place, meta_place;

static struct place place_in(const struct json *object) {
    struct json json = *object;
    while (json.at < json.end && strchr(" \t\r\n", *json.at) != NULL && *json.at != 0) json.at++;
    return (struct place){object->at, json.at < json.end && *json.at == '}'};
}

// Puts what our own requests say of themselves into the caller's. There is room: an event's data is smaller than its memory.
static void add_meta(struct call *of) {
    char text[1024 + CAPABILITIES_BYTES], own[512 + CAPABILITIES_BYTES];
    int length;
    if (own_meta[0] == 0) return;
    bool has_any = of->capabilities.bytes > 0;
    snprintf(own, sizeof own, "%s,\"io.modelcontextprotocol/clientCapabilities\":%.*s", own_meta,
             has_any ? (int)of->capabilities.bytes : 2, has_any ? of->capabilities.at : "{}");
    if (meta_place.at != NULL) {
        length = snprintf(text, sizeof text, "%s%s", own, meta_place.is_empty ? "" : ",");
    } else if (params_place.at != NULL) {
        length = snprintf(text, sizeof text, "\"_meta\":{%s}%s", own, params_place.is_empty ? "" : ",");
    } else {
        length = snprintf(text, sizeof text, "\"params\":{\"_meta\":{%s}},", own);
    }
    const char *start = (const char *)of->data + of->before;
    const char *at = meta_place.at != NULL ? meta_place.at : params_place.at != NULL ? params_place.at : start;
    size_t offset = (size_t)(at - start);
    memmove(of->data + of->before + offset + length, of->data + of->before + offset, of->length - offset);
    memcpy(of->data + of->before + offset, text, (size_t)length);
    of->length += (uint32_t)length;
}

// The caller's progressToken, where params._meta has one.
static void find_token(struct call *of, struct json params) {
    char name[NAME_BYTES];
    bool is_first = true;
    if (!json_enter(&params, '{')) return;
    params_place = place_in(&params);
    while (json_next(&params, &is_first, '{', name, sizeof name)) {
        if (strcmp(name, "_meta") != 0) {
            json_skip(&params);
            continue;
        }
        bool is_first_of_meta = true;
        if (!json_enter(&params, '{')) return;
        meta_place = place_in(&params);
        while (json_next(&params, &is_first_of_meta, '{', name, sizeof name)) {
            struct json before = params;
            json_skip(&params);
            if (params.is_wrong || strcmp(name, "progressToken") != 0) continue;
            while (before.at < params.at && strchr(" \t\r\n", *before.at) != NULL) before.at++;
            size_t bytes = (size_t)(params.at - before.at);
            if (bytes == 0 || bytes > sizeof of->token) continue;
            memcpy(of->token, before.at, bytes);
            of->token_bytes = (uint32_t)bytes;
        }
    }
}

// What is ours of the data stands before the request: it is read, and the line goes on behind it.
static bool take_own(struct call *of, struct json *json, struct span *into) {
    *into = value_of(json);
    while (json->at < json->end && strchr(" \t\r\n", *json->at) != NULL && *json->at != 0) json->at++;
    if (json->is_wrong || into->bytes == 0 || into->at[0] != '{' || json->at == json->end || *json->at != ',') return false;
    const char *start = (const char *)of->data + of->before;
    uint32_t bytes = (uint32_t)(json->at + 1 - start);
    of->before += bytes;
    of->length -= bytes;
    return true;
}

// An object with `method`, and neither `id` nor `jsonrpc`: these are ours. Returns why not, else NULL.
static const char *check_request(struct call *of) {
    const char *text = (const char *)of->data + of->before;
    struct json json = {.at = text, .end = text + of->length};
    char name[NAME_BYTES], method[TEXT_BYTES];
    bool is_first = true, has_method = false;
    static const char wanted[] = "the data must be a JSON object with `method` and, where there are any, `params`";
    if (!json_enter(&json, '{')) return wanted;
    // The line goes on behind our own members.
    of->before += (uint32_t)(json.at - text);
    of->length -= (uint32_t)(json.at - text);
    while (json_next(&json, &is_first, '{', name, sizeof name)) {
        struct span *own = strcmp(name, "capabilities") == 0 ? &of->capabilities : strcmp(name, "answers") == 0 ? &of->answers : NULL;
        if (own != NULL) {
            if (has_method || !take_own(of, &json, own) || of->capabilities.bytes > CAPABILITIES_BYTES)
                return "`capabilities` and `answers` are objects and stand before the others";
        } else if (strcmp(name, "method") == 0) {
            has_method = json_string(&json, method, sizeof method);
        } else if (strcmp(name, "params") == 0) {
            find_token(of, json);
            json_skip(&json);
        } else {
            return "the data may hold `method` and `params` alone";
        }
    }
    while (json.at < json.end && strchr(" \t\r\n", *json.at) != NULL && *json.at != 0) json.at++;
    return json.is_wrong || json.at != json.end || !has_method ? wanted : NULL;
}

static void begin(struct call *of) {
    params_place = meta_place = (struct place){NULL, false};
    const char *wrong = check_request(of);
    if (wrong != NULL) return fail(of, PERMANENT, "function_rejected", wrong);
    add_meta(of);
    // The last byte of the data closes the object; behind it the line ends. No byte of it may end the line before.
    for (uint32_t index = 0; index < of->before + of->length; index++) {
        if (of->data[index] == '\n' || of->data[index] == '\r') of->data[index] = ' ';
    }
    of->data[of->before + of->length++] = '\n';
    of->id = ++last_id;
    of->head_bytes = (uint32_t)snprintf(of->head, sizeof of->head, "{\"jsonrpc\":\"2.0\",\"id\":%llu,",
                                        (unsigned long long)of->id);
    of->state = CALL_WRITING;
}

void invoke(uint64_t stream, int flags, const unsigned char *payload, uint32_t length) {
    if ((flags & ~MORE) != 0) violation("an INVOKE with a flag that was not agreed on");
    if (stream == 0 || find(stream) != NULL) violation("an INVOKE on a stream that is in use");
    if (length < INVOKE_HEAD_BYTES + BLOCK_HEAD_BYTES) violation("an INVOKE without an event");
    const unsigned char *block = payload + INVOKE_HEAD_BYTES;
    uint32_t key = get32(block + 8), attributes = get32(block + 12), data = get32(block + 16);
    if (key == NO_KEY) key = 0;
    if (key > KEY_BYTES || attributes > ATTRIBUTES_BYTES || data > RESULT_BYTES) violation("an event over its bounds");
    uint32_t present = length - INVOKE_HEAD_BYTES - BLOCK_HEAD_BYTES;
    if (present < key + attributes || present - key - attributes > data)
        violation("an INVOKE whose lengths contradict each other");
    uint32_t received = present - key - attributes;
    if (received < data && (flags & MORE) == 0) violation("an INVOKE whose data is cut off");
    struct call *of = NULL;
    for (uint32_t index = 0; index < call_count && of == NULL; index++) {
        if (calls[index].state == CALL_FREE) of = &calls[index];
    }
    // Every place that is not a caller's holds a line that the server does not take.
    if (of == NULL) give_up("the MCP server reads nothing any more");
    unsigned char *memory = of->data;
    *of = (struct call){.state = CALL_RECEIVING, .stream = stream, .data = memory, .length = data};
    if (data >= DATA_BYTES) violation("an event over its bounds");
    memcpy(of->data, block + BLOCK_HEAD_BYTES + key + attributes, received);
    of->received = received;
    if (received == data) begin(of);
}

void receive_data(uint64_t stream, int flags, const unsigned char *payload, uint32_t length) {
    struct call *of = find(stream);
    if (of == NULL || of->state != CALL_RECEIVING) {
        // What was cancelled while its data was on the way.
        if (stream == 0) violation("DATA that belongs to nothing");
        return;
    }
    if (length > of->length - of->received) violation("more DATA than was announced");
    memcpy(of->data + of->received, payload, length);
    of->received += length;
    if ((flags & MORE) == 0 && of->received < of->length) violation("DATA that ends early");
    if (of->received == of->length) begin(of);
}

void cancel(uint64_t stream) {
    struct call *of = find(stream);
    // Answered already, or its answer is on the way.
    if (of == NULL || sending_stream() == stream) return;
    bool was_written = of->state == CALL_WRITTEN;
    bool is_begun = of->state == CALL_WRITING && of->written > 0, is_unread = of->state == CALL_WRITING && any_left();
    if (of->state == CALL_WRITTEN) {
        tell_server("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":%llu,"
                    "\"reason\":\"the caller has left\"}}\n",
                    (unsigned long long)of->id);
    }
    fail(of, RETRYABLE, "cancelled", "the call was cancelled");
    if (is_begun) of->state = CALL_LEFT;
    // The one before it was given up in the middle of its line, and all the time of this one has not sufficed to take the rest.
    if (was_written && ++silent_calls >= SILENT_CALLS) give_up("the MCP server does not answer any more");
    if (is_unread) give_up("the MCP server reads nothing any more");
}

struct call *next_to_write(void) {
    struct call *next = NULL;
    for (uint32_t index = 0; index < call_count; index++) {
        struct call *of = &calls[index];
        if (of->state != CALL_WRITING && of->state != CALL_LEFT) continue;
        if (next == NULL || of->id < next->id) next = of;
    }
    return next;
}

void wrote(struct call *of) {
    if (of->state == CALL_LEFT) {
        tell_server("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":%llu}}\n",
                    (unsigned long long)of->id);
        of->state = CALL_FREE;
    } else {
        of->state = CALL_WRITTEN;
    }
}

void report_progress(struct span token, double done, double total, const char *message) {
    for (uint32_t index = 0; index < call_count; index++) {
        const struct call *of = &calls[index];
        if (of->state != CALL_WRITTEN || of->token_bytes == 0 || of->token_bytes != token.bytes ||
            memcmp(of->token, token.at, token.bytes) != 0)
            continue;
        // Frames count in whole numbers: a share of one is told in thousandths.
        double scale = total > 0 && total <= 1 ? 1000 : 1;
        uint32_t bytes = (uint32_t)strlen(message);
        // Not worth waiting for.
        if (outgoing_room() < FRAME_BYTES) return;
        unsigned char *to = begin_frame(PROGRESS, 0, of->stream, 16 + bytes);
        put64(to, (uint64_t)(done * scale));
        put64(to + 8, (uint64_t)(total * scale));
        memcpy(to + 16, message, bytes);
        return;
    }
}
