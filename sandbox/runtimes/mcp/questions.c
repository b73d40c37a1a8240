// Questions: a server with a handshake asks in the middle of a call and waits for the answer. Nobody waits here for a person: the call is given
// up, the question is its result, and when the call is made again with the answer, the server gets it as soon as it asks the same.
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "mcp.h"

static char text[QUESTION_BYTES + 1024];

// The value of a member of an object.
static struct span member(struct span object, const char *wanted) {
    struct json json = {.at = object.at, .end = object.at + object.bytes};
    char name[NAME_BYTES];
    bool is_first = true;
    if (object.bytes == 0 || !json_enter(&json, '{')) return (struct span){NULL, 0};
    while (json_next(&json, &is_first, '{', name, sizeof name)) {
        struct span value = value_of(&json);
        if (json.is_wrong) break;
        if (strcmp(name, wanted) == 0) return value;
    }
    return (struct span){NULL, 0};
}

static bool has(struct span object, const char *name) { return member(object, name).bytes > 0; }

static bool says(struct span object, const char *name, const char *wanted) {
    struct span value = member(object, name);
    return value.bytes == strlen(wanted) && memcmp(value.at, wanted, value.bytes) == 0;
}

static bool can_ask(const struct call *of, const char *method, struct span params) {
    if (strcmp(method, "sampling/createMessage") == 0) {
        struct span sampling = member(of->capabilities, "sampling");
        return sampling.bytes > 0 && (!has(params, "tools") || has(sampling, "tools"));
    }
    struct span elicitation = member(of->capabilities, "elicitation");
    if (strcmp(method, "elicitation/create") != 0 || elicitation.bytes == 0) return false;
    if (says(params, "mode", "\"url\"")) return has(elicitation, "url");
    return has(elicitation, "form") || !has(elicitation, "url");
}

static uint64_t hash(uint64_t from, const char *at, size_t bytes) {
    for (size_t index = 0; index < bytes; index++) from = (from ^ (unsigned char)at[index]) * 0x100000001B3u;
    return from;
}

// A question is known by what it says, and by how often it was asked: no answer is one to another question.
static void name_question(struct call *of, const char *method, struct span params, char *name, size_t bytes) {
    uint64_t digest = hash(hash(0xCBF29CE484222325u, method, strlen(method) + 1), params.at, params.bytes);
    int number = 1;
    for (uint32_t index = 0; index < of->asked_count; index++) number += of->asked[index] == digest;
    of->asked[of->asked_count++] = digest;
    snprintf(name, bytes, "%016llx-%d", (unsigned long long)digest, number);
}

static void tell(struct span id, const char *member, struct span value) {
    tell_server("{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"%s\":%.*s}\n", (int)id.bytes, id.at, member, (int)value.bytes, value.at);
}

static void tell_error(struct span id, const char *message) {
    tell_server("{\"jsonrpc\":\"2.0\",\"id\":%.*s,\"error\":{\"code\":-32603,\"message\":\"%s\"}}\n", (int)id.bytes, id.at, message);
}

bool take_question(struct span id, const char *method, struct span params) {
    static const struct span nothing = {"{}", 2};
    struct call *of = only_call();
    if (params.bytes == 0) params = nothing;
    if (of == NULL || of->asked_count == QUESTIONS_MAX || params.bytes > QUESTION_BYTES) return false;
    if (!can_ask(of, method, params)) return false;
    char name[NAME_BYTES];
    name_question(of, method, params, name, sizeof name);
    struct span answer = member(of->answers, name);
    if (answer.bytes > 0) {
        if (says(answer, "error", "true")) tell_error(id, "the client of whoever calls could not answer");
        else if (answer.bytes > QUESTION_BYTES) tell_error(id, "the answer is too large");
        else tell(id, "result", answer);
        return true;
    }
    int bytes = snprintf(text, sizeof text,
                         "{\"result\":{\"resultType\":\"input_required\",\"inputRequests\":{\"%s\":{\"method\":\"%s\",\"params\":%.*s}}},"
                         "\"again\":true}",
                         name, method, (int)params.bytes, params.at);
    tell_server("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":%llu,"
                "\"reason\":\"the question is passed on\"}}\n",
                (unsigned long long)of->id);
    tell_error(id, "the question is passed on, and the call made again with its answer");
    answer_with(of, text, (size_t)bytes);
    return true;
}
