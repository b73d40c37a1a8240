// Requests in, events out. A channel with an answer that its socket did not take reads no further request, and an exit
// waits in its slot, so that nothing is ever lost and nothing grows.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nursery.h"

// How many requests of one channel are served before the others get their turn.
#define REQUESTS_PER_TURN 16

static struct {
    struct nursery_request request;
    char strings[NURSERY_STRING_BYTES_MAX + 1];
} inbox;

void copy_text(char *target, size_t size, const char *text) {
    size_t length = strlen(text);
    if (length >= size) length = size - 1;
    memcpy(target, text, length);
    target[length] = 0;
}

bool is_hash(const char *text) {
    for (int index = 0; index < NURSERY_HASH_BYTES; index++) {
        char digit = text[index];
        if (!((digit >= '0' && digit <= '9') || (digit >= 'a' && digit <= 'f'))) return false;
    }
    return true;
}

void watch_channel(int channel) {
    struct channel *target = &nursery.channels[channel];
    if (!target->is_open) return;
    uint32_t wanted = target->has_pending ? EPOLLOUT : EPOLLIN | (target->has_unsent_exits ? EPOLLOUT : 0u);
    if (wanted == target->watched) return;
    struct epoll_event event = {.events = wanted, .data.u64 = (uint64_t)channel};
    epoll_ctl(nursery.epoll, target->watched == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, target->descriptor, &event);
    target->watched = wanted;
}

// False when the socket is full; a broken socket counts as sent, its end is seen by reading.
bool send_event(int channel, const struct nursery_event *event, const int *descriptors, int count) {
    struct iovec part = {.iov_base = (void *)event, .iov_len = sizeof *event};
    union {
        char bytes[CMSG_SPACE(sizeof(int) * NURSERY_DESCRIPTORS)];
        struct cmsghdr align;
    } control;
    memset(&control, 0, sizeof control);
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
        memcpy(CMSG_DATA(head), descriptors, sizeof(int) * (size_t)count);
    }
    while (sendmsg(nursery.channels[channel].descriptor, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno == EINTR) continue;
        if (errno == EAGAIN || errno == ENOBUFS || errno == ETOOMANYREFS) return false;
        break;
    }
    return true;
}

// Takes the descriptors: they are closed here once they are sent.
void answer(int channel, const struct nursery_event *event, const int *descriptors, int count) {
    struct channel *target = &nursery.channels[channel];
    if (target->is_open && !send_event(channel, event, descriptors, count)) {
        target->pending = *event;
        memcpy(target->pending_descriptors, descriptors, sizeof(int) * (size_t)count);
        target->pending_count = count;
        target->has_pending = true;
        watch_channel(channel);
        return;
    }
    for (int index = 0; index < count; index++) close(descriptors[index]);
}

void refuse(int channel, uint64_t ticket, uint32_t flags, int error, const char *stage, const char *message) {
    struct nursery_event event = {
        .magic = NURSERY_MAGIC, .kind = NURSERY_FAILED, .ticket = ticket, .flags = flags, .error = error};
    copy_text(event.stage, sizeof event.stage, stage);
    if (error != 0) {
        snprintf(event.message, sizeof event.message, "%s: %s", message, strerror(error));
    } else {
        copy_text(event.message, sizeof event.message, message);
    }
    answer(channel, &event, NULL, 0);
}

static void close_channel(int channel) {
    struct channel *target = &nursery.channels[channel];
    if (!target->is_open) return;
    target->is_open = false;
    if (target->has_pending) {
        for (int index = 0; index < target->pending_count; index++) close(target->pending_descriptors[index]);
        target->has_pending = false;
    }
    close(target->descriptor);
    // Nobody is left to hear of these sandboxes, and nobody else may use them.
    kill_channel(channel);
}

static bool is_well_formed(size_t length) {
    const struct nursery_request *request = &inbox.request;
    if (length < sizeof *request || request->magic != NURSERY_MAGIC) return false;
    uint64_t strings = (uint64_t)request->argument_bytes + request->environment_bytes;
    return strings <= NURSERY_STRING_BYTES_MAX && length == sizeof *request + strings;
}

static void serve(int channel) {
    const struct nursery_request *request = &inbox.request;
    switch (request->operation) {
        case NURSERY_LAUNCH:
            launch(channel, request, inbox.strings);
            break;
        case NURSERY_KILL:
            kill_ticket(channel, request->ticket);
            break;
        case NURSERY_PREPARE:
        case NURSERY_SEAL:
        case NURSERY_DISCARD:
            start_layer_job(channel, request);
            break;
        case NURSERY_PROBE: {
            struct nursery_event event = {.magic = NURSERY_MAGIC, .kind = NURSERY_REPORT, .ticket = request->ticket};
            report(&event);
            answer(channel, &event, NULL, 0);
            break;
        }
        default:
            refuse(channel, request->ticket, NURSERY_INVALID, 0, "request", "unknown operation");
    }
}

void read_channel(int channel) {
    struct channel *target = &nursery.channels[channel];
    for (int count = 0; count < REQUESTS_PER_TURN && target->is_open && !target->has_pending; count++) {
        ssize_t length = recv(target->descriptor, &inbox, sizeof inbox, MSG_DONTWAIT | MSG_TRUNC);
        if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (length <= 0) {
            close_channel(channel);
            return;
        }
        if ((size_t)length > sizeof inbox || !is_well_formed((size_t)length)) {
            refuse(channel, (size_t)length >= sizeof inbox.request ? inbox.request.ticket : 0, NURSERY_INVALID, 0,
                   "request", "malformed request");
            continue;
        }
        serve(channel);
    }
}

void flush_channel(int channel) {
    struct channel *target = &nursery.channels[channel];
    if (!target->is_open) return;
    if (target->has_pending) {
        if (!send_event(channel, &target->pending, target->pending_descriptors, target->pending_count)) return;
        for (int index = 0; index < target->pending_count; index++) close(target->pending_descriptors[index]);
        target->has_pending = false;
    }
    report_exits(channel);
    report_layer_job(channel);
    watch_channel(channel);
}
