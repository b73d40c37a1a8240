// The worker for `runtime: mcp`: frames on one side, lines of JSON-RPC on the other. One thread, one poll.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "mcp.h"

#define FROM_SERVER 3
#define TO_SERVER 4
#define FEATURES 0u
#define NAME "mcp 1"
#define MESSAGE_BYTES 1024

static unsigned char incoming[2 * FRAME_BYTES];
static size_t filled;
static bool is_draining;
bool has_secrets;
const char runtime_name[] = "mcp";

void violation(const char *what) {
    fprintf(stderr, "apus: the server broke the worker protocol: %s\n", what);
    kill_everything();
    _exit(70);
}

static void leave(int code) __attribute__((noreturn));
static void leave(int code) {
    kill_everything();
    flush_outgoing();
    // The pipe may be full; the server reads it until its end.
    fcntl(TO_SERVER, F_SETFL, 0);
    flush_outgoing();
    _exit(code);
}

void give_up(const char *format, ...) {
    char message[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    // An answer that is half sent is sent to its end: its caller has waited for it.
    fcntl(TO_SERVER, F_SETFL, 0);
    while (is_sending()) {
        flush_outgoing();
        send_answer();
    }
    flush_outgoing();
    if (handshake == HANDSHAKE_DONE) fail_all(message);
    else send_error(0, PERMANENT, "start_failed", message, NULL, 0);
    leave(1);
}

void handshake_done(void) {
    unsigned char credit[4];
    put32(credit, configuration.concurrency);
    send_frame(READY, 0, 0, NULL, 0);
    send_frame(CREDIT, 0, 0, credit, sizeof credit);
}

static void initialize(const unsigned char *payload, uint32_t length) {
    if (configuration.is_loaded) violation("a second INIT");
    const char *wrong = load_configuration(payload, length);
    if (wrong != NULL) give_up("%s", wrong);
    make_calls(configuration.concurrency);
    start_server();
    begin_handshake();
}

static void handle(int type, int flags, uint64_t stream, const unsigned char *payload, uint32_t length) {
    if (type == INIT) return initialize(payload, length);
    if (type == DRAIN) {
        is_draining = true;
        return;
    }
    if (!configuration.is_loaded) violation("a frame before INIT");
    switch (type) {
    case INVOKE:
        if (handshake != HANDSHAKE_DONE) violation("an INVOKE before READY");
        return invoke(stream, flags, payload, length);
    case DATA: return receive_data(stream, flags, payload, length);
    case CANCEL: return cancel(stream);
    case PING:
    case SLEEP:
    case WAKE: return send_frame(type, ANSWER, 0, payload, type == PING ? length : 0);
    default: violation("a frame that this worker does not take");
    }
}

// Whole frames, as long as there is room for what they are answered with.
static void handle_incoming(void) {
    size_t at = 0;
    while (filled - at >= HEADER_BYTES && outgoing_room() >= FRAME_BYTES) {
        const unsigned char *head = incoming + at;
        uint32_t length = get32(head);
        if (length > PAYLOAD_BYTES || get16(head + 6) != 1 || head[5] > 63) violation("a malformed frame");
        if (filled - at < HEADER_BYTES + length) break;
        handle(head[4], head[5], get64(head + 8), head + HEADER_BYTES, length);
        at += HEADER_BYTES + length;
    }
    if (at > 0) memmove(incoming, incoming + at, filled -= at);
}

static void read_frames(void) {
    ssize_t count = read(FROM_SERVER, incoming + filled, sizeof incoming - filled);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (count <= 0) {
        kill_everything();
        _exit(filled == 0 ? 0 : 1);
    }
    filled += (size_t)count;
}

static int watch(struct pollfd *polled, int count, int descriptor, short events) {
    if (descriptor < 0) return count;
    polled[count] = (struct pollfd){.fd = descriptor, .events = events};
    return count + 1;
}

// Waits for whatever can go on. What the other side does not take holds up what would be written to it.
static void wait_for_work(int signals) {
    struct pollfd polled[5];
    bool has_room = outgoing_room() >= FRAME_BYTES;
    bool has_frame = filled >= HEADER_BYTES && filled >= HEADER_BYTES + get32(incoming);
    int count = watch(polled, 0, signals, POLLIN);
    int frames = has_room && filled < sizeof incoming ? count : -1;
    if (frames >= 0) count = watch(polled, count, FROM_SERVER, POLLIN);
    if (!outgoing_is_empty()) count = watch(polled, count, TO_SERVER, POLLOUT);
    if (has_room) count = watch(polled, count, from_server(), POLLIN);
    if (wants_to_write()) count = watch(polled, count, to_server(), POLLOUT);
    // What was held up by a full buffer can go on since it was flushed: nothing else would wake us for it.
    int timeout = has_room && (has_frame || is_sending()) ? 0 : -1;
    if (poll(polled, (nfds_t)count, timeout) < 0 && errno != EINTR) violation("poll failed");
    if (polled[0].revents != 0) {
        struct signalfd_siginfo info;
        while (read(signals, &info, sizeof info) > 0) continue;
        reap_processes();
    }
    if (frames >= 0 && polled[frames].revents != 0) read_frames();
}

static int take_signals(void) {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void say_hello(void) {
    unsigned char *to = begin_frame(HELLO, 0, 0, 10 + sizeof NAME - 1);
    put16(to, 1);
    put16(to + 2, 1);
    put32(to + 4, FEATURES);
    put16(to + 8, sizeof NAME - 1);
    memcpy(to + 10, NAME, sizeof NAME - 1);
}

int main(void) {
    // The server has the same user: it may not reach into this process, nor into its pipes.
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    for (int descriptor = FROM_SERVER; descriptor <= 5; descriptor++) fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    // Before anything is opened: then it is the server's or nothing.
    has_secrets = fcntl(SECRETS, F_SETFD, FD_CLOEXEC) == 0;
    fcntl(FROM_SERVER, F_SETFL, O_NONBLOCK);
    fcntl(TO_SERVER, F_SETFL, O_NONBLOCK);
    int signals = take_signals();
    if (signals < 0) violation("no descriptor for signals");
    say_hello();
    for (;;) {
        handle_incoming();
        if (is_sending()) send_answer();
        if (configuration.is_loaded && outgoing_room() >= FRAME_BYTES) read_from_server();
        write_to_server();
        flush_outgoing();
        if (is_draining && is_idle() && !is_sending()) {
            let_server_leave();
            send_frame(BYE, 0, 0, NULL, 0);
            leave(0);
        }
        wait_for_work(signals);
    }
}
