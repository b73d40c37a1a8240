#pragma once
// The worker for `runtime: exec`: one process for each invocation. It speaks the worker protocol (docs/worker-protocol.md)
// on descriptors 3 and 4; its memory is taken at the start and when its concurrency is known, never for an event.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum frame_type {
    HELLO = 1, INIT, READY, CREDIT, DRAIN, PING, BYE, SLEEP, WAKE,
    INVOKE = 16, BATCH, DATA, RESULT, ERROR, ITEM_RESULT, CANCEL,
    PROGRESS = 32, LOG, EMIT,
};
enum frame_flag { MORE = 1, STREAM = 2, TABLE = 4, DESCRIPTOR = 8, FAILED = 16, ANSWER = 32 };
enum error_class { RETRYABLE = 0, PERMANENT = 1, POISON = 2 };

// Bounds of the protocol; the server has the same.
#define HEADER_BYTES 24u
#define INVOKE_HEAD_BYTES 40u
#define BLOCK_HEAD_BYTES 24u
#define FRAME_BYTES (256u * 1024)
#define PAYLOAD_BYTES (FRAME_BYTES - HEADER_BYTES)
#define KEY_BYTES (64u * 1024)
#define ATTRIBUTES_BYTES (64u * 1024)
#define ATTRIBUTES_MAX 256u
#define RESULT_BYTES (16u << 20)
#define NO_KEY 0xFFFFFFFFu
#define NULL_DATA 1u

// Bounds of our own.
#define CONCURRENCY_MAX 32
#define OUTGOING_BYTES (1u << 20)
// What is read at once of a process's standard error: as lines of one byte it is 100 KiB of LOG frames.
#define ERRORS_READ_BYTES 4096u
#define OUTPUT_READ_BYTES (128u * 1024)
#define LINE_BYTES 8192u
#define TAIL_BYTES 8192u
#define MESSAGE_BYTES 1024u
#define WORDS_MAX 64
#define HANDLER_BYTES 4096
#define TRIGGERS_MAX 64
// How long a process that was asked to end may take before it is killed, in microseconds.
#define TERMINATE_MICROSECONDS 1000000

// What is wrong with what the server sent; ends the worker with 70.
void violation(const char *what) __attribute__((noreturn));

static inline uint16_t get16(const unsigned char *at) { return (uint16_t)(at[0] | at[1] << 8); }
static inline uint32_t get32(const unsigned char *at) {
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}
static inline uint64_t get64(const unsigned char *at) { return get32(at) | (uint64_t)get32(at + 4) << 32; }
static inline void put16(unsigned char *at, uint16_t value) {
    at[0] = (unsigned char)value;
    at[1] = (unsigned char)(value >> 8);
}
static inline void put32(unsigned char *at, uint32_t value) {
    put16(at, (uint16_t)value);
    put16(at + 2, (uint16_t)(value >> 16));
}
static inline void put64(unsigned char *at, uint64_t value) {
    put32(at, (uint32_t)value);
    put32(at + 4, (uint32_t)(value >> 32));
}

// outgoing.c: frames to the server, bounded.
size_t outgoing_room(void);
bool outgoing_is_empty(void);
// Starts a frame and returns where its payload goes; the caller has checked the room.
unsigned char *begin_frame(int type, int flags, uint64_t stream, uint32_t length);
void send_frame(int type, int flags, uint64_t stream, const void *payload, uint32_t length);
void send_error(uint64_t stream, int class, const char *code, const char *message, const char *detail, size_t detail_bytes);
// Writes what the pipe takes; leaves with 0 when the server is gone.
void flush_outgoing(void);

// configuration.c: what INIT says.
struct configuration {
    bool is_loaded;
    char function[64], namespace[64], revision[128], path[512];
    char handler[HANDLER_BYTES];
    uint32_t concurrency;
    uint32_t trigger_count;
    struct {
        char name[64], topic[256];
    } triggers[TRIGGERS_MAX];
    // The command: the words of the handler, and where its program is.
    char *words[WORDS_MAX + 1];
    char program[HANDLER_BYTES + 512];
};
extern struct configuration configuration;

// Where the secrets of the function are, a sealed memory file, if it has any.
#define SECRETS 6
extern bool has_secrets;
// Returns NULL, or why the function cannot be started, in words for its author.
const char *load_configuration(const unsigned char *json, size_t length);

// json.c: just enough of JSON to read INIT. A cursor that ran into something wrong stays wrong.
struct json {
    const char *at, *end;
    bool is_wrong;
};
// Steps into an object or array: call `json_next` until it returns false.
bool json_enter(struct json *json, char bracket);
// The next member of an object: its name goes to `name`. Of an array: `name` is NULL.
bool json_next(struct json *json, bool *is_first, char bracket, char *name, size_t name_bytes);
// Each reads one value; what is of another kind is skipped, and false returned.
bool json_string(struct json *json, char *into, size_t bytes);
bool json_unsigned(struct json *json, uint64_t *into);
void json_skip(struct json *json);

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
    uint32_t output_bytes;
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
void kill_everything(void);
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
