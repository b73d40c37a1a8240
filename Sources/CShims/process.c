#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define DESCRIPTORS_MAX 64
// Enough for the upgrade of one server; a second one waits here until the first was refused.
#define HAND_OVER_BACKLOG 4

int apus_signal_descriptor(const sigset_t *signals) {
    int descriptor = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return descriptor < 0 ? -errno : descriptor;
}

int apus_next_signal(int descriptor) {
    struct signalfd_siginfo info;
    ssize_t length = read(descriptor, &info, sizeof info);
    if (length == (ssize_t)sizeof info) return (int)info.ssi_signo;
    return length < 0 && errno != EAGAIN ? -errno : 0;
}

void apus_give_back_memory(void) { malloc_trim(0); }

int apus_bound_kept_memory(int mapped, int kept) {
    return mallopt(M_MMAP_THRESHOLD, mapped) && mallopt(M_TRIM_THRESHOLD, kept) ? 0 : -EINVAL;
}

int apus_notify(const char *path, const char *text) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length < 2 || length >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@')) return -EINVAL;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') address.sun_path[0] = 0;
    int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    ssize_t sent = sendto(descriptor, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&address, size);
    int error = errno;
    close(descriptor);
    return sent < 0 ? -error : 0;
}

// All of it, or less at the end.
static size_t read_all(int descriptor, void *bytes, size_t size) {
    size_t done = 0;
    while (done < size) {
        ssize_t length = read(descriptor, (char *)bytes + done, size - done);
        if (length < 0 && errno == EINTR) continue;
        if (length <= 0) break;
        done += (size_t)length;
    }
    return done;
}

static void await_server(int report, const char *notify) {
    pid_t server = 0;
    unsigned char code = 1;
    if (read_all(report, &server, sizeof server) != sizeof server || read_all(report, &code, 1) != 1) _exit(1);
    if (code == 0 && notify != NULL) {
        char text[64];
        snprintf(text, sizeof text, "MAINPID=%d\nREADY=1", (int)server);
        apus_notify(notify, text);
    }
    _exit(code);
}

int apus_continue_in_background(const char *notify) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return -errno;
    pid_t middle = fork();
    if (middle < 0) {
        int error = errno;
        close(ends[0]);
        close(ends[1]);
        return -error;
    }
    if (middle > 0) {
        close(ends[1]);
        int status;
        while (waitpid(middle, &status, 0) < 0 && errno == EINTR) continue;
        await_server(ends[0], notify);
    }
    close(ends[0]);
    setsid();
    // The one in the middle ends at once, so that the server is its supervisor's child before that hears of it: systemd does not wait
    // for the end of a main process that is another one's child, and would kill it where it should let it stop.
    pid_t server = fork();
    if (server != 0) _exit(server < 0 ? 1 : 0);
    server = getpid();
    if (write(ends[1], &server, sizeof server) != sizeof server) _exit(1);
    return ends[1];
}

// Through the folder's descriptor: its path may be longer than an address holds, and may come to mean another folder.
static int make_address(int folder, const char *name, struct sockaddr_un *address) {
    address->sun_family = AF_UNIX;
    int length = snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s", folder, name);
    return length > 0 && (size_t)length < sizeof address->sun_path ? 0 : -ENAMETOOLONG;
}

int apus_hand_over_listen(int folder, const char *name) {
    struct sockaddr_un address;
    int result = make_address(folder, name, &address);
    if (result != 0) return result;
    int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0) return -errno;
    if (unlinkat(folder, name, 0) != 0 && errno != ENOENT) goto failed;
    // Linux gives the file the rights of the socket; the process's mask, which holds for every thread, stays as it is.
    if (fchmod(descriptor, S_IRUSR | S_IWUSR) == 0 && bind(descriptor, (struct sockaddr *)&address, sizeof address) == 0
        && listen(descriptor, HAND_OVER_BACKLOG) == 0)
        return descriptor;
failed:
    result = -errno;
    close(descriptor);
    return result;
}

int apus_hand_over_connect(int folder, const char *name) {
    struct sockaddr_un address;
    int result = make_address(folder, name, &address);
    if (result != 0) return result;
    // A link could lead anywhere, and this may be root.
    struct stat about;
    if (fstatat(folder, name, &about, AT_SYMLINK_NOFOLLOW) != 0) return -errno;
    if (!S_ISSOCK(about.st_mode)) return -ENOTSOCK;
    int descriptor = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0) return descriptor;
    result = -errno;
    close(descriptor);
    return result;
}

int apus_hand_over_accept(int listener) {
    int descriptor = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

int apus_hand_over_peer(int socket, uid_t *user, pid_t *process) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return -errno;
    *user = peer.uid;
    *process = peer.pid;
    return 0;
}

union control {
    char bytes[CMSG_SPACE(sizeof(int) * DESCRIPTORS_MAX)];
    struct cmsghdr align;
};

int apus_hand_over_send(int socket, const void *bytes, size_t length, const int *descriptors, int count) {
    if (count < 0 || count > DESCRIPTORS_MAX) return -EINVAL;
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = length};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    union control control;
    if (count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)count);
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)count);
        memcpy(CMSG_DATA(head), descriptors, sizeof(int) * (size_t)count);
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

ssize_t apus_hand_over_receive(int socket, void *bytes, size_t size, int *descriptors, int *count, int milliseconds) {
    struct pollfd target = {.fd = socket, .events = POLLIN};
    *count = 0;
    int ready;
    while ((ready = poll(&target, 1, milliseconds)) < 0 && errno == EINTR) continue;
    if (ready <= 0) return ready < 0 ? -errno : -ETIMEDOUT;
    struct iovec part = {.iov_base = bytes, .iov_len = size};
    union control control;
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (length < 0) return -errno;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head != NULL; head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
        int received = (int)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(descriptors, CMSG_DATA(head), sizeof(int) * (size_t)received);
        *count = received;
    }
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0) return length;
    for (int index = 0; index < *count; index++) close(descriptors[index]);
    *count = 0;
    return -EMSGSIZE;
}

int apus_is_listening(int descriptor) {
    int type = 0, listens = 0, domain = 0;
    socklen_t size = sizeof type;
    if (getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) != 0 || type != SOCK_STREAM) return 0;
    size = sizeof listens;
    if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 || !listens) return 0;
    size = sizeof domain;
    if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0) return 0;
    return domain == AF_INET || domain == AF_INET6;
}
