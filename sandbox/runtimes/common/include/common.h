#pragma once
// What the workers in C share: frames to the server (docs/worker-protocol.md), what INIT says, and a reader of JSON that builds nothing.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
// Of a call whose caller takes it in parts; to others the server refuses it.
#define LARGE_RESULT_BYTES (64u << 20)
#define NO_KEY 0xFFFFFFFFu
#define NULL_DATA 1u

// Bounds of our own.
#define CONCURRENCY_MAX 32
#define OUTGOING_BYTES (1u << 20)
#define WORDS_MAX 64
#define HANDLER_BYTES 4096
#define TRIGGERS_MAX 64

// A frame of the server, while it is handled.
struct frame {
    int type, flags;
    uint64_t stream;
    int64_t deadline;
    const unsigned char *payload;
    uint32_t length;
};

// Each program's own: its name, the end of all that it started, what it does once it knows its function (`wrong` says why it cannot, or is
// NULL), and the frames that not every worker takes; false for one that it does not take.
extern const char runtime_name[];
void kill_everything(void);
void initialize(const char *wrong);
bool take_frame(const struct frame *frame);

// incoming.c: frames from the server; the beginning and the end of a worker.
#define FROM_SERVER 3
#define TO_SERVER 4
struct pollfd;
// No more invocations come.
extern bool is_draining;
// Says HELLO. Returns the descriptor that tells of processes that ended.
int begin_worker(void);
void send_ready(void);
// Whole frames, as long as there is room for what they are answered with.
void handle_incoming(void);
bool has_whole_frame(void);
// Leaves when the server is gone.
void read_incoming(void);
// Adds a descriptor to those that are waited for, unless it is -1. Returns how many there are.
int watch(struct pollfd *polled, int count, int descriptor, short events);
// Adds the server's pipes, as far as there is room and need. Returns where frames are announced, or -1.
int watch_server(struct pollfd *polled, int *count);
void forget_signals(int signals);
// Ends with all that was said.
void leave(int code) __attribute__((noreturn));
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

