// The process of one attempt: started in a group of its own with four pipes, fed, read, ended.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "worker.h"

// What the function's exit codes mean, from sysexits.h; every other code but 0 is a failed attempt.
#define EXIT_REJECT 65
#define EXIT_RETRY 75
#define LEVEL_STDERR 5

static int64_t microseconds(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void close_pipe(int *descriptor) {
    if (*descriptor >= 0) close(*descriptor);
    *descriptor = -1;
}

// The worker's end does not block; the process's does.
static bool make_pipe(int *ours, int *theirs, bool is_ours_to_write) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    *ours = ends[is_ours_to_write ? 1 : 0];
    *theirs = ends[is_ours_to_write ? 0 : 1];
    return fcntl(*ours, F_SETFL, O_NONBLOCK) == 0;
}

// Returns 0, or the error number.
// A description of its own: what one process reads does not move the place where the next one starts.
static int open_secrets(void) {
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", SECRETS);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static int spawn(struct invocation *of, const int theirs[4], char **environment) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    if (posix_spawn_file_actions_init(&actions) != 0) return ENOMEM;
    if (posix_spawnattr_init(&attributes) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return ENOMEM;
    }
    int error = 0;
    for (int target = 0; target < 4 && error == 0; target++)
        error = posix_spawn_file_actions_adddup2(&actions, theirs[target], target);
    int secrets = has_secrets ? open_secrets() : -1;
    if (has_secrets && secrets < 0) error = errno;
    if (secrets >= 0 && error == 0) error = posix_spawn_file_actions_adddup2(&actions, secrets, SECRETS);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (error == 0)
        error = posix_spawn(&of->process, configuration.program, &actions, &attributes, configuration.words, environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    close_pipe(&secrets);
    return error;
}

static const char *hint(int error) {
    switch (error) {
    case EAGAIN: return "; spec.resources.processes bounds how many may run at once";
    case ENOENT: return "; the interpreter in its first line may be missing";
    case E2BIG: return "; the event's key and attributes do not fit a process's environment";
    case EMFILE: return "; lower spec.concurrency";
    default: return "";
    }
}

void start_process(struct invocation *of) {
    int theirs[4] = {-1, -1, -1, -1};
    of->process = 0;
    char **environment = environment_for(of);
    int error = environment == NULL ? E2BIG : 0;
    if (error == 0 && !(make_pipe(&of->in, &theirs[0], true) && make_pipe(&of->out, &theirs[1], false) &&
                        make_pipe(&of->errors, &theirs[2], false) && make_pipe(&of->reply, &theirs[3], false))) {
        error = errno;
    }
    if (error == 0) error = spawn(of, theirs, environment);
    for (int index = 0; index < 4; index++) close_pipe(&theirs[index]);
    if (error != 0) {
        close_pipe(&of->in);
        close_pipe(&of->out);
        close_pipe(&of->errors);
        close_pipe(&of->reply);
        of->process = 0;
        return fail_invocation(of, error == E2BIG ? PERMANENT : RETRYABLE, "function_failed",
                               "'%.500s' could not be started: %s%s", configuration.words[0], strerror(error), hint(error));
    }
    of->state = INVOCATION_RUNNING;
    if (of->data == 0) close_pipe(&of->in);
    else write_input(of);
}

// Its pipes.

void write_input(struct invocation *of) {
    const unsigned char *data = of->input + of->key + of->attributes;
    while (of->written < of->data) {
        ssize_t count = write(of->in, data + of->written, of->data - of->written);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno == EAGAIN) return;
        // A process need not read what it is given.
        if (count <= 0) break;
        of->written += (uint32_t)count;
    }
    close_pipe(&of->in);
}

// Reads once; returns how many bytes came. What is left after the exit is counted down, and the end closes the pipe.
static size_t read_pipe(struct invocation *of, int *descriptor, uint32_t *left, void *into, size_t bytes) {
    if (of->has_exited && bytes > *left) bytes = *left;
    ssize_t count = bytes == 0 ? 0 : read(*descriptor, into, bytes);
    if (count < 0 && (errno == EINTR || errno == EAGAIN) && !of->has_exited) return 0;
    if (count <= 0) {
        close_pipe(descriptor);
        return 0;
    }
    if (of->has_exited) {
        *left -= (uint32_t)count;
        if (*left == 0) close_pipe(descriptor);
    }
    return (size_t)count;
}

// What more than most results need is taken when one needs it. Without address space for it the result is too large.
static void make_room(struct invocation *of) {
    if (of->output_bytes <= RESULT_BYTES || of->output_room > RESULT_BYTES + 1) return;
    void *more = mremap(of->output, of->output_room, LARGE_RESULT_BYTES + 1, MREMAP_MAYMOVE);
    if (more == MAP_FAILED) return;
    of->output = more;
    of->output_room = LARGE_RESULT_BYTES + 1;
}

void read_output(struct invocation *of) {
    size_t room = of->output_room - of->output_bytes;
    size_t count = read_pipe(of, &of->out, &of->out_left, of->output + of->output_bytes,
                             room < OUTPUT_READ_BYTES ? room : OUTPUT_READ_BYTES);
    of->output_bytes += (uint32_t)count;
    make_room(of);
    if (of->output_bytes < of->output_room) return;
    close_pipe(&of->out);
    of->ended_by = BY_SIZE;
    if (!of->has_exited) kill(-of->process, SIGKILL);
}

void read_reply(struct invocation *of) {
    uint32_t room = ATTRIBUTES_BYTES + 1 - of->reply_bytes;
    of->reply_bytes += (uint32_t)read_pipe(of, &of->reply, &of->reply_left, of->reply_text + of->reply_bytes, room);
    if (of->reply_bytes > ATTRIBUTES_BYTES) close_pipe(&of->reply);
}

static void send_line(struct invocation *of) {
    if (of->line_bytes > 0 && of->line[of->line_bytes - 1] == '\r') of->line_bytes--;
    unsigned char *to = begin_frame(LOG, 0, of->stream, 1 + of->line_bytes);
    to[0] = LEVEL_STDERR;
    if (of->line_bytes > 0) memcpy(to + 1, of->line, of->line_bytes);
    of->line_bytes = 0;
    of->line_is_over = false;
}

// Each line goes to the function's log at once; the end of all is kept for the failure that may follow.
void read_errors(struct invocation *of) {
    char bytes[ERRORS_READ_BYTES];
    size_t count = read_pipe(of, &of->errors, &of->errors_left, bytes, sizeof bytes);
    for (size_t index = 0; index < count; index++) {
        of->tail[of->tail_total++ % TAIL_BYTES] = bytes[index];
        if (bytes[index] == '\n') {
            send_line(of);
        } else if (of->line_bytes < LINE_BYTES) {
            of->line[of->line_bytes++] = bytes[index];
        } else {
            of->line_is_over = true;
        }
    }
    if (of->errors < 0 && (of->line_bytes > 0 || of->line_is_over)) send_line(of);
}

// Its end.

void ask_to_end(struct invocation *of, enum ended_by why) {
    if (of->has_exited || of->ended_by != BY_ITSELF) return;
    of->ended_by = why;
    of->kill_at = microseconds(CLOCK_MONOTONIC) + TERMINATE_MICROSECONDS;
    kill(-of->process, why == BY_DEADLINE ? SIGKILL : SIGTERM);
}

int check_times(void) {
    int64_t now = microseconds(CLOCK_REALTIME), running = microseconds(CLOCK_MONOTONIC), next = INT64_MAX;
    for (int index = 0; index < CONCURRENCY_MAX; index++) {
        struct invocation *of = &invocations[index];
        if (of->state != INVOCATION_RUNNING || of->has_exited) continue;
        if (of->kill_at != 0 && of->kill_at <= running) {
            kill(-of->process, SIGKILL);
            of->kill_at = 0;
        } else if (of->kill_at != 0 && of->kill_at - running < next) {
            next = of->kill_at - running;
        }
        if (of->deadline <= 0 || of->ended_by != BY_ITSELF) continue;
        if (of->deadline <= now) {
            ask_to_end(of, BY_DEADLINE);
        } else if (of->deadline - now < next) {
            next = of->deadline - now;
        }
    }
    if (next == INT64_MAX) return -1;
    return next > 60000000 ? 60000 : (int)(next / 1000 + 1);
}

static bool any_runs(void) {
    for (int index = 0; index < CONCURRENCY_MAX; index++) {
        if (invocations[index].state == INVOCATION_RUNNING && !invocations[index].has_exited) return true;
    }
    return false;
}

static uint32_t bytes_in(int descriptor) {
    int count = 0;
    if (descriptor < 0 || ioctl(descriptor, FIONREAD, &count) != 0 || count < 0) return 0;
    return (uint32_t)count;
}

static void exited(struct invocation *of, int status) {
    of->has_exited = true;
    of->status = status;
    close_pipe(&of->in);
    // What others of the group have written until now counts; what they, or who left the group, write later does not.
    of->out_left = bytes_in(of->out);
    of->errors_left = bytes_in(of->errors);
    of->reply_left = bytes_in(of->reply);
}

void reap_processes(void) {
    siginfo_t info;
    // Looked at before it is reaped: as long as the process is there, its number names its group and no other.
    while (memset(&info, 0, sizeof info), waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
        struct invocation *of = NULL;
        for (int index = 0; index < CONCURRENCY_MAX && of == NULL; index++) {
            struct invocation *each = &invocations[index];
            if (each->state == INVOCATION_RUNNING && !each->has_exited && each->process == info.si_pid) of = each;
        }
        if (of != NULL) kill(-info.si_pid, SIGKILL);
        int status = 0;
        waitpid(info.si_pid, &status, 0);
        if (of == NULL) continue;
        exited(of, status);
        // In a sandbox nothing outlives its invocation, however it left the group. With others still running it cannot
        // be told whose it is; then it ends with the last of them.
        if (getpid() == 1 && !any_runs()) kill(-1, SIGKILL);
    }
}

void kill_everything(void) {
    for (int index = 0; index < CONCURRENCY_MAX; index++) {
        struct invocation *of = &invocations[index];
        if (of->state == INVOCATION_RUNNING && !of->has_exited) kill(-of->process, SIGKILL);
    }
}

static void last_line(const struct invocation *of, char *line, size_t bytes) {
    uint64_t oldest = of->tail_total < TAIL_BYTES ? 0 : of->tail_total - TAIL_BYTES, end = of->tail_total;
    while (end > oldest && strchr("\r\n\t ", of->tail[(end - 1) % TAIL_BYTES]) != NULL && of->tail[(end - 1) % TAIL_BYTES] != 0) end--;
    uint64_t start = end;
    while (start > oldest && of->tail[(start - 1) % TAIL_BYTES] != '\n' && end - start < bytes - 1) start--;
    size_t length = 0;
    for (; start < end; start++) line[length++] = of->tail[start % TAIL_BYTES];
    line[length] = 0;
}

static void fail_by_status(struct invocation *of) {
    char line[400];
    last_line(of, line, sizeof line);
    const char *colon = line[0] == 0 ? "" : ": ";
    if (WIFSIGNALED(of->status)) {
        int signal = WTERMSIG(of->status);
        return fail_invocation(of, RETRYABLE, "function_failed", "the command was ended by signal %d (%s)%s%s%s", signal,
                               strsignal(signal), signal == SIGKILL ? ", perhaps for spec.resources.memory" : "", colon, line);
    }
    int code = WEXITSTATUS(of->status);
    if (code == EXIT_REJECT)
        return fail_invocation(of, PERMANENT, "function_rejected", "the command rejected the event (exit code 65)%s%s",
                               colon, line);
    fail_invocation(of, RETRYABLE, "function_failed", "the command %s (exit code %d)%s%s",
                    code == EXIT_RETRY ? "asked for another attempt" : "failed", code, colon, line);
}

void finish_if_done(struct invocation *of) {
    if (of->state != INVOCATION_RUNNING || !of->has_exited || of->out >= 0 || of->errors >= 0 || of->reply >= 0) return;
    bool is_good = WIFEXITED(of->status) && WEXITSTATUS(of->status) == 0;
    if (of->ended_by == BY_SIZE) {
        fail_invocation(of, PERMANENT, "result_too_large",
                        "the result has more than %u bytes: store it elsewhere and print its address", of->output_room - 1);
    } else if (is_good && of->reply_bytes > ATTRIBUTES_BYTES) {
        fail_invocation(of, PERMANENT, "result_too_large", "descriptor 3 brought more than %u bytes of attributes",
                        ATTRIBUTES_BYTES);
    } else if (is_good) {
        of->state = INVOCATION_ANSWERING;
    } else if (of->ended_by == BY_DEADLINE) {
        fail_invocation(of, RETRYABLE, "cancelled", "the deadline passed, and the command was killed");
    } else if (of->ended_by == BY_CANCEL) {
        fail_invocation(of, RETRYABLE, "cancelled", "the invocation was cancelled, and the command ended");
    } else {
        fail_by_status(of);
    }
}
