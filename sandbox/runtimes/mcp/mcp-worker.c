// The worker for `runtime: mcp`: frames on one side, lines of JSON-RPC on the other. One thread, one poll.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>

#include "mcp.h"

#define MESSAGE_BYTES 1024

const char runtime_name[] = "mcp";

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

void handshake_done(void) { send_ready(); }

void initialize(const char *wrong) {
    if (wrong != NULL) give_up("%s", wrong);
    make_calls(configuration.concurrency);
    start_server();
    begin_handshake();
}

bool take_frame(const struct frame *frame) {
    switch (frame->type) {
    case INVOKE:
        if (handshake != HANDSHAKE_DONE) violation("an INVOKE before READY");
        invoke(frame->stream, frame->flags, frame->payload, frame->length);
        return true;
    case DATA: receive_data(frame->stream, frame->flags, frame->payload, frame->length); return true;
    case CANCEL: cancel(frame->stream); return true;
    default: return false;
    }
}

// Waits for whatever can go on. What the other side does not take holds up what would be written to it.
static void wait_for_work(int signals) {
    struct pollfd polled[5];
    bool has_room = outgoing_room() >= FRAME_BYTES;
    int count = watch(polled, 0, signals, POLLIN);
    int frames = watch_server(polled, &count);
    if (has_room) count = watch(polled, count, from_server(), POLLIN);
    if (wants_to_write()) count = watch(polled, count, to_server(), POLLOUT);
    // What was held up by a full buffer can go on since it was flushed: nothing else would wake us for it.
    int timeout = has_room && (has_whole_frame() || is_sending()) ? 0 : -1;
    if (poll(polled, (nfds_t)count, timeout) < 0 && errno != EINTR) violation("poll failed");
    if (polled[0].revents != 0) {
        forget_signals(signals);
        reap_processes();
    }
    if (frames >= 0 && polled[frames].revents != 0) read_incoming();
}

int main(void) {
    int signals = begin_worker();
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
