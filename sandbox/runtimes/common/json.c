// A reader of JSON that builds nothing: it walks, and copies the strings and numbers it is asked for.
#include <string.h>

#include "common.h"

#define DEPTH_MAX 64

static int wrong(struct json *json) {
    json->is_wrong = true;
    json->at = json->end;
    return 0;
}

static int peek(struct json *json) {
    while (json->at < json->end && strchr(" \t\r\n", *json->at) != NULL && *json->at != 0) json->at++;
    return json->at < json->end ? (unsigned char)*json->at : wrong(json);
}

static bool take(struct json *json, char wanted) {
    if (peek(json) != (unsigned char)wanted) return false;
    json->at++;
    return true;
}

bool json_enter(struct json *json, char bracket) {
    if (take(json, bracket)) return true;
    json_skip(json);
    return false;
}

bool json_next(struct json *json, bool *is_first, char bracket, char *name, size_t name_bytes) {
    if (take(json, bracket == '{' ? '}' : ']') || json->is_wrong) return false;
    if (!*is_first && !take(json, ',')) return wrong(json);
    *is_first = false;
    if (bracket == '[') return true;
    if (peek(json) != '"' || !json_string(json, name, name_bytes) || !take(json, ':')) return wrong(json);
    return true;
}

static int hexadecimal(struct json *json) {
    int value = 0;
    if (json->end - json->at < 4) return wrong(json), -1;
    for (int count = 0; count < 4; count++) {
        char digit = *json->at++;
        int part = digit >= '0' && digit <= '9'   ? digit - '0'
                   : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
                   : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
                                                  : -1;
        if (part < 0) return wrong(json), -1;
        value = value * 16 + part;
    }
    return value;
}

static uint32_t escaped(struct json *json) {
    char kind = json->at < json->end ? *json->at++ : 0;
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *found = kind == 0 ? NULL : strchr(from, kind);
    if (found != NULL) return (uint32_t)to[found - from];
    if (kind != 'u') return (uint32_t)wrong(json);
    int high = hexadecimal(json);
    if (high < 0xD800 || high > 0xDFFF) return high < 0 ? 0 : (uint32_t)high;
    if (high > 0xDBFF || json->end - json->at < 2 || json->at[0] != '\\' || json->at[1] != 'u')
        return (uint32_t)wrong(json);
    json->at += 2;
    int low = hexadecimal(json);
    if (low < 0xDC00 || low > 0xDFFF) return (uint32_t)wrong(json);
    return 0x10000u + ((uint32_t)(high - 0xD800) << 10) + (uint32_t)(low - 0xDC00);
}

static size_t encode(uint32_t scalar, char bytes[4]) {
    if (scalar < 0x80) return bytes[0] = (char)scalar, 1;
    if (scalar < 0x800) {
        bytes[0] = (char)(0xC0 | scalar >> 6);
        bytes[1] = (char)(0x80 | (scalar & 0x3F));
        return 2;
    }
    if (scalar < 0x10000) {
        bytes[0] = (char)(0xE0 | scalar >> 12);
        bytes[1] = (char)(0x80 | (scalar >> 6 & 0x3F));
        bytes[2] = (char)(0x80 | (scalar & 0x3F));
        return 3;
    }
    bytes[0] = (char)(0xF0 | scalar >> 18);
    bytes[1] = (char)(0x80 | (scalar >> 12 & 0x3F));
    bytes[2] = (char)(0x80 | (scalar >> 6 & 0x3F));
    bytes[3] = (char)(0x80 | (scalar & 0x3F));
    return 4;
}

// Text that does not fit, or holds a zero byte, is read to its end and is wrong.
bool json_string(struct json *json, char *into, size_t bytes) {
    if (!take(json, '"')) return json_skip(json), false;
    size_t length = 0;
    bool fits = true;
    while (json->at < json->end && *json->at != '"') {
        char piece[4];
        size_t count = 1;
        piece[0] = *json->at++;
        if (piece[0] == '\\') count = encode(escaped(json), piece);
        fits = fits && piece[0] != 0 && length + count < bytes;
        if (!fits) continue;
        memcpy(into + length, piece, count);
        length += count;
    }
    if (json->at == json->end || !fits) return wrong(json);
    json->at++;
    into[length] = 0;
    return true;
}

bool json_unsigned(struct json *json, uint64_t *into) {
    int digit = peek(json);
    if (digit < '0' || digit > '9') return json_skip(json), false;
    uint64_t value = 0;
    for (; json->at < json->end && *json->at >= '0' && *json->at <= '9'; json->at++) {
        if (value > UINT64_MAX / 10 - 1) return wrong(json);
        value = value * 10 + (uint64_t)(*json->at - '0');
    }
    *into = value;
    return true;
}

static void skip_string(struct json *json) {
    json->at++;
    while (json->at < json->end && *json->at != '"') json->at += *json->at == '\\' ? 2 : 1;
    if (json->at >= json->end) {
        wrong(json);
    } else {
        json->at++;
    }
}

void json_skip(struct json *json) {
    int depth = 0;
    do {
        int next = peek(json);
        if (json->is_wrong) return;
        if (next == 0) {
            wrong(json);
        } else if (next == '"') {
            skip_string(json);
        } else if (next == '{' || next == '[') {
            if (++depth > DEPTH_MAX) wrong(json);
            else json->at++;
        } else if (next == '}' || next == ']') {
            if (--depth < 0) wrong(json);
            else json->at++;
        } else if (next == ',' || next == ':') {
            if (depth == 0) wrong(json);
            else json->at++;
        } else {
            while (json->at < json->end && *json->at != 0 && strchr(" \t\r\n,:]}[{\"", *json->at) == NULL) json->at++;
        }
    } while (depth > 0 && !json->is_wrong);
}
