// What the server says: answers, progress, questions of its own. It is somebody else's program, so nothing that it says is trusted: a line
// that fits nothing is passed over, and a call that is never answered ends with its deadline.
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mcp.h"

#define RAW_ID_BYTES 128

enum handshake handshake;
bool has_list_changed;
const char *own_meta = "";

// The answer that is on its way, in the buffer of lines.
static struct {
    uint64_t stream;
    const char *text;
    uint32_t length, sent;
    bool has_begun;
} sending;

struct message {
    struct span id, result, error, params;
    uint64_t number;
    bool has_number, has_method;
    char method[NAME_BYTES];
};

bool is_sending(void) { return sending.stream != 0; }
uint64_t sending_stream(void) { return sending.stream; }

struct span value_of(struct json *json) {
    while (json->at < json->end && strchr(" \t\r\n", *json->at) != NULL && *json->at != 0) json->at++;
    const char *start = json->at;
    json_skip(json);
    return json->is_wrong ? (struct span){NULL, 0} : (struct span){start, (size_t)(json->at - start)};
}

static bool text_of(struct span value, char *into, size_t bytes) {
    struct json json = {.at = value.at, .end = value.at + value.bytes};
    into[0] = 0;
    if (value.bytes < 2 || value.at[0] != '"' || !json_string(&json, into, bytes)) into[0] = 0;
    return into[0] != 0;
}

static bool number_of(struct span value, double *into) {
    char text[40];
    if (value.bytes == 0 || value.bytes >= sizeof text) return false;
    memcpy(text, value.at, value.bytes);
    text[value.bytes] = 0;
    char *end = NULL;
    *into = strtod(text, &end);
    return *end == 0 && isfinite(*into) && *into >= 0 && *into < 1e15;
}

static bool read_message(struct message *message, const char *line, size_t length) {
    struct json json = {.at = line, .end = line + length};
    char name[NAME_BYTES];
    bool is_first = true;
    memset(message, 0, sizeof *message);
    if (length == 0 || line[0] != '{' || !json_enter(&json, '{')) return false;
    while (json_next(&json, &is_first, '{', name, sizeof name)) {
        struct span value = value_of(&json);
        if (json.is_wrong) return false;
        if (strcmp(name, "id") == 0) {
            struct json number = {.at = value.at, .end = value.at + value.bytes};
            message->id = value;
            message->has_number = json_unsigned(&number, &message->number) && number.at == number.end;
        } else if (strcmp(name, "method") == 0) {
            message->has_method = text_of(value, message->method, sizeof message->method);
            if (!message->has_method) return false;
        } else if (strcmp(name, "result") == 0) {
            message->result = value;
        } else if (strcmp(name, "error") == 0) {
            message->error = value;
        } else if (strcmp(name, "params") == 0) {
            message->params = value;
        }
    }
    return !json.is_wrong && json.at == json.end;
}

// The handshake.

#define CLIENT "{\"name\":\"apus\",\"version\":\"1\"}"
#define META "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/clientInfo\":" CLIENT
#define NOTHING ",\"io.modelcontextprotocol/clientCapabilities\":{}"
// Those whose client cannot be asked are refused for, one by one.
#define CAPABILITIES "{\"elicitation\":{\"form\":{},\"url\":{}},\"sampling\":{\"tools\":{}}}"

void begin_handshake(void) {
    handshake = HANDSHAKE_INITIALIZING;
    tell_server("{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\","
                "\"capabilities\":" CAPABILITIES ",\"clientInfo\":" CLIENT "}}\n");
}

static void discover(void) {
    handshake = HANDSHAKE_DISCOVERING;
    tell_server("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server/discover\",\"params\":{\"_meta\":{" META NOTHING "}}}\n");
}

static void take_handshake(const struct message *message) {
    uint64_t wanted = handshake == HANDSHAKE_INITIALIZING ? 0 : 1;
    if (!message->has_number || message->number != wanted) return;
    if (message->result.bytes > 0) {
        if (handshake == HANDSHAKE_INITIALIZING)
            tell_server("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
        // A server that shook hands refuses requests that say all this again.
        if (handshake == HANDSHAKE_DISCOVERING) own_meta = META;
        handshake = HANDSHAKE_DONE;
        return handshake_done();
    }
    // One that knows only revisions without a handshake says so with an error.
    if (handshake == HANDSHAKE_INITIALIZING) return discover();
    int shown = message->error.bytes > 500 ? 500 : (int)message->error.bytes;
    give_up("the MCP server takes neither `initialize` nor `server/discover`: %.*s", shown, message->error.at);
}

// Lines.

static void take_progress(struct span params) {
    struct json json = {.at = params.at, .end = params.at + params.bytes};
    struct span token = {NULL, 0}, done = token, total = token, message = token;
    char name[NAME_BYTES], text[TEXT_BYTES];
    bool is_first = true;
    if (params.bytes == 0 || !json_enter(&json, '{')) return;
    while (json_next(&json, &is_first, '{', name, sizeof name)) {
        struct span value = value_of(&json);
        if (json.is_wrong) return;
        if (strcmp(name, "progressToken") == 0) token = value;
        if (strcmp(name, "progress") == 0) done = value;
        if (strcmp(name, "total") == 0) total = value;
        if (strcmp(name, "message") == 0) message = value;
    }
    double count = 0, whole = 0;
    if (json.is_wrong || !number_of(done, &count)) return;
    if (!number_of(total, &whole)) whole = 0;
    text_of(message, text, sizeof text);
    report_progress(token, count, whole, text);
}

// A request of the server: we answer that we are there, and ask whoever calls what its client offers.
static void take_request(const struct message *message) {
    if (message->id.bytes > RAW_ID_BYTES || message->id.bytes == 0) return;
    // Without a handshake no server asks in this way.
    if (handshake == HANDSHAKE_DONE && own_meta[0] == 0 && take_question(message->id, message->method, message->params)) return;
    bool is_ping = strcmp(message->method, "ping") == 0;
    tell_server("{\"jsonrpc\":\"2.0\",\"id\":%.*s,%s}\n", (int)message->id.bytes, message->id.at,
                is_ping ? "\"result\":{}" : "\"error\":{\"code\":-32601,\"message\":\"nobody can be asked for this\"}");
}

static void tell_of_junk(const char *line, size_t length) {
    static int told;
    if (length == 0 || told >= JUNK_LINES) return;
    told++;
    fprintf(stderr, "apus: the MCP server printed a line that is no message: %.*s\n", length > 200 ? 200 : (int)length, line);
}

static bool is_change_of_a_list(const char *method) {
    return strcmp(method, "notifications/tools/list_changed") == 0 || strcmp(method, "notifications/prompts/list_changed") == 0 ||
           strcmp(method, "notifications/resources/list_changed") == 0;
}

void take_line(const char *line, size_t length) {
    struct message message;
    heard();
    while (length > 0 && (line[length - 1] == '\r' || line[length - 1] == ' ')) length--;
    if (!read_message(&message, line, length)) return tell_of_junk(line, length);
    if (message.has_method && message.id.bytes > 0) return take_request(&message);
    if (message.has_method) {
        if (strcmp(message.method, "notifications/progress") == 0) take_progress(message.params);
        if (is_change_of_a_list(message.method)) has_list_changed = true;
        return;
    }
    if (message.result.bytes == 0 && message.error.bytes == 0) return tell_of_junk(line, length);
    if (handshake != HANDSHAKE_DONE) return take_handshake(&message);
    struct call *of = message.has_number ? find_call(message.number) : NULL;
    // Late, twice, or made up.
    if (of == NULL) return;
    answer_with(of, line, length);
}

void answer_with(struct call *of, const char *text, size_t bytes) {
    sending.stream = of->stream;
    sending.text = text;
    sending.length = (uint32_t)bytes;
    sending.sent = 0;
    sending.has_begun = false;
    answered(of);
    send_answer();
}

// Sends what there is room for: the head of the event with the first part of the line, then the rest of it.
void send_answer(void) {
    static const unsigned char type[] = "\x0f\x00\x10\x00" "datacontenttypeapplication/json";
    static const unsigned char changed[] = "\x0b\x00\x04\x00" "listchangedtrue";
    while (sending.stream != 0 && outgoing_room() >= FRAME_BYTES) {
        uint32_t left = sending.length - sending.sent, before = 0, attributes = sizeof type - 1;
        if (has_list_changed) attributes += sizeof changed - 1;
        if (!sending.has_begun) before = BLOCK_HEAD_BYTES + attributes;
        uint32_t part = left < PAYLOAD_BYTES - before ? left : PAYLOAD_BYTES - before;
        int flags = part < left ? MORE : 0;
        unsigned char *to = begin_frame(sending.has_begun ? DATA : RESULT, flags, sending.stream, before + part);
        if (!sending.has_begun) {
            put64(to, 0);
            put32(to + 8, NO_KEY);
            put32(to + 12, attributes);
            put32(to + 16, sending.length);
            put32(to + 20, 0);
            memcpy(to + BLOCK_HEAD_BYTES, type, sizeof type - 1);
            if (has_list_changed) memcpy(to + BLOCK_HEAD_BYTES + sizeof type - 1, changed, sizeof changed - 1);
            has_list_changed = false;
            sending.has_begun = true;
        }
        memcpy(to + before, sending.text + sending.sent, part);
        sending.sent += part;
        if (flags == 0) sending.stream = 0;
    }
}
