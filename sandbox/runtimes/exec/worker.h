#pragma once
// The worker for `runtime: exec`: one process for each invocation. It speaks the worker protocol (docs/worker-protocol.md)
// on descriptors 3 and 4; its memory is taken at the start and when its concurrency is known, never for an event.

#include <sys/types.h>

#include "common.h"

// Bounds of our own.
// What is read at once of a process's standard error: as lines of one byte it is 100 KiB of LOG frames.
#define ERRORS_READ_BYTES 4096u
#define OUTPUT_READ_BYTES (128u * 1024)
#define LINE_BYTES 8192u
#define TAIL_BYTES 8192u
#define MESSAGE_BYTES 1024u
// How long a process that was asked to end may take before it is killed, in microseconds.
#define TERMINATE_MICROSECONDS 1000000

// invocation.c: one attempt and its process.
enum ended_by { BY_ITSELF, BY_CANCEL, BY_DEADLINE, BY_SIZE };
enum invocation_state {
    INVOCATION_FREE,
    // Its data is still coming. Next: running, answering (when it was cancelled, or could not be started).
    INVOCATION_RECEIVING,
    // Its process runs, or has ended and its pipes are being emptied. Next: answering.
    INVOCATION_RUNNING,
    // The answer is being sent as there is room. Next: free.
    INVOCATION_ANSWERING,
};
struct invocation {
    enum invocation_state state;
    uint64_t stream;
    int64_t deadline;
    uint32_t attempt, trigger, partition, flags;
    int64_t offset;
    uint64_t id[2];
    // Key, attributes and data, behind each other.
    unsigned char *input;
    bool has_key;
    uint32_t key, attributes, data, received, written;
    pid_t process;
    int status;
    bool has_exited, is_cancelled;
    enum ended_by ended_by;
    // When it is killed for not ending, on the monotonic clock; 0 for never.
    int64_t kill_at;
    // -1 when closed. `reply` is the process's descriptor 3.
    int in, out, errors, reply;
    // After the exit: how much each pipe held then. What comes later comes from nobody's process.
    uint32_t out_left, errors_left, reply_left;
    unsigned char *output;
    uint32_t output_bytes, output_room;
    unsigned char *reply_text;
    uint32_t reply_bytes;
    char line[LINE_BYTES];
    uint32_t line_bytes;
    bool line_is_over;
    char tail[TAIL_BYTES];
    uint64_t tail_total;
    // The answer: an error, or a result of which `sent` bytes are out.
    bool is_failure, has_begun;
    int failure_class;
    const char *failure_code;
    char failure_message[MESSAGE_BYTES];
    uint32_t sent;
};
extern struct invocation invocations[CONCURRENCY_MAX];
void make_invocations(uint32_t count);
void invoke(uint64_t stream, int flags, int64_t deadline, const unsigned char *payload, uint32_t length);
void receive_data(uint64_t stream, int flags, const unsigned char *payload, uint32_t length);
void cancel(uint64_t stream);
bool is_idle(void);
void fail_invocation(struct invocation *of, int class, const char *code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
// Sends what of the answer there is room for.
void answer(struct invocation *of);

// process.c: the process of an attempt.
void start_process(struct invocation *of);
void ask_to_end(struct invocation *of, enum ended_by why);
// Everything that is due by time; returns how many milliseconds until the next, -1 for never.
int check_times(void);
void reap_processes(void);
void write_input(struct invocation *of);
void read_output(struct invocation *of);
void read_errors(struct invocation *of);
void read_reply(struct invocation *of);
void finish_if_done(struct invocation *of);

// environment.c: the variables of one process. Valid until the next call; NULL when they do not fit.
char **environment_for(const struct invocation *of);

// reply.c: the reply's attributes from the lines `name=value` on descriptor 3.
struct reply {
    unsigned char attributes[ATTRIBUTES_BYTES];
    uint32_t attribute_bytes;
    const unsigned char *key;
    uint32_t key_bytes;
    bool has_key;
};
// Returns false, and why in `why`, for lines that are none.
bool read_reply_lines(struct reply *reply, const unsigned char *text, uint32_t length, char *why, size_t why_bytes);
