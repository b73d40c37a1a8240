// The worker for `runtime: exec`: reads frames, runs a process for each event, writes answers. One thread, one poll.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "worker.h"

#define FROM_SERVER 3
#define TO_SERVER 4
#define FEATURES 0u
#define NAME "exec 1"
// The server's pipe, our own, the signals, and four of each invocation.
#define POLLED_MAX (3 + 4 * CONCURRENCY_MAX)

static unsigned char incoming[2 * FRAME_BYTES];
static size_t filled;
static bool is_draining;
bool has_secrets;
const char runtime_name[] = "exec";

void violation(const char *what) {
    fprintf(stderr, "apus: the server broke the worker protocol: %s\n", what);
    kill_everything();
    _exit(70);
}

static void say_hello(void) {
    unsigned char *to = begin_frame(HELLO, 0, 0, 10 + sizeof NAME - 1);
    put16(to, 1);
    put16(to + 2, 1);
    put32(to + 4, FEATURES);
    put16(to + 8, sizeof NAME - 1);
    memcpy(to + 10, NAME, sizeof NAME - 1);
}

static void leave(int code) {
    flush_outgoing();
    // The pipe may be full; the server reads it until its end.
    fcntl(TO_SERVER, F_SETFL, 0);
    flush_outgoing();
    _exit(code);
}

static void initialize(const unsigned char *payload, uint32_t length) {
    if (configuration.is_loaded) violation("a second INIT");
    const char *wrong = load_configuration(payload, length);
    if (wrong != NULL) {
        send_error(0, PERMANENT, "start_failed", wrong, NULL, 0);
        leave(1);
    }
    make_invocations(configuration.concurrency);
    unsigned char credit[4];
    put32(credit, configuration.concurrency);
    send_frame(READY, 0, 0, NULL, 0);
    send_frame(CREDIT, 0, 0, credit, sizeof credit);
}

static void handle(int type, int flags, uint64_t stream, int64_t deadline, const unsigned char *payload,
                   uint32_t length) {
    if (type == INIT) return initialize(payload, length);
    if (type == DRAIN) {
        is_draining = true;
        return;
    }
    if (!configuration.is_loaded) violation("a frame before INIT");
    switch (type) {
    case INVOKE: return invoke(stream, flags, deadline, payload, length);
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
        handle(head[4], head[5], get64(head + 8), (int64_t)get64(head + 16), head + HEADER_BYTES, length);
        at += HEADER_BYTES + length;
    }
    if (at > 0) memmove(incoming, incoming + at, filled -= at);
}

static void read_server(void) {
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

// What was held up by a full buffer can go on since it was flushed: nothing else would wake us for it.
static bool is_held_up_no_more(void) {
    if (outgoing_room() < FRAME_BYTES) return false;
    if (filled >= HEADER_BYTES && filled >= HEADER_BYTES + get32(incoming)) return true;
    for (int index = 0; index < CONCURRENCY_MAX; index++) {
        const struct invocation *of = &invocations[index];
        if (of->state == INVOCATION_ANSWERING || (of->state == INVOCATION_RUNNING && of->has_exited)) return true;
    }
    return false;
}

// Waits for whatever can go on. What the server does not take holds up what would be written to it.
static bool wait_for_work(int signals, bool *has_server) {
    struct pollfd polled[POLLED_MAX];
    int count = watch(polled, 0, signals, POLLIN);
    bool has_room = outgoing_room() >= FRAME_BYTES;
    int server = has_room && filled < sizeof incoming ? count : -1;
    if (server >= 0) count = watch(polled, count, FROM_SERVER, POLLIN);
    if (!outgoing_is_empty()) count = watch(polled, count, TO_SERVER, POLLOUT);
    for (int index = 0; index < CONCURRENCY_MAX; index++) {
        const struct invocation *of = &invocations[index];
        if (of->state != INVOCATION_RUNNING) continue;
        count = watch(polled, count, of->in, POLLOUT);
        count = watch(polled, count, of->out, POLLIN);
        count = watch(polled, count, of->reply, POLLIN);
        if (has_room) count = watch(polled, count, of->errors, POLLIN);
    }
    int timeout = is_held_up_no_more() ? 0 : check_times();
    if (poll(polled, (nfds_t)count, timeout) < 0 && errno != EINTR) violation("poll failed");
    *has_server = server >= 0 && polled[server].revents != 0;
    return polled[0].revents != 0;
}

static void serve_invocations(void) {
    for (int index = 0; index < CONCURRENCY_MAX; index++) {
        struct invocation *of = &invocations[index];
        if (of->state == INVOCATION_RUNNING) {
            if (of->in >= 0) write_input(of);
            if (of->out >= 0) read_output(of);
            if (of->reply >= 0) read_reply(of);
            if (of->errors >= 0 && outgoing_room() >= FRAME_BYTES) read_errors(of);
            finish_if_done(of);
        }
        answer(of);
    }
}

static int take_signals(void) {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

int main(void) {
    // What an event makes the command do has the same user: it may not reach into this process, nor into its pipes.
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
        serve_invocations();
        flush_outgoing();
        if (is_draining && is_idle()) {
            send_frame(BYE, 0, 0, NULL, 0);
            leave(0);
        }
        bool has_server = false;
        if (wait_for_work(signals, &has_server)) {
            struct signalfd_siginfo info;
            while (read(signals, &info, sizeof info) > 0) continue;
            reap_processes();
        }
        if (has_server) read_server();
    }
}
