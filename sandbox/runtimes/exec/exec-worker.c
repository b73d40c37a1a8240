// The worker for `runtime: exec`: runs a process for each event. One thread, one poll.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>

#include "worker.h"

// The server's pipe, our own, the signals, and four of each invocation.
#define POLLED_MAX (3 + 4 * CONCURRENCY_MAX)

const char runtime_name[] = "exec";

void initialize(const char *wrong) {
    if (wrong != NULL) {
        send_error(0, PERMANENT, "start_failed", wrong, NULL, 0);
        leave(1);
    }
    make_invocations(configuration.concurrency);
    send_ready();
}

bool take_frame(const struct frame *frame) {
    switch (frame->type) {
    case INVOKE: invoke(frame->stream, frame->flags, frame->deadline, frame->payload, frame->length); return true;
    case DATA: receive_data(frame->stream, frame->flags, frame->payload, frame->length); return true;
    case CANCEL: cancel(frame->stream); return true;
    default: return false;
    }
}

// What was held up by a full buffer can go on since it was flushed: nothing else would wake us for it.
static bool is_held_up_no_more(void) {
    if (outgoing_room() < FRAME_BYTES) return false;
    if (has_whole_frame()) return true;
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
    int server = watch_server(polled, &count);
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

int main(void) {
    int signals = begin_worker();
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
            forget_signals(signals);
            reap_processes();
        }
        if (has_server) read_incoming();
    }
}
