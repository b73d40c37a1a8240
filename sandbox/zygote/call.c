// The last steps of a call that was forked from a function's zygote: it shares a sandbox with its siblings and with the
// zygote, and these take away what the sandbox would let it do to them. Straight-line: read it from top to bottom.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../nursery/syscalls.h"
#include "zygote.h"

#define FILTER_INSTRUCTIONS_MAX 256
// From here on Landlock keeps signals and abstract sockets apart, and without that calls are not to share a sandbox.
#define LANDLOCK_ABI_NEEDED 6
#define LANDLOCK_ABI_VERSION 1u

static struct {
    struct sock_filter instructions[FILTER_INSTRUCTIONS_MAX];
    struct sock_fprog filter;
} call;

int apus_call_prepare(int filter) {
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_ABI_VERSION);
    if (abi < LANDLOCK_ABI_NEEDED) return ENOTSUP;
    ssize_t length = pread(filter, call.instructions, sizeof call.instructions, 0);
    if (length <= 0 || (size_t)length == sizeof call.instructions || (size_t)length % sizeof(struct sock_filter) != 0)
        return EINVAL;
    call.filter.filter = call.instructions;
    call.filter.len = (unsigned short)((size_t)length / sizeof(struct sock_filter));
    return close(filter) == 0 ? 0 : errno;
}

static int take_descriptors(const int *descriptors) {
    for (int index = 0; index < APUS_CALL_DESCRIPTORS; index++) {
        if (dup2(descriptors[index], index + 1) != index + 1) return -1;
    }
    // An open file of its own: what all calls share, they could signal each other with.
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) != STDIN_FILENO) return -1;
    // The zygote's, and with them its line to the server, are gone with the numbers that were just taken over; whatever
    // else it had open goes here.
    return close_descriptors(APUS_CALL_DESCRIPTORS + 1, ~0U, 0);
}

static int allow(int ruleset, const char *path, uint64_t rights) {
    int descriptor = open(path, O_PATH | O_CLOEXEC);
    if (descriptor < 0) return errno == ENOENT ? 0 : -1;
    struct landlock_path_beneath_attr rule = {.allowed_access = rights, .parent_fd = descriptor};
    int result = (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    close(descriptor);
    return result;
}

static int restrict_to(const char *folder) {
    const uint64_t read = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    const uint64_t handled = LANDLOCK_FS_ABI1 | LANDLOCK_FS_REFER | LANDLOCK_FS_TRUNCATE | LANDLOCK_FS_IOCTL_DEV;
    const uint64_t denied = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK |
                            LANDLOCK_FS_IOCTL_DEV;
    // The scopes are what keeps a call's signals to itself; a domain of its own is what keeps others from tracing it, from
    // its memory, and from what of /proc says more than that it is there.
    struct ruleset_attributes attributes = {
        .handled_access_fs = handled, .handled_access_net = LANDLOCK_NET_TCP, .scoped = LANDLOCK_SCOPE_ALL};
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0);
    if (ruleset < 0) return -1;
    // The read-only root, the same for every call. Not "/": /tmp and /proc hold what is of others.
    static const char *const readable[] = {"/usr", "/lib", "/lib32",   "/lib64",    "/libx32", "/bin",
                                           "/sbin", "/etc", "/runtime", "/function", "/layer"};
    for (size_t index = 0; index < sizeof readable / sizeof readable[0]; index++) {
        if (allow(ruleset, readable[index], read) != 0) return -1;
    }
    if (allow(ruleset, "/dev", read | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_FS_TRUNCATE) != 0) return -1;
    // Its own folders of /proc alone, by their inodes: the zygote keeps them open, so that they stay the same.
    if (allow(ruleset, "/proc/self", read) != 0) return -1;
    if (allow(ruleset, folder, handled & ~denied) != 0) return -1;
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) return -1;
    return close(ruleset);
}

int apus_call_confine(const int *descriptors, const char *folder, uint64_t data_bytes) {
    // First, so that nothing below is done with anything of the zygote's open.
    if (take_descriptors(descriptors) != 0) return APUS_CALL_DESCRIPTORS_FAILED;
    // A session of its own, as every worker has.
    if (setsid() < 0) return APUS_CALL_SESSION_FAILED;
    // One process per call, as the filter below sees to: so this bounds the call.
    const struct rlimit data = {.rlim_cur = data_bytes, .rlim_max = data_bytes};
    if (setrlimit(RLIMIT_DATA, &data) != 0) return APUS_CALL_LIMIT_FAILED;
    // While files of the sandbox can still be opened, and before the filter.
    if (restrict_to(folder) != 0) return APUS_CALL_LANDLOCK_FAILED;
    // Last: it takes away the call that installs it.
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &call.filter, 0, 0) != 0) return APUS_CALL_FILTER_FAILED;
    return 0;
}
