// What a process says of its reply on descriptor 3: a line `name=value` for each attribute, as in
// `echo datacontenttype=application/json >&3`.
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "worker.h"

#define DEFAULT_TYPE "text/plain; charset=utf-8"
#define TYPE_NAME "datacontenttype"
#define HEADER_PREFIX "apus-http-"
#define HEADER_KIND 128

static bool is_name(const unsigned char *name, size_t length) {
    for (size_t index = 0; index < length; index++) {
        if (!((name[index] >= 'a' && name[index] <= 'z') || (name[index] >= '0' && name[index] <= '9'))) return false;
    }
    return length > 0 && length <= 255;
}

static bool is_value(const unsigned char *value, size_t length) {
    for (size_t index = 0; index < length; index++) {
        if (value[index] < 0x20 || value[index] == 0x7F) return false;
    }
    return length <= 0xFFFF;
}

// The last line of a name counts.
static void remove_attribute(struct reply *reply, const unsigned char *name, size_t name_bytes) {
    for (uint32_t at = 0; at < reply->attribute_bytes;) {
        unsigned char *each = reply->attributes + at;
        uint32_t all = 4u + each[0] + get16(each + 2);
        if (each[1] == 0 && each[0] == name_bytes && memcmp(each + 4, name, name_bytes) == 0) {
            memmove(each, each + all, reply->attribute_bytes - at - all);
            reply->attribute_bytes -= all;
            return;
        }
        at += all;
    }
}

static bool add_attribute(struct reply *reply, int kind, const unsigned char *name, size_t name_bytes,
                          const unsigned char *value, size_t value_bytes) {
    size_t all = 4 + name_bytes + value_bytes;
    if (all > sizeof reply->attributes - reply->attribute_bytes) return false;
    unsigned char *at = reply->attributes + reply->attribute_bytes;
    at[0] = (unsigned char)name_bytes;
    at[1] = (unsigned char)kind;
    put16(at + 2, (uint16_t)value_bytes);
    memcpy(at + 4, name, name_bytes);
    if (value_bytes > 0) memcpy(at + 4 + name_bytes, value, value_bytes);
    reply->attribute_bytes += (uint32_t)all;
    return true;
}

// `apus-http-status=404` and `apus-http-header-location=/x`: for the answer to an HTTP trigger. The server checks them.
static const char *read_header(struct reply *reply, const unsigned char *name, size_t name_bytes,
                               const unsigned char *value, size_t value_bytes) {
    static const char prefix[] = HEADER_PREFIX "header-";
    if (name_bytes > 255 || !is_value(value, value_bytes)) return "the value is too long or holds control characters";
    for (size_t index = 0; index < name_bytes; index++) {
        if (name[index] != '-' && !is_name(name + index, 1)) return "a header's name has lower-case letters, digits and '-'";
    }
    if (name_bytes > sizeof prefix - 1 && memcmp(name, prefix, sizeof prefix - 1) == 0) {
        name += sizeof prefix - 1;
        name_bytes -= sizeof prefix - 1;
    }
    return add_attribute(reply, HEADER_KIND, name, name_bytes, value, value_bytes) ? NULL
                                                                                   : "the attributes take too much room";
}

static const char *read_line(struct reply *reply, const unsigned char *line, size_t length) {
    const unsigned char *equals = memchr(line, '=', length);
    if (equals == NULL) return "expected name=value";
    size_t name_bytes = (size_t)(equals - line), value_bytes = length - name_bytes - 1;
    if (name_bytes > sizeof HEADER_PREFIX - 1 && memcmp(line, HEADER_PREFIX, sizeof HEADER_PREFIX - 1) == 0)
        return read_header(reply, line, name_bytes, equals + 1, value_bytes);
    if (!is_name(line, name_bytes)) return "a name has lower-case letters and digits only";
    if (!is_value(equals + 1, value_bytes)) return "the value is too long or holds control characters";
    if (name_bytes == 11 && memcmp(line, "specversion", 11) == 0) return "specversion is always 1.0";
    if (name_bytes == 12 && memcmp(line, "partitionkey", 12) == 0) {
        reply->has_key = true;
        reply->key = equals + 1;
        reply->key_bytes = (uint32_t)value_bytes;
        return NULL;
    }
    remove_attribute(reply, line, name_bytes);
    return add_attribute(reply, 0, line, name_bytes, equals + 1, value_bytes) ? NULL : "the attributes take too much room";
}

bool read_reply_lines(struct reply *reply, const unsigned char *text, uint32_t length, char *why, size_t why_bytes) {
    reply->attribute_bytes = 0;
    reply->has_key = false;
    // The first attribute, so that a line of the process replaces it.
    add_attribute(reply, 0, (const unsigned char *)TYPE_NAME, strlen(TYPE_NAME), (const unsigned char *)DEFAULT_TYPE,
                  strlen(DEFAULT_TYPE));
    uint32_t at = 0, number = 0;
    while (at < length) {
        const unsigned char *line = text + at, *end = memchr(line, '\n', length - at);
        size_t line_bytes = end == NULL ? length - at : (size_t)(end - line);
        at += (uint32_t)line_bytes + 1;
        number++;
        if (line_bytes > 0 && line[line_bytes - 1] == '\r') line_bytes--;
        if (line_bytes == 0) continue;
        const char *wrong = number >= ATTRIBUTES_MAX ? "more lines than a reply has attributes"
                                                    : read_line(reply, line, line_bytes);
        if (wrong == NULL) continue;
        snprintf(why, why_bytes, "line %u on descriptor 3 is no attribute of the reply: %s", number, wrong);
        return false;
    }
    return true;
}
