// Every step between clone3 and the program, in the one order that works. Straight-line on purpose: read it from top to
// bottom. The process is single-threaded, root, alone in new pid, mount, ipc and uts namespaces, and in the nursery's
// empty network namespace. Nothing here allocates.
#define _GNU_SOURCE
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "passing.h"
#include "syscalls.h"

// Where the nursery's pidfd is until it is closed with the rest: the first number that the program is not given.
#define CONFINE_PARENT_DESCRIPTOR (CONFINE_SECRETS_DESCRIPTOR + 1)
// Where the way to the auditor is until the listener has gone it.
#define CONFINE_AUDIT_DESCRIPTOR (CONFINE_SECRETS_DESCRIPTOR + 2)

static const char *const stage_names[CONFINE_STAGE_COUNT] = {
    [CONFINE_NONE] = "none",
    [CONFINE_CLONE] = "clone",
    [CONFINE_DESCRIPTORS] = "descriptors",
    [CONFINE_SIGNALS] = "signals",
    [CONFINE_CGROUP] = "cgroup",
    [CONFINE_CGROUP_NAMESPACE] = "cgroup namespace",
    [CONFINE_NETWORK] = "network",
    [CONFINE_TEMPLATE] = "template",
    [CONFINE_PROC] = "proc",
    [CONFINE_SCRATCH] = "scratch",
    [CONFINE_FUNCTION] = "function",
    [CONFINE_LAYER] = "layer",
    [CONFINE_WEIGHTS] = "weights",
    [CONFINE_OUT] = "out",
    [CONFINE_LIVE_FILES] = "live files",
    [CONFINE_PIVOT] = "pivot",
    [CONFINE_HOST_NAME] = "host name",
    [CONFINE_PROGRAM] = "program",
    [CONFINE_LIMITS] = "limits",
    [CONFINE_BOUNDING_SET] = "bounding set",
    [CONFINE_USER] = "user",
    [CONFINE_CAPABILITIES] = "capabilities",
    [CONFINE_KEYRING] = "keyring",
    [CONFINE_PARENT] = "parent",
    [CONFINE_NO_NEW_PRIVILEGES] = "no new privileges",
    [CONFINE_LANDLOCK] = "landlock",
    [CONFINE_HOSTILE] = "hostile",
    [CONFINE_CLOSE] = "close",
    [CONFINE_SECCOMP] = "seccomp",
    [CONFINE_AUDIT] = "audit",
    [CONFINE_EXEC] = "exec",
};

const char *confine_stage_name(unsigned stage) { return stage < CONFINE_STAGE_COUNT ? stage_names[stage] : "unknown"; }

static void fail(const struct confine_plan *plan, int error) __attribute__((noreturn));
static void fail(const struct confine_plan *plan, int error) {
    plan->status->error = error == 0 ? EINVAL : error;
    _exit(100);
}

// Marks the step, so that a failure and a kill in the middle of it can both be named, and fails it when its condition
// is false.
#define STEP(name) (plan->status->stage = (name))
#define MUST(condition)                      \
    do {                                     \
        if (!(condition)) fail(plan, errno); \
    } while (0)

static int write_all(int descriptor, const char *text) {
    size_t length = strlen(text);
    return write(descriptor, text, length) == (ssize_t)length;
}

static void take_descriptors(const struct confine_plan *plan) {
    // Every descriptor of the nursery is close-on-exec already; this makes it certain, whatever it opened.
    MUST(close_descriptors(6, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */) == 0);
    for (int target = 0; target < 6; target++) MUST(dup2(plan->standard[target], target) == target);
    // Without secrets its number holds what the nursery reserved it with, which is closed with the rest below.
    if (plan->secrets >= 0) MUST(dup2(plan->secrets, CONFINE_SECRETS_DESCRIPTOR) == CONFINE_SECRETS_DESCRIPTOR);
}

static void reset_signals(const struct confine_plan *plan) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    for (int signal = 1; signal < NSIG; signal++) sigaction(signal, &action, NULL);
    sigset_t none;
    sigemptyset(&none);
    MUST(sigprocmask(SIG_SETMASK, &none, NULL) == 0);
    umask(plan->mask);
    MUST(setsid() >= 0);
}

static void prefer_for_out_of_memory(const struct confine_plan *plan) {
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    MUST(score >= 0);
    MUST(write_all(score, "1000"));
    close(score);
}

// Writing, because a driver names its threads there; what the host's root could change by it is covered.
static void mount_whole_proc(const struct confine_plan *plan) {
    MUST(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=2") == 0);
    for (int index = 0; index < plan->cover_count; index++) {
        const struct confine_cover *cover = &plan->covers[index];
        int result = mount(cover->is_folder ? "out" : "dev/null", cover->path, NULL, MS_BIND, NULL);
        // What is gone needs no cover.
        MUST(result == 0 || errno == ENOENT);
    }
}

static void mount_scratch(const struct confine_plan *plan) {
    char options[128];
    // Who owns the folder may close it to all: where calls share it, none of them is to.
    const int is_shared = plan->shares_scratch;
    // An inode for every 4 KiB: small files cannot take more kernel memory than the scratch bound stands for.
    unsigned long long inodes = plan->scratch_bytes / 4096 + 64;
    snprintf(options, sizeof options, "size=%llu,nr_inodes=%llu,mode=%s,uid=%u,gid=%u",
             (unsigned long long)plan->scratch_bytes, inodes, is_shared ? "1777" : "0700",
             is_shared ? 0u : (unsigned)plan->user, is_shared ? 0u : (unsigned)plan->group);
    MUST(mount("tmpfs", "tmp", "tmpfs", MS_NOSUID | MS_NODEV, options) == 0);
}

// The working directory becomes the root, and the old one goes in one piece.
static void enter_root(const struct confine_plan *plan) {
    MUST(syscall(SYS_pivot_root, ".", ".") == 0);
    MUST(umount2(".", MNT_DETACH) == 0);
    MUST(chdir("/") == 0);
}

static void open_program(const struct confine_plan *plan) {
    int program;
    if (plan->in_function) {
        int function = open("/function", O_PATH | O_DIRECTORY | O_CLOEXEC);
        MUST(function >= 0);
        program = open_beneath(function, plan->program, O_RDONLY);
    } else {
        program = open(plan->program, O_RDONLY | O_CLOEXEC);
    }
    MUST(program >= 0);
    // Exactly there, whatever of the nursery's has that number: nothing but the standard six and the parent is used any
    // more.
    if (program != CONFINE_PROGRAM_DESCRIPTOR)
        MUST(dup3(program, CONFINE_PROGRAM_DESCRIPTOR, O_CLOEXEC) == CONFINE_PROGRAM_DESCRIPTOR);
    if (plan->has_no_page_zero) return;
    void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    MUST(page != MAP_FAILED);
}

static void close_all_but_program(const struct confine_plan *plan, unsigned first) {
    if (plan->program == NULL) {
        MUST(close_descriptors(first, ~0U, 0) == 0);
        return;
    }
    MUST(close_descriptors(first, CONFINE_PROGRAM_DESCRIPTOR - 1, 0) == 0);
    MUST(close_descriptors(CONFINE_PROGRAM_DESCRIPTOR + 1, ~0U, 0) == 0);
}

// Everything else of the nursery goes before the descriptor limit comes: a busy nursery has more of them than a sandbox
// may have, and the steps below could open nothing.
static void drop_descriptors(const struct confine_plan *plan) {
    MUST(plan->parent > CONFINE_PARENT_DESCRIPTOR);
    MUST(dup3(plan->parent, CONFINE_PARENT_DESCRIPTOR, O_CLOEXEC) == CONFINE_PARENT_DESCRIPTOR);
    if (plan->audit >= 0) {
        MUST(plan->audit > CONFINE_AUDIT_DESCRIPTOR);
        MUST(dup3(plan->audit, CONFINE_AUDIT_DESCRIPTOR, O_CLOEXEC) == CONFINE_AUDIT_DESCRIPTOR);
    }
    close_all_but_program(plan, CONFINE_AUDIT_DESCRIPTOR + (plan->audit >= 0));
}

// An open file of its own, on the root's read-only mount: what all sandboxes share, they could signal each other with.
static void open_standard_input(const struct confine_plan *plan) {
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    MUST(null >= 0);
    MUST(dup2(null, STDIN_FILENO) == STDIN_FILENO);
}

static void lower(const struct confine_plan *plan, int resource, rlim_t value) {
    struct rlimit limit;
    MUST(getrlimit(resource, &limit) == 0);
    // Only ever down: raising needs a capability that the host may not have given.
    if (limit.rlim_max < value) value = limit.rlim_max;
    limit.rlim_cur = limit.rlim_max = value;
    MUST(setrlimit(resource, &limit) == 0);
}

// 1 is the kernel's word for no dump at all: 0 still starts the host's handler of crashes (a pipe in core_pattern) as root
// with what the sandbox left in its memory. The filter forbids changing it.
static void forbid_dumps(const struct confine_plan *plan) {
    const struct rlimit no_dump = {.rlim_cur = 1, .rlim_max = 1};
    if (setrlimit(RLIMIT_CORE, &no_dump) != 0) lower(plan, RLIMIT_CORE, 0);
}

static void set_limits(const struct confine_plan *plan) {
    forbid_dumps(plan);
    lower(plan, RLIMIT_FSIZE, plan->file_bytes);
    lower(plan, RLIMIT_NPROC, plan->processes);
    lower(plan, RLIMIT_STACK, 8 << 20);
    lower(plan, RLIMIT_MEMLOCK, plan->locked_bytes);
    lower(plan, RLIMIT_MSGQUEUE, 0);
    lower(plan, RLIMIT_SIGPENDING, 1024);
    lower(plan, RLIMIT_NICE, 0);
    lower(plan, RLIMIT_RTPRIO, 0);
    if (plan->data_bytes > 0) lower(plan, RLIMIT_DATA, plan->data_bytes);
    // No RLIMIT_AS: runtimes reserve far more address space than they use; the memory cgroup counts what they touch.
    // From here on no descriptor at or above the program's can be made, and none of them can be made to hold it again.
    lower(plan, RLIMIT_NOFILE, plan->open_files);
}

static void drop_bounding_set(const struct confine_plan *plan) {
    int capability = 0;
    while (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0) capability++;
    // Past the last that this kernel knows, and there are some that every kernel does.
    MUST(errno == EINVAL && capability > CAP_AUDIT_READ);
    MUST(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0);
    unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |
                         SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
    MUST(prctl(PR_SET_SECUREBITS, bits, 0, 0, 0) == 0);
}

static void become_user(const struct confine_plan *plan) {
    // With one uid for all the kernel refuses it to everybody: the groups of whoever started the server stay.
    if (!plan->keeps_groups) MUST(setgroups(0, NULL) == 0);
    MUST(setresgid(plan->group, plan->group, plan->group) == 0);
    MUST(setresuid(plan->user, plan->user, plan->user) == 0);
    uid_t real, effective, saved;
    MUST(getresuid(&real, &effective, &saved) == 0);
    errno = EPERM;
    MUST(real == plan->user && effective == plan->user && saved == plan->user);
}

static void drop_capabilities(const struct confine_plan *plan) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[2], left[2];
    memset(none, 0, sizeof none);
    MUST(syscall(SYS_capset, &header, none) == 0);
    MUST(syscall(SYS_capget, &header, left) == 0);
    errno = EPERM;
    MUST(memcmp(none, left, sizeof none) == 0);
}

static void bind_to_parent(const struct confine_plan *plan) {
    MUST(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0);
    // The nursery may have died before that call; then nobody would ever end this process.
    struct pollfd parent = {.fd = CONFINE_PARENT_DESCRIPTOR, .events = POLLIN};
    errno = ESRCH;
    MUST(poll(&parent, 1, 0) == 0);
}

// All that makes a root process an ordinary one for good, whose death is bound to the nursery's.
static void drop_privileges(const struct confine_plan *plan) {
    // Before the user changes: SETPCAP is needed for all of it.
    STEP(CONFINE_BOUNDING_SET);
    drop_bounding_set(plan);
    STEP(CONFINE_USER);
    become_user(plan);
    // The securebits above keep capabilities over the change of user, so they are dropped by hand and looked at again.
    STEP(CONFINE_CAPABILITIES);
    drop_capabilities(plan);
    // As the slot's user, so that the keyring counts against it; the filter then forbids keyctl.
    STEP(CONFINE_KEYRING);
    if (plan->has_keyring) MUST(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0) >= 0);
    // After the change of user, which clears it.
    STEP(CONFINE_PARENT);
    bind_to_parent(plan);
    STEP(CONFINE_NO_NEW_PRIVILEGES);
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
}

static void allow_path(const struct confine_plan *plan, int ruleset, const char *path, uint64_t rights,
                       uint64_t handled) {
    int descriptor = open(path, O_PATH | O_CLOEXEC);
    // The roots differ: a host without /lib64, a sandbox without /out. What is not there needs no rule.
    if (descriptor < 0 && errno == ENOENT) return;
    MUST(descriptor >= 0);
    struct landlock_path_beneath_attr rule = {.allowed_access = rights & handled, .parent_fd = descriptor};
    MUST(syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0);
    close(descriptor);
}

static void restrict_with_landlock(const struct confine_plan *plan) {
    if (plan->landlock_abi < 1) return;
    const uint64_t read = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
    const uint64_t execute = LANDLOCK_ACCESS_FS_EXECUTE;
    const uint64_t devices = LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK;
    struct ruleset_attributes attributes = {.handled_access_fs = LANDLOCK_FS_ABI1};
    if (plan->landlock_abi >= 2) attributes.handled_access_fs |= LANDLOCK_FS_REFER;
    if (plan->landlock_abi >= 3) attributes.handled_access_fs |= LANDLOCK_FS_TRUNCATE;
    if (plan->landlock_abi >= 5) attributes.handled_access_fs |= LANDLOCK_FS_IOCTL_DEV;
    if (plan->landlock_abi >= 4 && !plan->has_network) attributes.handled_access_net = LANDLOCK_NET_TCP;
    if (plan->landlock_abi >= 6) attributes.scoped = LANDLOCK_SCOPE_ALL;
    size_t size = plan->landlock_abi >= 6 ? 24 : plan->landlock_abi >= 4 ? 16 : 8;
    int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
    MUST(ruleset >= 0);

    const uint64_t all = attributes.handled_access_fs;
    const uint64_t write = all & ~(devices | execute | LANDLOCK_FS_IOCTL_DEV);
    const uint64_t program = plan->may_execute ? execute : 0;
    // Everything in the root may be listed: the root holds only what the sandbox is meant to have.
    allow_path(plan, ruleset, "/", LANDLOCK_ACCESS_FS_READ_DIR, all);
    // Reading, everywhere in the read-only root; executing, only what is needed to start.
    const char *const readable[] = {"/usr", "/lib", "/lib32",   "/lib64",    "/libx32", "/bin", "/sbin",
                                    "/etc", "/opt", "/runtime", "/function", "/layer",  "/proc"};
    for (size_t index = 0; index < sizeof readable / sizeof readable[0]; index++) {
        allow_path(plan, ruleset, readable[index], read | program, all);
    }
    // Data alone.
    allow_path(plan, ruleset, "/weights", read, all);
    allow_path(plan, ruleset, "/dev",
               read | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_FS_IOCTL_DEV | LANDLOCK_FS_TRUNCATE, all);
    if (plan->covers != NULL) {
        // Of /proc only files that are there: what a process may write there of itself is its own business.
        allow_path(plan, ruleset, "/proc", read | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_FS_TRUNCATE, all);
        allow_path(plan, ruleset, "/sys", read, all);
    }
    const uint64_t written = plan->may_execute_written ? execute : 0;
    allow_path(plan, ruleset, "/tmp", write | written, all);
    allow_path(plan, ruleset, "/out", write | written, all);
    allow_path(plan, ruleset, "/lib64/ld-linux-x86-64.so.2", read | execute, all & ~LANDLOCK_ACCESS_FS_READ_DIR);
    allow_path(plan, ruleset, "/lib/ld-linux-aarch64.so.1", read | execute, all & ~LANDLOCK_ACCESS_FS_READ_DIR);
    struct landlock_path_beneath_attr own = {.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | execute,
                                             .parent_fd = CONFINE_PROGRAM_DESCRIPTOR};
    if (plan->landlock_abi >= 4 && plan->proxy_port != 0) {
        struct port_attributes proxy = {.allowed_access = LANDLOCK_NET_CONNECT_TCP, .port = plan->proxy_port};
        MUST(syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PORT, &proxy, 0) == 0);
    }
    // A clone of a zygote executes nothing at all.
    if (plan->program != NULL)
        MUST(syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &own, 0) == 0);
    uint32_t flags = plan->landlock_abi >= 7 ? LANDLOCK_RESTRICT_LOG_NEW_EXEC_ON : 0;
    MUST(syscall(SYS_landlock_restrict_self, ruleset, flags) == 0);
    close(ruleset);
}

// For good, and for whatever is executed. A processor that needs no such bound, or a kernel that was told to have none,
// refuses: there is nothing to be done about it from here.
static void distrust_speculation(void) {
    prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, PR_SPEC_FORCE_DISABLE, 0, 0);
    prctl(PR_SET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH, PR_SPEC_FORCE_DISABLE, 0, 0);
}

// Whoever holds the listener sees the calls that the filter denies and answers them; without one, the kernel denies them
// by itself. It goes to the auditor, over a socket that is closed before anything of a function runs. Nobody is waited
// for: where the auditor takes nothing, the sandbox is as tight as with it, and only what it is denied goes uncounted.
// Code that is not trusted at all does not run uncounted.
static void hand_over(const struct confine_plan *plan, int listener) {
    const size_t length = sizeof plan->handover;
    ssize_t sent = send_with(CONFINE_AUDIT_DESCRIPTOR, &plan->handover, length, listener, MSG_DONTWAIT);
    plan->status->is_audited = sent == (ssize_t)length;
    MUST(plan->hostile_filter == NULL || plan->status->is_audited);
    MUST(close(listener) == 0);
    MUST(close(CONFINE_AUDIT_DESCRIPTOR) == 0);
}

// All that is done before the program, for whoever is to be a sandbox.
static void take_steps(const struct confine_plan *plan) {
    // First, so that nothing below can be confused with a descriptor the program is given.
    STEP(CONFINE_DESCRIPTORS);
    take_descriptors(plan);
    // Before anything can block: a handler or a blocked signal of the nursery must not outlive it here.
    STEP(CONFINE_SIGNALS);
    reset_signals(plan);
    // While single-threaded ("0" moves the writing thread only) and before any page is touched that the function pays
    // for.
    STEP(CONFINE_CGROUP);
    for (int index = 0; index < CONFINE_CGROUPS_MAX; index++) {
        if (plan->cgroups[index] >= 0) MUST(write_all(plan->cgroups[index], "0"));
    }
    // A server that is protected from the host's out-of-memory killer must not hand that on: a sandbox goes first.
    // A clone has it from its zygote, and no /proc to write it in.
    if (plan->program != NULL) prefer_for_out_of_memory(plan);
    // After joining: the namespace's root is where the process is now, so that it sees itself at "/".
    STEP(CONFINE_CGROUP_NAMESPACE);
    MUST(unshare(CLONE_NEWCGROUP) == 0);
    // While SYS_ADMIN is there. Only those leave the empty namespace of the nursery that have a network of some kind; without
    // root the nursery lives in the host's, and only the fetch process stays there.
    STEP(CONFINE_NETWORK);
    if (plan->network >= 0) MUST(setns(plan->network, CLONE_NEWNET) == 0);
    // All mounts before pivot, relative to the template; Landlock forbids mounting, so it comes much later.
    STEP(CONFINE_TEMPLATE);
    MUST(chdir(plan->template_path) == 0);
    STEP(CONFINE_PROC);
    if (plan->covers != NULL) {
        mount_whole_proc(plan);
    } else if (!plan->has_no_proc) {
        MUST(mount("proc", "proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                   plan->has_proc_subset ? "subset=pid,hidepid=2" : "hidepid=2") == 0);
    }
    STEP(CONFINE_SCRATCH);
    mount_scratch(plan);
    STEP(CONFINE_FUNCTION);
    if (plan->function >= 0) MUST(attach_tree(plan->function, "function") == 0);
    STEP(CONFINE_LAYER);
    if (plan->layer >= 0) MUST(attach_tree(plan->layer, "layer") == 0);
    STEP(CONFINE_WEIGHTS);
    if (plan->weights >= 0) MUST(attach_tree(plan->weights, "weights") == 0);
    STEP(CONFINE_OUT);
    if (plan->out >= 0) MUST(attach_tree(plan->out, "out") == 0);
    STEP(CONFINE_LIVE_FILES);
    for (int index = 0; index < CONFINE_LIVE_MAX; index++) {
        if (plan->live[index].tree >= 0) MUST(attach_tree(plan->live[index].tree, plan->live[index].path) == 0);
    }
    // The old root goes in one piece: what is not in the template is not there any more. A clone's copy of its zygote's
    // mounts holds nothing but the template.
    STEP(CONFINE_PIVOT);
    if (plan->program != NULL) enter_root(plan);
    STEP(CONFINE_HOST_NAME);
    MUST(sethostname("function", 8) == 0);
    STEP(CONFINE_DESCRIPTORS);
    open_standard_input(plan);
    // In the new root, before the descriptor limit (its number is above it) and before the capability to map page zero
    // goes.
    STEP(CONFINE_PROGRAM);
    if (plan->program != NULL) open_program(plan);
    STEP(CONFINE_CLOSE);
    drop_descriptors(plan);
    STEP(CONFINE_LIMITS);
    set_limits(plan);
    drop_privileges(plan);
    // The function's directory is where it starts; entered as its own user, so that an unreadable bundle is named here.
    STEP(CONFINE_FUNCTION);
    MUST(chdir("/function") == 0);
    // After all mounts, since its rules name what is mounted; without privileges, since it needs none.
    STEP(CONFINE_LANDLOCK);
    restrict_with_landlock(plan);
    // What only the steps above needed. The program's descriptor closes itself when it is executed.
    STEP(CONFINE_CLOSE);
    unsigned first = plan->secrets >= 0 ? CONFINE_PARENT_DESCRIPTOR : CONFINE_SECRETS_DESCRIPTOR;
    if (plan->audit >= 0) {
        MUST(close_descriptors(first, CONFINE_AUDIT_DESCRIPTOR - 1, 0) == 0);
        first = CONFINE_AUDIT_DESCRIPTOR + 1;
    }
    close_all_but_program(plan, first);
    // Needs no_new_privs and seccomp(2), which the runtime's own filter takes away.
    STEP(CONFINE_HOSTILE);
    if (plan->hostile_filter != NULL) {
        distrust_speculation();
        MUST(prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) == 0);
        MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, plan->hostile_filter) == 0);
    }
    // Last, since it forbids most of what was done above.
    STEP(CONFINE_SECCOMP);
    unsigned flags = SECCOMP_FILTER_FLAG_LOG | (plan->audit >= 0 ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0);
    long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, plan->filter);
    MUST(listener >= 0);
    // By calls that every profile allows. The one execveat that it allows is the next call.
    STEP(CONFINE_AUDIT);
    if (plan->audit >= 0) hand_over(plan, (int)listener);
    STEP(CONFINE_EXEC);
}

static void execute(const struct confine_plan *plan) __attribute__((noreturn));
static void execute(const struct confine_plan *plan) {
    const char *path = plan->has_no_page_zero ? "" : (const char *)CONFINE_EMPTY_PATH;
    syscall(SYS_execveat, CONFINE_PROGRAM_DESCRIPTOR, path, plan->arguments, plan->environment, AT_EMPTY_PATH);
    fail(plan, errno);
}

void confine(const struct confine_plan *plan) {
    take_steps(plan);
    execute(plan);
}

void confine_clone(const struct confine_plan *plan) { take_steps(plan); }

// What making namespaces and mounts, changing the user and dropping the rest takes, and nothing else.
static int is_needed_to_clone(int capability) {
    return capability == CAP_SYS_ADMIN || capability == CAP_SETUID || capability == CAP_SETGID ||
           capability == CAP_SETPCAP;
}

void confine_zygote(const struct confine_plan *plan) {
    STEP(CONFINE_DESCRIPTORS);
    take_descriptors(plan);
    STEP(CONFINE_SIGNALS);
    reset_signals(plan);
    // Its clones inherit it; while the host's /proc is there.
    STEP(CONFINE_CGROUP);
    prefer_for_out_of_memory(plan);
    // Its clones are born where it is.
    STEP(CONFINE_NETWORK);
    if (plan->network >= 0) MUST(setns(plan->network, CLONE_NEWNET) == 0);
    // Its root is what its clones copy, before anything of theirs is in it.
    STEP(CONFINE_TEMPLATE);
    MUST(chdir(plan->template_path) == 0);
    // Each clone's own is mounted over it; its rules of Landlock then know that one only.
    STEP(CONFINE_PROC);
    if (plan->shows_proc) MUST(mount("/proc", "proc", NULL, MS_BIND | MS_REC, NULL) == 0);
    STEP(CONFINE_PIVOT);
    enter_root(plan);
    // While the capability to map page zero is there.
    STEP(CONFINE_PROGRAM);
    open_program(plan);
    STEP(CONFINE_CLOSE);
    drop_descriptors(plan);
    MUST(fcntl(CONFINE_ZYGOTE_PARENT, F_SETFD, 0) == 0);
    STEP(CONFINE_LIMITS);
    forbid_dumps(plan);
    // It stays root, whose program gets what the bounding set holds.
    STEP(CONFINE_BOUNDING_SET);
    for (int capability = 0; capability < 64; capability++) {
        if (prctl(PR_CAPBSET_READ, capability, 0, 0, 0) < 0) break;
        if (!is_needed_to_clone(capability)) MUST(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0);
    }
    MUST(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0);
    STEP(CONFINE_PARENT);
    bind_to_parent(plan);
    STEP(CONFINE_NO_NEW_PRIVILEGES);
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    // No Landlock: it would forbid the mounts of its clones.
    STEP(CONFINE_SECCOMP);
    MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, plan->filter) == 0);
    STEP(CONFINE_EXEC);
    execute(plan);
}

void confine_auditor(const struct confine_plan *plan) {
    STEP(CONFINE_DESCRIPTORS);
    MUST(dup2(plan->audit, STDIN_FILENO) == STDIN_FILENO);
    MUST(dup3(plan->parent, CONFINE_PARENT_DESCRIPTOR, O_CLOEXEC) == CONFINE_PARENT_DESCRIPTOR);
    MUST(close_descriptors(STDIN_FILENO + 1, CONFINE_PARENT_DESCRIPTOR - 1, 0) == 0);
    MUST(close_descriptors(CONFINE_PARENT_DESCRIPTOR + 1, ~0U, 0) == 0);
    STEP(CONFINE_SIGNALS);
    reset_signals(plan);
    // A root that holds nothing and cannot be written.
    STEP(CONFINE_TEMPLATE);
    MUST(mount("none", plan->template_path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
               "size=4096,nr_inodes=1,mode=0555") == 0);
    MUST(chdir(plan->template_path) == 0);
    STEP(CONFINE_PIVOT);
    enter_root(plan);
    STEP(CONFINE_LIMITS);
    forbid_dumps(plan);
    lower(plan, RLIMIT_FSIZE, 0);
    lower(plan, RLIMIT_NPROC, 1);
    lower(plan, RLIMIT_NOFILE, plan->open_files);
    drop_privileges(plan);
    STEP(CONFINE_CLOSE);
    MUST(close(CONFINE_PARENT_DESCRIPTOR) == 0);
    STEP(CONFINE_LANDLOCK);
    restrict_with_landlock(plan);
    STEP(CONFINE_SECCOMP);
    MUST(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_LOG, plan->filter) == 0);
    STEP(CONFINE_EXEC);
}
