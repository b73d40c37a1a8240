#pragma once
// The worker for `runtime: mcp`: it starts an MCP server that speaks over its standard input and output, once, and turns each
// INVOKE frame into a line for it and the line that answers into a RESULT. All memory is taken before READY.

#include <sys/types.h>

#include "common.h"

// Bounds of our own.
// A line of the server; a longer one is nobody's answer.
#define LINE_BYTES (4u << 20)
// An event: what a call's line is made of.
#define DATA_BYTES (1u << 20)
// What goes to the server besides calls: answers to its pings, cancels.
#define CONTROL_BYTES (64u * 1024)
#define TOKEN_BYTES 128
#define NAME_BYTES 64
#define HEAD_BYTES 64
#define TEXT_BYTES 4096
// A question of the server, and an answer to one: larger ones are refused.
#define QUESTION_BYTES (48u * 1024)
// Questions of one call.
#define QUESTIONS_MAX 64
// What the caller's client can be asked, as text.
#define CAPABILITIES_BYTES 512u
// Calls that were given up in the middle of being written, besides those that are under way.
#define SPARE_CALLS 4
#define CALLS_MAX (CONCURRENCY_MAX + SPARE_CALLS)
// Lines of the server that are no messages and are told of.
#define JUNK_LINES 20
// Calls that were given up one after the other without a word of the server: it hangs.
#define SILENT_CALLS 2
// How long the server may take to leave when its input ends, in milliseconds.
#define LEAVE_MILLISECONDS 1000

// Text of a JSON value, where it stands.
struct span {
    const char *at;
    size_t bytes;
};

// calls.c: what was asked for, from its frame to its answer.
enum call_state {
    CALL_FREE,
    // Its data is still coming. Next: waiting to be written, free (when it was cancelled or is none).
    CALL_RECEIVING,
    // Its line is being written, or will be. Next: written, left, free.
    CALL_WRITING,
    // The server has it. Next: free.
    CALL_WRITTEN,
    // It was answered as cancelled in the middle of its line, which must still be written to its end. Next: free.
    CALL_LEFT,
};
struct call {
    enum call_state state;
    uint64_t stream, id;
    // Memory for a whole event.
    unsigned char *data;
    uint32_t before, length, received;
    char head[HEAD_BYTES];
    uint32_t head_bytes, written;
    // As the caller's progressToken stands in the text, quotes included.
    char token[TOKEN_BYTES];
    uint32_t token_bytes;
    // What the caller's client can be asked, and what it has answered: objects, where they stand in the data.
    struct span capabilities, answers;
    // What the server asked, by hash.
    uint64_t asked[QUESTIONS_MAX];
    uint32_t asked_count;
};
void make_calls(uint32_t count);
void invoke(uint64_t stream, int flags, const unsigned char *payload, uint32_t length);
void receive_data(uint64_t stream, int flags, const unsigned char *payload, uint32_t length);
void cancel(uint64_t stream);
bool is_idle(void);
// The one whose line is the next to be written, or NULL.
struct call *next_to_write(void);
void wrote(struct call *of);
void fail_all(const char *message);
// The server said something.
void heard(void);
void report_progress(struct span token, double done, double total, const char *message);

// answers.c: lines of the server. What it takes of one is used at once, but for an answer that is sent as there is room.
enum handshake {
    // The child was asked with `initialize`. Next: discovering, done.
    HANDSHAKE_INITIALIZING,
    // It refused that, and is asked with `server/discover`. Next: done.
    HANDSHAKE_DISCOVERING,
    HANDSHAKE_DONE,
};
extern enum handshake handshake;
void begin_handshake(void);
void take_line(const char *line, size_t length);
bool is_sending(void);
// The stream of the answer that is on its way, 0 for none.
uint64_t sending_stream(void);
void send_answer(void);
struct call *find_call(uint64_t id);
// The only one that the server has; NULL when it has several, or none.
struct call *only_call(void);
void answered(struct call *of);
// Sends a text of ours as the answer to a call; it stays where it is until it is sent.
void answer_with(struct call *of, const char *text, size_t bytes);

// questions.c: what a server with a handshake asks in the middle of a call.
// Returns false where nobody can be asked.
bool take_question(struct span id, const char *method, struct span params);

extern bool has_list_changed;
// What each request says of itself in `params._meta`, a list of members, where the server knows no handshake; else empty.
extern const char *own_meta;

// One value, and where it stood.
struct span value_of(struct json *json);

// server.c: the child and its pipes.
void start_server(void);
bool server_has_ended(void);
int to_server(void);
int from_server(void);
bool wants_to_write(void);
void write_to_server(void);
void read_from_server(void);
// Queues a whole line, its end included. Ends the worker when the server takes none.
void tell_server(const char *format, ...) __attribute__((format(printf, 1, 2)));
void reap_processes(void);
void let_server_leave(void);

// mcp-worker.c
void give_up(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void handshake_done(void);
