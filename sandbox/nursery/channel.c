// Requests in, events out. A channel with an answer that its socket did not take reads no further request, and an exit
// waits in its slot, so that nothing is ever lost and nothing grows.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nursery.h"

// How many requests of one channel are served before the others get their turn.
#define REQUESTS_PER_TURN 16
// As many as the kernel carries with one packet (SCM_MAX_FD): with room for all of them it drops none on our behalf.
#define DESCRIPTORS_SENT_MAX 253

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
static bool send_parts(int channel, struct iovec *parts, size_t part_count, const int *descriptors, int count) {
    union {
        char bytes[CMSG_SPACE(sizeof(int) * NURSERY_DESCRIPTORS)];
        struct cmsghdr align;
    } control;
    memset(&control, 0, sizeof control);
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = part_count};
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

bool send_event(int channel, const struct nursery_event *event, const int *descriptors, int count) {
    struct iovec part = {.iov_base = (void *)event, .iov_len = sizeof *event};
    return send_parts(channel, &part, 1, descriptors, count);
}

bool send_event_with(int channel, const struct nursery_event *event, const struct nursery_denial *denials,
                     uint32_t denial_count) {
    struct iovec parts[2] = {{.iov_base = (void *)event, .iov_len = sizeof *event},
                             {.iov_base = (void *)denials, .iov_len = denial_count * sizeof *denials}};
    return send_parts(channel, parts, denial_count > 0 ? 2 : 1, NULL, 0);
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

static void serve(int channel, int secrets) {
    const struct nursery_request *request = &inbox.request;
    switch (request->operation) {
        case NURSERY_LAUNCH:
            launch(channel, request, inbox.strings, secrets);
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

// Memory that nobody can change any more, of bounded size: nothing else may be passed on to a sandbox.
static bool is_sealed_memory(int descriptor) {
    const int sealed = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
    int seals = fcntl(descriptor, F_GET_SEALS);
    struct stat about;
    return seals >= 0 && (seals & sealed) == sealed && fstat(descriptor, &about) == 0 && S_ISREG(about.st_mode) &&
           about.st_size <= NURSERY_SECRETS_BYTES_MAX;
}

// Into the inbox. `descriptors` gets what came with it, close-on-exec, and `count` how many there are.
static ssize_t receive(int socket, int descriptors[DESCRIPTORS_SENT_MAX], int *count) {
    struct iovec part = {.iov_base = &inbox, .iov_len = sizeof inbox};
    union {
        char bytes[CMSG_SPACE(sizeof(int) * DESCRIPTORS_SENT_MAX)];
        struct cmsghdr align;
    } control;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    *count = 0;
    ssize_t length = recvmsg(socket, &message, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
    if (length < 0) return length;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head != NULL; head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
        size_t bytes = head->cmsg_len - CMSG_LEN(0);
        if (bytes > sizeof(int) * DESCRIPTORS_SENT_MAX) continue;
        memcpy(descriptors, CMSG_DATA(head), bytes);
        *count = (int)(bytes / sizeof(int));
    }
    return length;
}

void read_channel(int channel) {
    struct channel *target = &nursery.channels[channel];
    for (int count = 0; count < REQUESTS_PER_TURN && target->is_open && !target->has_pending; count++) {
        int descriptors[DESCRIPTORS_SENT_MAX], sent = 0;
        ssize_t length = receive(target->descriptor, descriptors, &sent);
        if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
        if (length <= 0) {
            close_channel(channel);
            return;
        }
        // Only a server that was taken over sends anything else. What it sent is not even closed: closing may block (a
        // socket that lingers, a file of a slow file system), and with it every sandbox of everyone. Its channel ends,
        // so that this happens once a channel.
        if (sent > 1 || (sent == 1 && !is_sealed_memory(descriptors[0]))) {
            close_channel(channel);
            return;
        }
        int secrets = sent == 1 ? descriptors[0] : -1;
        if ((size_t)length > sizeof inbox || !is_well_formed((size_t)length) ||
            inbox.request.has_secrets != (uint32_t)sent || (sent == 1 && inbox.request.operation != NURSERY_LAUNCH)) {
            refuse(channel, (size_t)length >= sizeof inbox.request ? inbox.request.ticket : 0, NURSERY_INVALID, 0,
                   "request", "malformed request");
            if (secrets >= 0) close(secrets);
            continue;
        }
        serve(channel, secrets);
        // The sandbox has one of its own.
        if (secrets >= 0) close(secrets);
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
