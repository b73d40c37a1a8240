#pragma once
// One message with one descriptor, or none, over a SEQPACKET socket: between the nursery, its zygotes, its auditor and the
// sandboxes that hand over their listener. Nothing here allocates.

#include <string.h>
#include <sys/socket.h>

union passed {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

// `descriptor` goes along unless it is -1. Returns what sendmsg does.
static inline ssize_t send_with(int socket, const void *bytes, size_t length, int descriptor, int flags) {
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = length};
    union passed control;
    memset(&control, 0, sizeof control);
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(head), &descriptor, sizeof(int));
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL | flags);
}

// Does not wait. `descriptor` is what came along, or -1. Returns what recvmsg does.
static inline ssize_t receive_with(int socket, void *bytes, size_t size, int *descriptor) {
    struct iovec part = {.iov_base = bytes, .iov_len = size};
    union passed control;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    *descriptor = -1;
    ssize_t length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    struct cmsghdr *head = length > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (head != NULL && head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(descriptor, CMSG_DATA(head), sizeof(int));
    return length;
}
