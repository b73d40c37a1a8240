#pragma once
// The steps that turn a freshly cloned process into a sandboxed one. They are all in confine.c and depend on nothing
// else of the nursery, so that everything that makes sandboxes can link the same steps.

#include <linux/filter.h>
#include <stdint.h>
#include <sys/types.h>

// Where the program stays open until it is executed: above every descriptor the process can ever make again.
#define CONFINE_PROGRAM_DESCRIPTOR 1000
// The address of the empty path given to execveat, in the page at zero. An ordinary process cannot map it, so that the
// filter, which compares this pointer, allows execveat exactly once.
#define CONFINE_EMPTY_PATH 0x10
#define CONFINE_CGROUPS_MAX 3
// Where a function that does not know descriptor 5 finds its secrets.
#define CONFINE_SECRETS_DESCRIPTOR 6
// The device nodes of a driver, and for each device its own and its place on the bus, and parts of devices.
#define CONFINE_LIVE_MAX 40

enum confine_stage {
    CONFINE_NONE,
    CONFINE_CLONE,
    CONFINE_DESCRIPTORS,
    CONFINE_SIGNALS,
    CONFINE_CGROUP,
    CONFINE_CGROUP_NAMESPACE,
    CONFINE_NETWORK,
    CONFINE_TEMPLATE,
    CONFINE_PROC,
    CONFINE_SCRATCH,
    CONFINE_FUNCTION,
    CONFINE_LAYER,
    CONFINE_WEIGHTS,
    CONFINE_OUT,
    CONFINE_LIVE_FILES,
    CONFINE_PIVOT,
    CONFINE_HOST_NAME,
    CONFINE_PROGRAM,
    CONFINE_LIMITS,
    CONFINE_BOUNDING_SET,
    CONFINE_USER,
    CONFINE_CAPABILITIES,
    CONFINE_KEYRING,
    CONFINE_PARENT,
    CONFINE_NO_NEW_PRIVILEGES,
    CONFINE_LANDLOCK,
    CONFINE_HOSTILE,
    CONFINE_CLOSE,
    CONFINE_SECCOMP,
    CONFINE_AUDIT,
    CONFINE_EXEC,
    CONFINE_STAGE_COUNT,
};

// In memory shared with the nursery; gone from the process with its exec.
struct confine_status {
    volatile uint32_t stage;
    // errno of the step that failed, 0 while none has.
    volatile int32_t error;
    // The listener of its denied calls is the auditor's.
    volatile uint32_t is_audited;
};

// What a sandbox says when it hands the auditor its listener.
struct confine_handover {
    uint64_t ticket;
    uint32_t slot;
    uint32_t reserved;
};

struct confine_live_file {
    int tree;
    const char *path;
};

// A place below the root where nothing of the host's is to be seen.
struct confine_cover {
    char path[64];
    int is_folder;
};

struct confine_plan {
    const char *template_path;
    // Detached mounts, -1 for none.
    int function;
    int layer;
    int weights;
    int out;
    struct confine_live_file live[CONFINE_LIVE_MAX];
    // `tasks` files of v1 cgroups, -1 for none.
    int cgroups[CONFINE_CGROUPS_MAX];
    // The network namespace to join, -1 to stay in the empty one.
    int network;
    // What becomes descriptors 0 to 5; all of them above 15.
    int standard[6];
    // A sealed memory file that becomes descriptor 6, above 15 too; -1 for none.
    int secrets;
    // A pidfd of the nursery.
    int parent;
    // Where the auditor gets the listener of denied calls from, -1 for none; and in whose name.
    int audit;
    struct confine_handover handover;
    uid_t user;
    gid_t group;
    uint64_t scratch_bytes;
    // Several calls of one function keep their folders in it.
    int shares_scratch;
    uint64_t file_bytes;
    // What may be held in memory.
    uint64_t locked_bytes;
    uint32_t open_files;
    uint32_t processes;
    // What each process may write to, where no control group counts memory; 0 for no bound.
    uint64_t data_bytes;
    mode_t mask;
    // Absolute, in the new root; or beneath /function when in_function is set. NULL for a clone of a zygote, which has
    // its program already.
    const char *program;
    int in_function;
    char *const *arguments;
    char *const *environment;
    const struct sock_fprog *filter;
    // Set for code that is not trusted at all, NULL for other.
    const struct sock_fprog *hostile_filter;
    int landlock_abi;
    // Any program of the read-only root may be executed: pip runs subprocesses, the worker for exec commands.
    int may_execute;
    // And what it wrote itself, in /out and /tmp, as builds do.
    int may_execute_written;
    // The fetch process and the egress process keep the host's network.
    int has_network;
    // The one port that may be connected to, 0 for none.
    uint16_t proxy_port;
    int has_proc_subset;
    int has_keyring;
    // For workers with a device: the whole of /proc is there, to be written to, but for these. NULL for all others, who see
    // processes alone.
    const struct confine_cover *covers;
    int cover_count;
    // Without root: the host lets nobody mount /proc; page zero cannot be mapped, so that the profiles allow the path of
    // the program to lie anywhere; and with one uid for all, groups cannot be left.
    int has_no_proc;
    int has_no_page_zero;
    int keeps_groups;
    // A zygote's: its own root shows the host's /proc, without which the kernel lets its clones mount none.
    int shows_proc;
    struct confine_status *status;
};

// Runs in the clone, never returns: executes the program, or notes the failed step and exits with 100.
void confine(const struct confine_plan *plan) __attribute__((noreturn));

// The same steps in the clone of a zygote, which returns from here as a sandboxed process instead of executing one.
void confine_clone(const struct confine_plan *plan);

// Descriptors of a zygote: its channel to the nursery, the statuses of all slots, the filter of its clones, a pidfd of
// the nursery.
#define CONFINE_ZYGOTE_CHANNEL 3
#define CONFINE_ZYGOTE_STATUS 4
#define CONFINE_ZYGOTE_FILTER 5
#define CONFINE_ZYGOTE_PARENT (CONFINE_SECRETS_DESCRIPTOR + 1)

// Runs in the process that is to be a zygote: a mount namespace and a filter of its own, no network, the four
// capabilities that confine_clone needs. Executes the program or exits with 100.
void confine_zygote(const struct confine_plan *plan) __attribute__((noreturn));

// Runs in the process that is to be the auditor: no file, no network, no capability, a user of its own, a root without
// anything. It keeps its channel, as descriptor 0, and memory. Returns, or exits with 100.
void confine_auditor(const struct confine_plan *plan);

const char *confine_stage_name(unsigned stage);
