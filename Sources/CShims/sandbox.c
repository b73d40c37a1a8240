#define _GNU_SOURCE
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Above every number that the nursery is given, so that moving one into place never closes another.
#define SPARE_FIRST 256
#define DESCRIPTORS_MAX 128

static void run(const char *path, char *const arguments[], const int *descriptors, int count) {
    int moved[DESCRIPTORS_MAX];
    for (int index = 0; index < count; index++) {
        moved[index] = fcntl(descriptors[index], F_DUPFD_CLOEXEC, SPARE_FIRST);
        if (moved[index] < 0) _exit(126);
    }
    for (int index = 0; index < count; index++) {
        if (dup2(moved[index], 3 + index) < 0) _exit(126);
    }
    syscall(SYS_close_range, (unsigned)(3 + count), ~0U, 0);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    char *const environment[] = {"PATH=/usr/bin:/bin", NULL};
    execve(path, arguments, environment);
    _exit(127);
}

int apus_spawn_nursery(const char *path, char *const arguments[], const int *descriptors, int count) {
    if (count > DESCRIPTORS_MAX) return -EINVAL;
    pid_t process = fork();
    if (process == 0) run(path, arguments, descriptors, count);
    return process < 0 ? -errno : process;
}

int apus_packet_pair(int ends[2]) {
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return -errno;
    if (fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0) return 0;
    int error = errno;
    close(ends[0]);
    close(ends[1]);
    return -error;
}

ssize_t apus_receive_event(int socket, struct nursery_event *event, int descriptors[NURSERY_DESCRIPTORS],
                           int *received) {
    int records = 0;
    return apus_receive_event_with(socket, event, NULL, &records, descriptors, received);
}

ssize_t apus_receive_event_with(int socket, struct nursery_event *event, struct nursery_denial *denials, int *records,
                                int descriptors[NURSERY_DESCRIPTORS], int *received) {
    struct iovec parts[2] = {
        {.iov_base = event, .iov_len = sizeof *event},
        {.iov_base = denials, .iov_len = denials == NULL ? 0 : NURSERY_AUDIT_RECORDS_MAX * sizeof *denials}};
    union {
        char bytes[CMSG_SPACE(sizeof(int) * NURSERY_DESCRIPTORS)];
        struct cmsghdr align;
    } control;
    struct msghdr message = {.msg_iov = parts,
                             .msg_iovlen = denials == NULL ? 1 : 2,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    *received = 0;
    *records = 0;
    ssize_t length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    if (length < 0) return -errno;
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head != NULL; head = CMSG_NXTHDR(&message, head)) {
        if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
        int count = (int)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(descriptors, CMSG_DATA(head), sizeof(int) * (size_t)count);
        *received = count;
    }
    if (length <= (ssize_t)sizeof *event) return length;
    *records = (int)(((size_t)length - sizeof *event) / sizeof *denials);
    return sizeof *event;
}

int apus_audit_copy(const struct nursery_audit *audit, uint32_t slot, uint64_t ticket,
                    struct nursery_audit_entry *into) {
    const struct nursery_audit_entry *entry = &audit->entries[slot];
    if (__atomic_load_n(&entry->ticket, __ATOMIC_ACQUIRE) != ticket) return 0;
    (void)__atomic_load_n(&entry->total, __ATOMIC_ACQUIRE);
    memcpy(into, entry, sizeof *into);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return __atomic_load_n(&entry->ticket, __ATOMIC_ACQUIRE) == ticket;
}

ssize_t apus_send_request(int socket, const struct nursery_request *request, const void *strings, size_t length,
                          int descriptor) {
    struct iovec parts[2] = {{.iov_base = (void *)request, .iov_len = sizeof *request},
                             {.iov_base = (void *)strings, .iov_len = length}};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    memset(&control, 0, sizeof control);
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = length > 0 ? 2 : 1};
    if (descriptor >= 0) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(head), &descriptor, sizeof descriptor);
    }
    ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? -errno : sent;
}

int apus_wait_readable(int socket, int milliseconds) {
    struct pollfd target = {.fd = socket, .events = POLLIN};
    int result = poll(&target, 1, milliseconds);
    return result < 0 ? -errno : result;
}

int apus_close_inherited(void) { return syscall(SYS_close_range, 3U, ~0U, 0) == 0 ? 0 : -errno; }

long apus_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return -errno;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) return -errno;
    return (long)limit.rlim_cur;
}

static int drop_bounding_set(void) {
    for (int capability = 0; capability < 64; capability++) {
        if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) < 0) break;
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) return -1;
    }
    return prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

static int drop_capabilities(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2];
    memset(none, 0, sizeof none);
    return (int)syscall(SYS_capset, &header, none);
}

#define DO(name, call)                  \
    do {                                \
        *step = (name);                 \
        if ((call) != 0) return -errno; \
    } while (0)

int apus_drop_privileges(uid_t user, gid_t group, const char **step) {
    // The bounding set goes first, while SETPCAP is there; then groups and user; what capabilities are left after that;
    // and the promise that no program executed later gains any.
    DO("bounding set", drop_bounding_set());
    DO("groups", setgroups(0, NULL));
    DO("group", setresgid(group, group, group));
    DO("user", setresuid(user, user, user));
    DO("capabilities", drop_capabilities());
    // Root's session keyring would stay within reach. A host that forbids keyrings has nothing to leave behind.
    (void)syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0);
    DO("no new privileges", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    *step = "check";
    return apus_verify_dropped(user, group);
}

int apus_verify_dropped(uid_t user, gid_t group) {
    uid_t users[3];
    gid_t groups[3];
    if (getresuid(&users[0], &users[1], &users[2]) != 0 || getresgid(&groups[0], &groups[1], &groups[2]) != 0)
        return -errno;
    for (int index = 0; index < 3; index++) {
        if (users[index] != user || groups[index] != group) return -EPERM;
    }
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct left[2];
    if (syscall(SYS_capget, &header, left) != 0) return -errno;
    for (int index = 0; index < 2; index++) {
        if (left[index].effective != 0 || left[index].permitted != 0 || left[index].inheritable != 0) return -EPERM;
    }
    if (getgroups(0, NULL) != 0) return -EPERM;
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? 0 : -EPERM;
}

int apus_forgo_privileges(void) {
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0 || drop_capabilities() != 0) return -errno;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : -errno;
}

int apus_reap(pid_t process, int *status) {
    pid_t result = waitpid(process, status, WNOHANG);
    return result < 0 ? -errno : result == process ? 1 : 0;
}

int apus_wait_for(pid_t process, int *status) {
    while (waitpid(process, status, 0) < 0) {
        if (errno != EINTR) return -errno;
    }
    return 1;
}
