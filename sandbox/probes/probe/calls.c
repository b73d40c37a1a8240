// Attempts on the kernel itself: calls that no function needs.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "probe.h"

#define UNUSED (void)count, (void)values

// mount FOLDER: a tmpfs over it, taken away again.
int call_mount(int count, char **values) {
    if (count < 1) return 2;
    int result = mount("tmpfs", values[0], "tmpfs", 0, NULL);
    if (result == 0) umount2(values[0], MNT_DETACH);
    return say(result);
}

int call_unshare(int count, char **values) {
    UNUSED;
    return say(unshare(CLONE_NEWNS));
}

int call_clone(int count, char **values) {
    UNUSED;
    long child = syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) _exit(0);
    int error = errno;
    if (child > 0) waitpid((pid_t)child, NULL, 0);
    errno = error;
    return say(child);
}

int call_clone3(int count, char **values) {
    UNUSED;
    uint64_t arguments[8] = {CLONE_NEWUTS, 0, 0, 0, SIGCHLD, 0, 0, 0};
    long child = syscall(SYS_clone3, arguments, sizeof arguments);
    if (child == 0) _exit(0);
    int error = errno;
    if (child > 0) waitpid((pid_t)child, NULL, 0);
    errno = error;
    return say(child);
}

int call_setns(int count, char **values) {
    UNUSED;
    int space = open("/proc/self/ns/uts", O_RDONLY);
    return say(setns(space, CLONE_NEWUTS));
}

int call_keyctl(int count, char **values) {
    UNUSED;
    return say(syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1, 0, 0));
}

int call_bpf(int count, char **values) {
    UNUSED;
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.map_type = BPF_MAP_TYPE_ARRAY;
    attributes.key_size = 4;
    attributes.value_size = 4;
    attributes.max_entries = 1;
    return say(syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes));
}

int call_io_uring(int count, char **values) {
    UNUSED;
    char parameters[256];
    memset(parameters, 0, sizeof parameters);
    return say(syscall(SYS_io_uring_setup, 4, parameters));
}

int call_userfaultfd(int count, char **values) {
    UNUSED;
    return say(syscall(SYS_userfaultfd, O_CLOEXEC));
}

// getpid of i386; the number means something else natively.
int call_int80(int count, char **values) {
    UNUSED;
#if defined(__x86_64__)
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20) : "memory");
    return say(result > 0 ? 0 : -1);
#else
    return say(0);
#endif
}

int call_x32(int count, char **values) {
    UNUSED;
    errno = 0;
    return say(syscall(0x40000000 + 39));
}

int call_setuid(int count, char **values) {
    UNUSED;
    return say(setuid(0));
}

int call_setgroups(int count, char **values) {
    UNUSED;
    return say(syscall(SYS_setgroups, 0, NULL));
}

int call_chroot(int count, char **values) {
    UNUSED;
    return say(chroot("/"));
}

// Magic numbers that the kernel refuses: what counts is whether it is asked.
int call_reboot(int count, char **values) {
    UNUSED;
    return say(syscall(SYS_reboot, 0, 0, 0, NULL));
}

int call_init_module(int count, char **values) {
    UNUSED;
    return say(syscall(SYS_init_module, NULL, 0, NULL));
}

int call_personality(int count, char **values) {
    UNUSED;
    return say(personality(ADDR_NO_RANDOMIZE));
}

int call_perf(int count, char **values) {
    UNUSED;
    struct perf_event_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.type = PERF_TYPE_SOFTWARE;
    attributes.size = sizeof attributes;
    attributes.config = PERF_COUNT_SW_CPU_CLOCK;
    return say(syscall(SYS_perf_event_open, &attributes, 0, -1, -1, 0));
}

int call_splice(int count, char **values) {
    UNUSED;
    int file = open_program(), ends[2];
    if (file < 0 || pipe(ends) != 0) return say(-1);
    return say(splice(file, NULL, ends[1], NULL, 1, 0));
}

int call_raise_limit(int count, char **values) {
    UNUSED;
    struct rlimit limit;
    limit.rlim_cur = limit.rlim_max = RLIM_INFINITY;
    return say(setrlimit(RLIMIT_FSIZE, &limit));
}

// At 0 a crash still starts the host's handler of dumps; at 1 it does not.
int call_lower_core(int count, char **values) {
    UNUSED;
    struct rlimit limit = {.rlim_cur = 0, .rlim_max = 0};
    return say(syscall(SYS_prlimit64, 0, RLIMIT_CORE, &limit, NULL));
}

int call_core_limit(int count, char **values) {
    UNUSED;
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) != 0) return say(-1);
    printf("%llu\n", (unsigned long long)limit.rlim_max);
    return 0;
}

int call_watch(int count, char **values) {
    if (count < 1) return 2;
    int watch = inotify_init1(IN_CLOEXEC);
    return say(watch < 0 ? -1 : inotify_add_watch(watch, values[0], IN_OPEN));
}

int call_outlive_parent(int count, char **values) {
    UNUSED;
    return say(prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0));
}

int call_datagram_pair(int count, char **values) {
    UNUSED;
    int pair[2];
    return say(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
}

int call_touch_input(int count, char **values) {
    UNUSED;
    return say(futimens(0, NULL));
}

int call_shmget(int count, char **values) {
    UNUSED;
    int segment = shmget(IPC_PRIVATE, 4096, 0600);
    int error = errno;
    if (segment >= 0) shmctl(segment, IPC_RMID, NULL);
    errno = error;
    return say(segment);
}

int call_queue(int count, char **values) {
    UNUSED;
    mqd_t queue = mq_open("/apus-probe", O_RDWR | O_CREAT, 0600, NULL);
    int error = errno;
    if (queue >= 0) mq_unlink("/apus-probe");
    errno = error;
    return say(queue);
}

// The name it has, so that a control run changes nothing.
int call_sethostname(int count, char **values) {
    UNUSED;
    char name[256];
    if (gethostname(name, sizeof name) != 0) return say(-1);
    return say(sethostname(name, strlen(name)));
}

int call_dumpable(int count, char **values) {
    UNUSED;
    return say(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

// On a pipe the kernel says ENOTTY; in the sandbox the filter says EPERM first.
int call_tiocsti(int count, char **values) {
    UNUSED;
    return say(ioctl(1, TIOCSTI, "x"));
}

// setxattr PATH
int call_setxattr(int count, char **values) {
    if (count < 1) return 2;
    int file = open(values[0], O_WRONLY | O_CREAT, 0600);
    if (file < 0) return say(-1);
    close(file);
    return say(setxattr(values[0], "security.apus", "x", 1, 0));
}
