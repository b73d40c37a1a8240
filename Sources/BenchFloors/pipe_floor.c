#define _GNU_SOURCE
#include "pipe_floor.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PIPE_BYTES = 1 << 20, ECHO_BYTES = 512 * 1024, WINDOW_MAX = 1024 };

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int write_all(int descriptor, const char *bytes, size_t count) {
    for (size_t at = 0; at < count;) {
        ssize_t n = write(descriptor, bytes + at, count - at);
        if (n < 0 && errno != EINTR) return -errno;
        if (n > 0) at += (size_t)n;
    }
    return 0;
}

// Reads as much as there is and answers message by message, as a worker does.
static void echo(int from, int to, size_t size) {
    static char bytes[ECHO_BYTES];
    size_t have = 0;
    for (ssize_t n; (n = read(from, bytes + have, sizeof bytes - have)) > 0;) {
        size_t at = 0;
        for (have += (size_t)n; have - at >= size; at += size)
            if (write_all(to, bytes + at, size)) _exit(0);
        memmove(bytes, bytes + at, have -= at);
    }
    _exit(0);
}

int pipe_floor_open(pipe_floor *floor, size_t bytes) {
    int down[2], up[2];
    if (pipe2(down, O_CLOEXEC)) return -errno;
    if (pipe2(up, O_CLOEXEC)) {
        int failure = errno;
        close(down[0]);
        close(down[1]);
        return -failure;
    }
    (void)fcntl(down[1], F_SETPIPE_SZ, PIPE_BYTES);
    (void)fcntl(up[1], F_SETPIPE_SZ, PIPE_BYTES);
    pid_t process = fork();
    if (process == 0) {
        close(down[1]);
        close(up[0]);
        echo(down[0], up[1], bytes);
    }
    int failure = process < 0 ? errno : 0;
    close(down[0]);
    close(up[1]);
    size_t capacity = bytes * WINDOW_MAX;
    char *buffer = failure ? 0 : malloc(capacity);
    if (!failure && !buffer) failure = ENOMEM;
    if (failure) {
        close(down[1]);
        close(up[0]);
        return -failure;
    }
    memset(buffer, 'x', capacity);
    *floor = (pipe_floor){down[1], up[0], process, bytes, buffer, capacity};
    return 0;
}

int pipe_floor_round_trips(pipe_floor *floor, uint64_t *nanoseconds, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint64_t start = now();
        int failure = write_all(floor->to, floor->buffer, floor->bytes);
        if (failure) return failure;
        for (size_t have = 0; have < floor->bytes;) {
            ssize_t n = read(floor->from, floor->buffer, floor->bytes - have);
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return -(n < 0 ? errno : EPIPE);
            have += (size_t)n;
        }
        nanoseconds[i] = now() - start;
    }
    return 0;
}

double pipe_floor_rate(pipe_floor *floor, size_t window, size_t count) {
    if (window == 0 || window > WINDOW_MAX) return -EINVAL;
    size_t sent = 0, got = 0, part = 0;
    uint64_t start = now();
    while (got < count) {
        size_t free = window - (sent - got);
        if (free > count - sent) free = count - sent;
        for (; free; free--, sent++)
            if (write_all(floor->to, floor->buffer, floor->bytes)) return -EPIPE;
        ssize_t n = read(floor->from, floor->buffer, floor->capacity);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return -EPIPE;
        part += (size_t)n;
        got += part / floor->bytes;
        part %= floor->bytes;
    }
    return (double)count * 1e9 / (double)(now() - start);
}

void pipe_floor_close(pipe_floor *floor) {
    close(floor->to);
    close(floor->from);
    kill(floor->process, SIGKILL);
    waitpid(floor->process, 0, 0);
    free(floor->buffer);
}
