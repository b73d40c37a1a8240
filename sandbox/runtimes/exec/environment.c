// The variables of one process: what the worker has from the manifest, and what this event brings.
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "worker.h"

#define VARIABLES_MAX 768
// Key and attributes at their bounds, with names and a copy of the trace.
#define TEXT_BYTES (KEY_BYTES + ATTRIBUTES_BYTES + ATTRIBUTES_MAX * 32 + 8192)
#define HEADER_KIND 128
#define TRACE_BYTES_MAX 1024u

extern char **environ;

static char *variables[VARIABLES_MAX + 1];
static size_t count;
static char text[TEXT_BYTES];
static size_t used;
static bool is_full;

// `NAME=` and a value that may not hold a zero byte; such a variable is left out.
static void add(const char *prefix, const char *name, size_t name_bytes, const unsigned char *value, size_t value_bytes) {
    if (memchr(value, 0, value_bytes) != NULL) return;
    size_t prefix_bytes = strlen(prefix), all = prefix_bytes + name_bytes + 1 + value_bytes + 1;
    if (count == VARIABLES_MAX || all > sizeof text - used) {
        is_full = true;
        return;
    }
    char *at = text + used;
    memcpy(at, prefix, prefix_bytes);
    for (size_t index = 0; index < name_bytes; index++) {
        char letter = name[index] == '-' ? '_' : name[index];
        at[prefix_bytes + index] = letter >= 'a' && letter <= 'z' ? (char)(letter - 'a' + 'A') : letter;
    }
    at[prefix_bytes + name_bytes] = '=';
    if (value_bytes > 0) memcpy(at + prefix_bytes + name_bytes + 1, value, value_bytes);
    at[all - 1] = 0;
    variables[count++] = at;
    used += all;
}

static void add_text(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add_text(const char *name, const char *format, ...) {
    char value[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(value, sizeof value, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof value) return;
    add("", name, strlen(name), (const unsigned char *)value, (size_t)length);
}

// A shell can read nothing else; names of CloudEvents have only lower-case letters and digits.
static bool is_name(const char *name, size_t length) {
    for (size_t index = 0; index < length; index++) {
        char letter = name[index];
        bool is_good = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                       (letter >= '0' && letter <= '9') || letter == '_';
        if (!is_good) return false;
    }
    return length > 0;
}

static bool starts_with(const char *name, size_t length, const char *prefix) {
    return length > strlen(prefix) && memcmp(name, prefix, strlen(prefix)) == 0;
}

// A header of a record is nobody's variable, but those of a request are: `-` becomes `_`. Never as HTTP_*, which programs
// take for settings (HTTP_PROXY).
static void add_header(const char *name, size_t name_bytes, const unsigned char *value, size_t value_bytes,
                       bool is_request) {
    for (size_t index = 0; index < name_bytes; index++) {
        if (name[index] != '-' && !is_name(name + index, 1)) return;
    }
    if (starts_with(name, name_bytes, "apus-http-")) {
        add("", name, name_bytes, value, value_bytes);
    } else if (is_request && name_bytes > 0) {
        add("APUS_HTTP_HEADER_", name, name_bytes, value, value_bytes);
    }
}

static bool is_request(const struct invocation *of) {
    const unsigned char *at = of->input + of->key, *end = at + of->attributes;
    for (; end - at >= 4; at += 4 + at[0] + get16(at + 2)) {
        if (at[1] == HEADER_KIND && at[0] == 16 && memcmp(at + 4, "apus-http-method", 16) == 0) return true;
    }
    return false;
}

static bool is_named(const char *name, size_t name_bytes, const char *wanted) {
    return name_bytes == strlen(wanted) && memcmp(name, wanted, name_bytes) == 0;
}

// The header is the last hop of the trace, this attempt where it is recorded; the attribute says where the trace began, and
// counts as the parent only where there is no header.
static void add_trace(const struct invocation *of) {
    const unsigned char *parent = NULL, *state = NULL;
    size_t parent_bytes = 0, state_bytes = 0;
    bool is_hop = false;
    const unsigned char *at = of->input + of->key, *end = at + of->attributes;
    for (; end - at >= 4; at += 4 + at[0] + get16(at + 2)) {
        const char *name = (const char *)at + 4;
        const unsigned char *value = at + 4 + at[0];
        size_t bytes = get16(at + 2);
        bool is_header = at[1] == HEADER_KIND;
        if (bytes > TRACE_BYTES_MAX) continue;
        if (is_named(name, at[0], "traceparent") && (is_header || !is_hop)) {
            parent = value, parent_bytes = bytes, is_hop = is_header;
        } else if (is_header && is_named(name, at[0], "tracestate")) {
            state = value, state_bytes = bytes;
        }
    }
    if (parent != NULL) add("", "TRACEPARENT", 11, parent, parent_bytes);
    if (parent != NULL && state != NULL) add("", "TRACESTATE", 10, state, state_bytes);
}

static void add_attributes(const struct invocation *of) {
    bool has_request = is_request(of);
    const unsigned char *at = of->input + of->key, *end = at + of->attributes;
    while (end - at >= 4) {
        size_t name_bytes = at[0], value_bytes = get16(at + 2);
        int kind = at[1];
        const char *name = (const char *)at + 4;
        const unsigned char *value = at + 4 + name_bytes;
        at = value + value_bytes;
        if (kind == HEADER_KIND) add_header(name, name_bytes, value, value_bytes, has_request);
        if (kind == HEADER_KIND || !is_name(name, name_bytes)) continue;
        // The key is the record's own, whatever an attribute says.
        if (of->has_key && is_named(name, name_bytes, "partitionkey")) continue;
        add("CE_", name, name_bytes, value, value_bytes);
    }
}

char **environment_for(const struct invocation *of) {
    count = used = 0;
    is_full = false;
    for (char **each = environ; *each != NULL && count < VARIABLES_MAX; each++) {
        if (strncmp(*each, "CE_", 3) != 0 && strncmp(*each, "APUS_", 5) != 0) variables[count++] = *each;
    }
    add_text("CE_SPECVERSION", "1.0");
    if (of->has_key) add("CE_", "partitionkey", 12, of->input, of->key);
    add_attributes(of);
    add_trace(of);
    add_text("APUS_FUNCTION", "%s", configuration.function);
    add_text("APUS_NAMESPACE", "%s", configuration.namespace);
    add_text("APUS_REVISION", "%s", configuration.revision);
    add_text("APUS_INVOCATION", "%016" PRIx64 "%016" PRIx64, of->id[0], of->id[1]);
    add_text("APUS_ATTEMPT", "%" PRIu32, of->attempt);
    if (has_secrets) add_text("APUS_SECRETS_FD", "%d", SECRETS);
    if (of->deadline > 0) add_text("APUS_DEADLINE", "%" PRId64, of->deadline / 1000000);
    if (of->trigger < configuration.trigger_count) {
        add_text("APUS_TRIGGER", "%s", configuration.triggers[of->trigger].name);
        add_text("APUS_TOPIC", "%s", configuration.triggers[of->trigger].topic);
        add_text("APUS_PARTITION", "%" PRIu32, of->partition);
        add_text("APUS_OFFSET", "%" PRId64, of->offset);
        if ((of->flags & 1) != 0) add_text("APUS_REPLAY", "%s", "true");
    }
    variables[count] = NULL;
    return is_full ? NULL : variables;
}
