// The MCP server: a child with a pipe to its standard input and one from its standard output. What it prints on its standard error is the
// worker's, and so a line of the function's log.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mcp.h"

#define SECRETS_BYTES (1u << 20)

extern char **environ;
static pid_t process;
static int in = -1, out = -1;
static char *line;
static size_t line_bytes, line_looked_at;
// The rest of a line that is too long.
static bool is_skipping;
static char control[CONTROL_BYTES];
static size_t control_first, control_last;

int to_server(void) { return in; }
int from_server(void) { return is_sending() ? -1 : out; }
bool server_has_ended(void) { return process == 0; }
void kill_everything(void) {
    if (process > 0) kill(-process, SIGKILL);
}

// Secrets become variables of the server's environment: programs that others wrote look for them there. Nobody but the sandbox sees it.
static void add_secrets(void) {
    struct stat about;
    if (!has_secrets || fstat(SECRETS, &about) != 0 || about.st_size <= 0 || about.st_size > (off_t)SECRETS_BYTES) return;
    const char *text = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, SECRETS, 0);
    if (text == MAP_FAILED) give_up("the secrets cannot be read: %s", strerror(errno));
    struct json json = {.at = text, .end = text + about.st_size};
    static char name[256], value[64 * 1024 + 1];
    bool is_first = true;
    if (json_enter(&json, '{')) {
        while (json_next(&json, &is_first, '{', name, sizeof name)) {
            if (json_string(&json, value, sizeof value)) setenv(name, value, 1);
        }
    }
    if (json.is_wrong) give_up("a secret does not fit a variable: it has more than 64 KiB, or a zero byte");
    memset(value, 0, sizeof value);
    munmap((void *)text, (size_t)about.st_size);
}

void start_server(void) {
    int theirs[2], ours[2];
    line = mmap(NULL, LINE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (line == MAP_FAILED) violation("no address space for a line");
    if (pipe2(theirs, O_CLOEXEC) != 0 || pipe2(ours, O_CLOEXEC) != 0) give_up("no pipes for the MCP server: %s", strerror(errno));
    in = theirs[1];
    out = ours[0];
    fcntl(in, F_SETFL, O_NONBLOCK);
    fcntl(out, F_SETFL, O_NONBLOCK);
    add_secrets();
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int error = posix_spawn_file_actions_init(&actions);
    if (error == 0) error = posix_spawnattr_init(&attributes);
    if (error == 0) error = posix_spawn_file_actions_adddup2(&actions, theirs[0], 0);
    if (error == 0) error = posix_spawn_file_actions_adddup2(&actions, ours[1], 1);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (error == 0) error = posix_spawn(&process, configuration.program, &actions, &attributes, configuration.words, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(theirs[0]);
    close(ours[1]);
    if (error != 0) {
        process = 0;
        give_up("'%.500s' could not be started: %s", configuration.words[0], strerror(error));
    }
}

void tell_server(const char *format, ...) {
    va_list arguments;
    if (control_first > 0) {
        memmove(control, control + control_first, control_last - control_first);
        control_last -= control_first;
        control_first = 0;
    }
    va_start(arguments, format);
    size_t room = sizeof control - control_last;
    int length = vsnprintf(control + control_last, room, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= room) give_up("the MCP server reads nothing any more");
    control_last += (size_t)length;
}

// What was begun is finished first: two lines may not mix.
static struct call *begun(void) {
    struct call *of = next_to_write();
    return of != NULL && of->written > 0 ? of : NULL;
}

bool wants_to_write(void) {
    return in >= 0 && (control_last > control_first || (handshake == HANDSHAKE_DONE && next_to_write() != NULL));
}

static bool write_control(void) {
    ssize_t count = write(in, control + control_first, control_last - control_first);
    if (count > 0) control_first += (size_t)count;
    return count > 0 || (count < 0 && errno == EINTR);
}

static bool write_call(struct call *of) {
    struct iovec parts[2];
    uint32_t behind = of->written > of->head_bytes ? of->written - of->head_bytes : 0;
    uint32_t head = of->written < of->head_bytes ? of->head_bytes - of->written : 0;
    parts[0] = (struct iovec){of->head + of->head_bytes - head, head};
    parts[1] = (struct iovec){of->data + of->before + behind, of->length - behind};
    ssize_t count = writev(in, parts, 2);
    if (count < 0) return errno == EINTR;
    of->written += (uint32_t)count;
    if (of->written == of->head_bytes + of->length) wrote(of);
    return count > 0;
}

void write_to_server(void) {
    bool goes_on = true;
    while (in >= 0 && goes_on) {
        struct call *of = handshake == HANDSHAKE_DONE ? begun() : NULL;
        if (of == NULL && control_last == control_first && handshake == HANDSHAKE_DONE) of = next_to_write();
        if (of != NULL) {
            goes_on = write_call(of);
        } else if (control_last > control_first) {
            goes_on = write_control();
        } else {
            return;
        }
    }
}

// Takes whole lines; one that is an answer stays where it is until it is sent.
static void take_lines(void) {
    while (!is_sending()) {
        char *end = memchr(line + line_looked_at, '\n', line_bytes - line_looked_at);
        if (end == NULL) {
            line_looked_at = line_bytes;
            break;
        }
        size_t length = (size_t)(end - line);
        if (!is_skipping) take_line(line, length);
        is_skipping = false;
        if (is_sending()) {
            // Its bytes must stay: the rest is looked at when it is gone.
            line_looked_at = length;
            return;
        }
        line_bytes -= length + 1;
        memmove(line, end + 1, line_bytes);
        line_looked_at = 0;
    }
    if (line_bytes == LINE_BYTES && !is_sending()) {
        if (!is_skipping) fail_all("the MCP server answered with a line over 4 MiB");
        is_skipping = true;
        line_bytes = line_looked_at = 0;
    }
}

void read_from_server(void) {
    if (out < 0 || is_sending()) return;
    // An answer was sent: its line goes.
    if (line_looked_at < line_bytes && line[line_looked_at] == '\n') {
        line_bytes -= line_looked_at + 1;
        memmove(line, line + line_looked_at + 1, line_bytes);
        line_looked_at = 0;
    }
    take_lines();
    if (is_sending() || out < 0) return;
    ssize_t count = read(out, line + line_bytes, LINE_BYTES - line_bytes);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) {
        close(out);
        out = -1;
        // One that says nothing any more is of no use; its end is told by the signal.
        return kill_everything();
    }
    line_bytes += (size_t)count;
    take_lines();
}

void reap_processes(void) {
    int status = 0;
    pid_t ended;
    while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
        if (ended != process) continue;
        process = 0;
        // What it wrote last is still in the pipe.
        for (int turn = 0; turn < 64 && out >= 0 && !is_sending(); turn++) read_from_server();
        const char *word = WIFSIGNALED(status) ? "signal" : "exit code";
        give_up("the MCP server ended with %s %d; its log says more", word,
                WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
}

// The end of its input asks it to leave; what it started, too, is gone with the sandbox.
void let_server_leave(void) {
    if (in >= 0) close(in);
    in = -1;
    struct pollfd polled = {.fd = out, .events = POLLIN};
    char rest[4096];
    for (int turn = 0; turn < 256 && out >= 0; turn++) {
        if (poll(&polled, 1, LEAVE_MILLISECONDS) <= 0) break;
        ssize_t count = read(out, rest, sizeof rest);
        if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) break;
    }
    kill_everything();
}
