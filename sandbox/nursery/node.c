// The root of functions in JavaScript: /usr/bin/node, the libraries that it is linked with and the runtime, nothing else of
// /usr. And the arguments that hold V8 to the memory of its sandbox.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nursery.h"

#define NODE "/usr/bin/node"
#define LISTING_BYTES 16384
#define LIBRARIES_MAX 64
#define MIB (1ull << 20)
// What a worker takes before the function has anything: code, stacks, the runtime.
#define NODE_OWN_MIB 48
#define HEAP_MIB_MIN 16

static const char *loader(void) {
    static const char *const paths[] = {"/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"};
    for (size_t index = 0; index < sizeof paths / sizeof paths[0]; index++) {
        if (access(paths[index], X_OK) == 0) return paths[index];
    }
    return NULL;
}

// What the loader says it would load, as ldd prints it; false when it cannot be asked.
static bool list_libraries(const char *program, char *text, size_t size) {
    const char *path = loader();
    int ends[2];
    if (path == NULL || pipe2(ends, O_CLOEXEC) != 0) return false;
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        dup2(nursery.null, STDERR_FILENO);
        char *const arguments[] = {(char *)path, "--list", (char *)program, NULL};
        char *const environment[] = {"LANG=C.UTF-8", NULL};
        execve(path, arguments, environment);
        _exit(127);
    }
    close(ends[1]);
    size_t length = 0;
    ssize_t count;
    while (child > 0 && length + 1 < size && (count = read(ends[0], text + length, size - 1 - length)) != 0) {
        if (count < 0 && errno != EINTR) break;
        if (count > 0) length += (size_t)count;
    }
    close(ends[0]);
    text[length] = 0;
    int status = 1;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    // A listing that filled the buffer may have been cut.
    return child > 0 && status == 0 && length + 1 < size;
}

// The file itself at its own place, whatever links lead to its folder on this host.
static bool provide(const char *root, const char *host) {
    char folder[PATH_MAX], resolved[PATH_MAX], place[PATH_BYTES], target[2 * PATH_BYTES];
    snprintf(folder, sizeof folder, "%s", host);
    char *slash = strrchr(folder, '/');
    if (slash == NULL || slash == folder) return false;
    *slash = 0;
    if (realpath(folder, resolved) == NULL) return false;
    int length = snprintf(place, sizeof place, "%.400s/%.100s", resolved, slash + 1);
    if (length < 0 || (size_t)length >= sizeof place) return false;
    snprintf(target, sizeof target, "%s%s", root, place);
    // A folder that is bound as a whole, on hosts whose /lib is no link, has it already.
    if (access(target, F_OK) == 0) return true;
    make_folders_above(root, place);
    write_file(root, place + 1, "");
    bind_read_only(root, host, place + 1);
    return true;
}

static bool provide_libraries(const char *root) {
    static char listing[LISTING_BYTES];
    if (!list_libraries(NODE, listing, sizeof listing)) return false;
    int count = 0;
    char *rest = NULL;
    // `name => /path (address)`, or `/path (address)` for the loader; what has no path lies in the kernel.
    for (char *line = strtok_r(listing, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
        char *path = strchr(line, '/');
        if (path == NULL) continue;
        char *end = strchr(path, ' ');
        if (end != NULL) *end = 0;
        if (++count > LIBRARIES_MAX || !provide(root, path)) return false;
    }
    return true;
}

static bool has_suffix(const char *name, const char *suffix) {
    size_t length = strlen(name), end = strlen(suffix);
    return length > end && strcmp(name + length - end, suffix) == 0;
}

static bool is_javascript(const char *name) {
    return has_suffix(name, ".js") || has_suffix(name, ".mjs") || strcmp(name, "package.json") == 0;
}

bool make_node_template(const char *root) {
    char source[PATH_BYTES + 64], path[PATH_BYTES + 96];
    snprintf(source, sizeof source, "%s/node", nursery.runtimes);
    snprintf(path, sizeof path, "%s/apus/main.js", source);
    if (access(path, R_OK) != 0 || access(NODE, X_OK) != 0) return false;
    copy_runtime(root, source, is_javascript);
    // Where `import "apus"` of every bundle is looked for, last.
    make_folder(root, "node_modules");
    snprintf(path, sizeof path, "%s/node_modules/apus", root);
    if (symlink("/runtime/apus", path) != 0) die("cannot make %s: %s", path, strerror(errno));
    make_folder(root, "etc/ssl");
    copy_file(root, "/etc/ssl/openssl.cnf", "etc/ssl/openssl.cnf");
    // Debian keeps some of Node's own modules here.
    if (access("/usr/share/nodejs", F_OK) == 0) {
        make_folders_above(root, "/usr/share/nodejs/");
        bind_read_only(root, "/usr/share/nodejs", "usr/share/nodejs");
    }
    return provide(root, NODE) && provide_libraries(root);
}

// V8 would size its heap by the machine's memory. Kept below the sandbox's it collects in time, and what does not fit ends with
// V8's own words about it; the quarter that is left is for what lies outside of its heap, buffers above all.
// No code is made at run time where the sandbox's memory may not become executable, as it may not for hostile code: V8 then
// interprets, and has no WebAssembly.
void set_node_arguments(char **arguments, uint64_t memory_bytes, bool is_hostile) {
    static char old_space[64], new_space[64];
    uint64_t memory = memory_bytes / MIB;
    uint64_t heap = memory > NODE_OWN_MIB ? (memory - NODE_OWN_MIB) / 4 * 3 : 0;
    uint64_t young = memory / 64;
    if (heap < HEAP_MIB_MIN) heap = HEAP_MIB_MIN;
    if (young < 1) young = 1;
    if (young > 16) young = 16;
    snprintf(old_space, sizeof old_space, "--max-old-space-size=%llu", (unsigned long long)heap);
    snprintf(new_space, sizeof new_space, "--max-semi-space-size=%llu", (unsigned long long)young);
    const char *const words[] = {NODE, old_space, new_space, "--v8-pool-size=2", "--no-deprecation"};
    size_t count = sizeof words / sizeof words[0];
    memcpy(arguments, words, sizeof words);
    if (is_hostile) {
        arguments[count++] = "--jitless";
        arguments[count++] = "--no-expose-wasm";
    }
    arguments[count++] = "/runtime/apus/main.js";
    arguments[count] = NULL;
}
