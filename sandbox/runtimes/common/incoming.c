// Frames from the server, and what is the same at the beginning and the end of every worker in C.
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

#include "common.h"

#define FEATURES 0u

static unsigned char incoming[2 * FRAME_BYTES];
static size_t filled;
bool is_draining;
bool has_secrets;

void violation(const char *what) {
    fprintf(stderr, "apus: the server broke the worker protocol: %s\n", what);
    kill_everything();
    _exit(70);
}

void leave(int code) {
    kill_everything();
    flush_outgoing();
    // The pipe may be full; the server reads it until its end.
    fcntl(TO_SERVER, F_SETFL, 0);
    flush_outgoing();
    _exit(code);
}

static void say_hello(void) {
    char name[32];
    uint16_t bytes = (uint16_t)snprintf(name, sizeof name, "%s 1", runtime_name);
    unsigned char *to = begin_frame(HELLO, 0, 0, 10u + bytes);
    put16(to, 1);
    put16(to + 2, 1);
    put32(to + 4, FEATURES);
    put16(to + 8, bytes);
    memcpy(to + 10, name, bytes);
}

static int take_signals(void) {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
}

int begin_worker(void) {
    // What it starts has the same user: it may not reach into this process, nor into its pipes.
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    for (int descriptor = FROM_SERVER; descriptor <= 5; descriptor++) fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    // Before anything is opened: then it is the server's or nothing.
    has_secrets = fcntl(SECRETS, F_SETFD, FD_CLOEXEC) == 0;
    fcntl(FROM_SERVER, F_SETFL, O_NONBLOCK);
    fcntl(TO_SERVER, F_SETFL, O_NONBLOCK);
    int signals = take_signals();
    if (signals < 0) violation("no descriptor for signals");
    say_hello();
    return signals;
}

void send_ready(void) {
    unsigned char credit[4];
    put32(credit, configuration.concurrency);
    send_frame(READY, 0, 0, NULL, 0);
    send_frame(CREDIT, 0, 0, credit, sizeof credit);
}

static void handle(const struct frame *frame) {
    if (frame->type == DRAIN) {
        is_draining = true;
        return;
    }
    if (frame->type == INIT) {
        if (configuration.is_loaded) violation("a second INIT");
        return initialize(load_configuration(frame->payload, frame->length));
    }
    if (!configuration.is_loaded) violation("a frame before INIT");
    switch (frame->type) {
    case PING:
    case SLEEP:
    case WAKE:
        return send_frame(frame->type, ANSWER, 0, frame->payload, frame->type == PING ? frame->length : 0);
    default:
        if (!take_frame(frame)) violation("a frame that this worker does not take");
    }
}

void handle_incoming(void) {
    size_t at = 0;
    while (filled - at >= HEADER_BYTES && outgoing_room() >= FRAME_BYTES) {
        const unsigned char *head = incoming + at;
        struct frame frame = {
            .type = head[4], .flags = head[5], .stream = get64(head + 8), .deadline = (int64_t)get64(head + 16),
            .payload = head + HEADER_BYTES, .length = get32(head),
        };
        if (frame.length > PAYLOAD_BYTES || get16(head + 6) != 1 || frame.flags > 63) violation("a malformed frame");
        if (filled - at < HEADER_BYTES + frame.length) break;
        handle(&frame);
        at += HEADER_BYTES + frame.length;
    }
    if (at > 0) memmove(incoming, incoming + at, filled -= at);
}

bool has_whole_frame(void) { return filled >= HEADER_BYTES && filled >= HEADER_BYTES + get32(incoming); }

void read_incoming(void) {
    ssize_t count = read(FROM_SERVER, incoming + filled, sizeof incoming - filled);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (count <= 0) {
        kill_everything();
        _exit(filled == 0 ? 0 : 1);
    }
    filled += (size_t)count;
}

int watch(struct pollfd *polled, int count, int descriptor, short events) {
    if (descriptor < 0) return count;
    polled[count] = (struct pollfd){.fd = descriptor, .events = events};
    return count + 1;
}

int watch_server(struct pollfd *polled, int *count) {
    int at = outgoing_room() >= FRAME_BYTES && filled < sizeof incoming ? *count : -1;
    if (at >= 0) *count = watch(polled, *count, FROM_SERVER, POLLIN);
    if (!outgoing_is_empty()) *count = watch(polled, *count, TO_SERVER, POLLOUT);
    return at;
}

void forget_signals(int signals) {
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) > 0) continue;
}
