#define _GNU_SOURCE
#include "channel.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

// MFD_NOEXEC_SEAL, newer than the headers.
#define NO_EXEC_SEAL 8u

int apus_channel_sealed_memory(const void *bytes, size_t size) {
    // Never to be executed, where the kernel (6.3 and newer) knows how to say so.
    int descriptor = memfd_create("apus", MFD_CLOEXEC | MFD_ALLOW_SEALING | NO_EXEC_SEAL);
    if (descriptor < 0 && errno == EINVAL) descriptor = memfd_create("apus", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor < 0) return -errno;
    for (size_t at = 0; at < size;) {
        ssize_t written = write(descriptor, (const char *)bytes + at, size - at);
        if (written < 0) {
            if (errno == EINTR) continue;
            int failure = errno;
            close(descriptor);
            return -failure;
        }
        at += (size_t)written;
    }
    if (lseek(descriptor, 0, SEEK_SET) < 0 ||
        fcntl(descriptor, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0) {
        int failure = errno;
        close(descriptor);
        return -failure;
    }
    return descriptor;
}

int apus_channel_seals(int descriptor) {
    int seals = fcntl(descriptor, F_GET_SEALS);
    return seals < 0 ? -errno : seals;
}

typedef union {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
} Control;

static int send_descriptors(int socket, const int *descriptors, size_t count, uint64_t stream) {
    struct iovec part = {&stream, sizeof stream};
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(APUS_CALL_DESCRIPTORS * sizeof(int))];
    } control;
    memset(&control, 0, sizeof control);
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = CMSG_SPACE(count * sizeof(int))};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(head), descriptors, count * sizeof(int));
    for (;;) {
        ssize_t sent = sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent == (ssize_t)sizeof stream) return 0;
        if (sent < 0 && errno == EINTR) continue;
        return sent < 0 ? -errno : -EMSGSIZE;
    }
}

int apus_channel_send_descriptor(int socket, int descriptor, uint64_t stream) {
    return send_descriptors(socket, &descriptor, 1, stream);
}

int apus_channel_send_call(int socket, const int *call, uint64_t stream) {
    return send_descriptors(socket, call, APUS_CALL_DESCRIPTORS, stream);
}

int apus_channel_receive_descriptor(int socket, uint64_t *stream) {
    struct iovec part = {stream, sizeof *stream};
    Control control;
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    ssize_t received;
    do received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    while (received < 0 && errno == EINTR);
    if (received < 0) return -errno;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (received != (ssize_t)sizeof *stream || !head || head->cmsg_type != SCM_RIGHTS || head->cmsg_len != CMSG_LEN(sizeof(int)))
        return -EPROTO;
    int descriptor;
    memcpy(&descriptor, CMSG_DATA(head), sizeof descriptor);
    return descriptor;
}

void apus_channel_widen_pipe(int descriptor, int bytes) { (void)fcntl(descriptor, F_SETPIPE_SZ, bytes); }

int apus_channel_waiting(int descriptor) {
    int count = 0;
    return ioctl(descriptor, FIONREAD, &count) < 0 ? -errno : count;
}
