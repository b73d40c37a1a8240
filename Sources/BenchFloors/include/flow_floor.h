#pragma once
#include <stddef.h>

// The floor of the whole way of an event, without an engine: records of a topic are read from LMDB in order, sent through a pipe to a
// process that sends each of them back, and what comes back is appended to a topic of replies by a thread that commits what gathered
// during its last commit.

typedef struct FlowFloor FlowFloor;

// Forks the process that sends everything back, so it comes before any thread. Null when that fails.
FlowFloor *flow_floor_open(void);
void flow_floor_close(FlowFloor *floor);

// Fills a new file with `records` records of `bytes` bytes in four partitions, then moves them all, at most `window` of them between
// the two processes. Returns the seconds from the first read to the last commit, or a negative number when something fails.
double flow_floor_run(FlowFloor *floor, const char *path, int is_synced, const void *record, size_t bytes, long records, int window);

// Takes memory for the replies to so many records of `record` bytes from the machine, and gives it back to it. A virtual machine hands
// free memory to its host after seconds, and then the first touch of each page costs microseconds, in the kernel's copy to a file: a
// measurement would be of that, or of how long ago somebody deleted a file. It comes right before whatever is timed.
void flow_floor_touch(size_t record, long records);

// One record at a time: the microseconds from before its append to the moment in which the other process has it, `count` times.
// Returns 0, or -1 when something fails.
int flow_floor_starts(
    FlowFloor *floor, const char *path, int is_synced, const void *record, size_t bytes, double *microseconds, size_t count);
