// What INIT says, and the command that the handler names: found once, before the first event.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"

struct configuration configuration;
static char reason[HANDLER_BYTES + 1024];

static void read_trigger(struct json *json) {
    char name[64];
    bool is_first = true;
    uint32_t index = configuration.trigger_count;
    if (!json_enter(json, '{')) return;
    if (index >= TRIGGERS_MAX) {
        json->is_wrong = true;
        return;
    }
    while (json_next(json, &is_first, '{', name, sizeof name)) {
        if (strcmp(name, "name") == 0) {
            json_string(json, configuration.triggers[index].name, sizeof configuration.triggers[index].name);
        } else if (strcmp(name, "topic") == 0) {
            json_string(json, configuration.triggers[index].topic, sizeof configuration.triggers[index].topic);
        } else {
            json_skip(json);
        }
    }
    configuration.trigger_count++;
}

static void read_member(struct json *json, const char *name) {
    static const struct {
        const char *name;
        char *into;
        size_t bytes;
    } texts[] = {
        {"function", configuration.function, sizeof configuration.function},
        {"namespace", configuration.namespace, sizeof configuration.namespace},
        {"revision", configuration.revision, sizeof configuration.revision},
        {"path", configuration.path, sizeof configuration.path},
        {"handler", configuration.handler, sizeof configuration.handler},
    };
    for (size_t index = 0; index < sizeof texts / sizeof texts[0]; index++) {
        if (strcmp(texts[index].name, name) != 0) continue;
        json_string(json, texts[index].into, texts[index].bytes);
        return;
    }
    uint64_t number = 0;
    bool is_first = true;
    if (strcmp(name, "concurrency") == 0) {
        if (json_unsigned(json, &number)) configuration.concurrency = number > 0xFFFF ? 0xFFFF : (uint32_t)number;
    } else if (strcmp(name, "triggers") == 0) {
        if (!json_enter(json, '[')) return;
        while (json_next(json, &is_first, '[', NULL, 0)) read_trigger(json);
    } else {
        json_skip(json);
    }
}

static bool split_handler(void) {
    int count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(configuration.handler, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        if (count == WORDS_MAX) return false;
        configuration.words[count++] = word;
    }
    configuration.words[count] = NULL;
    return count > 0;
}

static bool is_file(const char *path) {
    struct stat about;
    return stat(path, &about) == 0 && S_ISREG(about.st_mode);
}

// A name with a slash is a path, relative to the bundle. Any other is a file of the bundle, or else a program on PATH.
static bool find_program(void) {
    const char *name = configuration.words[0];
    char *program = configuration.program;
    if (name == NULL) return false;
    snprintf(program, sizeof configuration.program, "%s%s", strchr(name, '/') == NULL ? "./" : "", name);
    if (strchr(name, '/') != NULL || is_file(program)) return is_file(program);
    const char *path = getenv("PATH");
    if (path == NULL || path[0] == 0) path = "/usr/bin:/bin";
    while (*path != 0) {
        int length = (int)strcspn(path, ":");
        if (length > 0 && length < 512) {
            snprintf(program, sizeof configuration.program, "%.*s/%s", length, path, name);
            if (is_file(program)) return true;
        }
        path += length;
        if (*path == ':') path++;
    }
    return false;
}

static const char *check_program(void) {
    const char *name = configuration.words[0], *program = configuration.program;
    if (access(program, X_OK) != 0) {
        snprintf(reason, sizeof reason, "'%s' may not be executed: chmod +x it before you deploy", name);
        return reason;
    }
    unsigned char start[4] = {0};
    int file = open(program, O_RDONLY | O_CLOEXEC);
    ssize_t length = file < 0 ? -1 : read(file, start, sizeof start);
    if (file >= 0) close(file);
    if (length < 0) {
        snprintf(reason, sizeof reason, "'%s' cannot be read: %s", name, strerror(errno));
        return reason;
    }
    if (length >= 2 && start[0] == '#' && start[1] == '!') return NULL;
    if (length == 4 && memcmp(start, "\177ELF", 4) == 0) return NULL;
    snprintf(reason, sizeof reason, "'%s' is no program and does not start with '#!', such as '#!/bin/sh'", name);
    return reason;
}

const char *load_configuration(const unsigned char *json, size_t length) {
    struct json cursor = {.at = (const char *)json, .end = (const char *)json + length};
    char name[64];
    bool is_first = true;
    configuration.concurrency = 1;
    if (!json_enter(&cursor, '{')) violation("INIT is no JSON object");
    while (json_next(&cursor, &is_first, '{', name, sizeof name)) read_member(&cursor, name);
    if (cursor.is_wrong) violation("INIT cannot be read");
    if (configuration.path[0] != 0 && chdir(configuration.path) != 0) {
        snprintf(reason, sizeof reason, "the function's folder %s cannot be entered: %s", configuration.path,
                 strerror(errno));
        return reason;
    }
    if (configuration.concurrency == 0 || configuration.concurrency > CONCURRENCY_MAX) {
        snprintf(reason, sizeof reason, "spec.concurrency is %u: with the runtime %s from 1 to %d are possible",
                 configuration.concurrency, runtime_name, CONCURRENCY_MAX);
        return reason;
    }
    if (!split_handler()) {
        snprintf(reason, sizeof reason, "spec.handler must be a command of 1 to %d words", WORDS_MAX);
        return reason;
    }
    if (!find_program()) {
        snprintf(reason, sizeof reason,
                 "the command '%s' is neither a file of the bundle nor a program on PATH (/usr/bin:/bin)",
                 configuration.words[0]);
        return reason;
    }
    const char *wrong = check_program();
    configuration.is_loaded = wrong == NULL;
    return wrong;
}
