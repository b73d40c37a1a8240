#pragma once
// System calls and constants that Debian 12's headers lack or that glibc has no function for.

#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_open_tree
#define SYS_open_tree 428
#define SYS_move_mount 429
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif

// Landlock grew after Debian's header: the whole structure and every right this code knows, by ABI.
struct ruleset_attributes {
    uint64_t handled_access_fs;
    uint64_t handled_access_net;
    uint64_t scoped;
};
#define LANDLOCK_FS_ABI1 ((1ULL << 13) - 1)
#define LANDLOCK_FS_REFER (1ULL << 13)
#define LANDLOCK_FS_TRUNCATE (1ULL << 14)
#define LANDLOCK_FS_IOCTL_DEV (1ULL << 15)
#define LANDLOCK_NET_TCP 3ULL
#define LANDLOCK_NET_CONNECT_TCP 2ULL
#define LANDLOCK_RULE_PORT 2
struct port_attributes {
    uint64_t allowed_access;
    uint64_t port;
};
#define LANDLOCK_SCOPE_ALL 3ULL
#define LANDLOCK_RESTRICT_LOG_NEW_EXEC_ON (1U << 1)

struct mount_attributes {
    uint64_t attr_set;
    uint64_t attr_clr;
    uint64_t propagation;
    uint64_t userns_fd;
};
#define MOUNT_RDONLY 1ULL
#define MOUNT_NOSUID 2ULL
#define MOUNT_NODEV 4ULL
#define MOUNT_NOEXEC 8ULL
#define TREE_CLONE 1
#define TREE_RECURSIVE 0x8000
#define MOVE_FROM_EMPTY_PATH 4

struct clone_arguments {
    uint64_t flags;
    uint64_t pidfd;
    uint64_t child_tid;
    uint64_t parent_tid;
    uint64_t exit_signal;
    uint64_t stack;
    uint64_t stack_size;
    uint64_t tls;
    uint64_t set_tid;
    uint64_t set_tid_size;
    uint64_t cgroup;
};
#define CLONE_FLAG_PIDFD 0x1000ULL
#define CLONE_FLAG_INTO_CGROUP 0x200000000ULL

static inline int open_beneath(int directory, const char *path, uint64_t flags) {
    struct open_how how = {
        .flags = flags | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    return (int)syscall(SYS_openat2, directory, path, &how, sizeof how);
}

// A folder right here: never through a link, never into another mount.
static inline int open_child(int directory, const char *name) {
    struct open_how how = {
        .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
    };
    return (int)syscall(SYS_openat2, directory, name, &how, sizeof how);
}

static inline int clone_tree(int directory, const char *path, unsigned flags) {
    return (int)syscall(SYS_open_tree, directory, path, flags | TREE_CLONE | O_CLOEXEC);
}

static inline int set_mount_attributes(int directory, const char *path, unsigned flags, uint64_t set) {
    struct mount_attributes attributes = {.attr_set = set};
    return (int)syscall(SYS_mount_setattr, directory, path, flags, &attributes, sizeof attributes);
}

// What happens to the mounts of `tree` stays there: nothing is passed on to where they were cloned from.
static inline int make_private(int tree) {
    struct mount_attributes attributes = {.propagation = MS_PRIVATE};
    return (int)syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | TREE_RECURSIVE, &attributes, sizeof attributes);
}

static inline int attach_tree(int tree, const char *path) {
    return (int)syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_FROM_EMPTY_PATH);
}

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_MDWE_REFUSE_EXEC_GAIN 1
#endif

static inline int open_process(pid_t process) { return (int)syscall(SYS_pidfd_open, process, 0); }
static inline int signal_process(int process, int signal) {
    return (int)syscall(SYS_pidfd_send_signal, process, signal, NULL, 0);
}
static inline int close_descriptors(unsigned first, unsigned last, unsigned flags) {
    return (int)syscall(SYS_close_range, first, last, flags);
}
