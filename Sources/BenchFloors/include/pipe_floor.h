#pragma once
#include <stddef.h>
#include <stdint.h>

// The floor of dispatch: the same messages over the same kind of pipes between two C processes, blocking reads that take
// what there is, and one write for each message: the pattern of a plain worker protocol.

typedef struct {
    int to, from, process;
    size_t bytes;
    char *buffer;
    size_t capacity;
} pipe_floor;

/// Forks the process that sends everything back. `bytes` is the size of one message. Returns 0 or -errno.
int pipe_floor_open(pipe_floor *floor, size_t bytes);
/// One message in flight, `count` times; the nanoseconds of each. Returns 0 or -errno.
int pipe_floor_round_trips(pipe_floor *floor, uint64_t *nanoseconds, size_t count);
/// `count` messages with at most `window` in flight; messages per second, or negative for an error.
double pipe_floor_rate(pipe_floor *floor, size_t window, size_t count);
void pipe_floor_close(pipe_floor *floor);
