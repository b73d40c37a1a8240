#pragma once

// Starts a worker as a plain process, without a sandbox: for tests and benchmarks only.

typedef struct {
    int process;      // its id
    int watch;        // a pidfd, readable when it has ended
    int to_worker;    // the server's end of its descriptor 3
    int from_worker;  // of 4
    int descriptors;  // of 5
    int out;          // of 1
    int err;          // of 2
} apus_direct_process;

/// Returns 0 or -errno. All descriptors of the answer are non-blocking and close-on-exec. An exec that fails exits with 127.
int apus_direct_launch(const char *path, char *const arguments[], char *const environment[], apus_direct_process *process);
/// Reaps an ended process. Returns 0 and the code or the signal (the other is -1), or -errno.
int apus_direct_reap(int process, int *code, int *signal);
