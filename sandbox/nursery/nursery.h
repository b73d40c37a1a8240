#pragma once
// The nursery: one thread, one epoll, no allocation after its start. It parents every worker, makes its pipes, kills
// and reaps it.

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../../Sources/CShims/include/nursery_protocol.h"
#include "confine.h"

// Bounds. Slots are what can run at once; the rest follows from them.
#define CHANNELS_MAX 64
#define SLOTS_MAX 1024
#define SLOTS_DEFAULT 256
#define FILTER_INSTRUCTIONS_MAX 4096
#define HOSTILE_INSTRUCTIONS_MAX 256
#define AUDITOR_INSTRUCTIONS_MAX 128
// System calls have numbers below this one.
#define CALLS_MAX 512
#define CALL_INSTRUCTIONS_MAX 256
// From this Landlock on the calls of one sandbox cannot signal each other.
#define FORKS_LANDLOCK_ABI 6
#define PATH_BYTES 512
#define FRAME_PIPE_BYTES (1 << 20)
// A block holds the server's uid, the slots' uids and room to spare.
#define UID_BLOCK_BASE 2000000000u
#define UID_BLOCK_SIZE 2048u
#define UID_BLOCKS_MAX 64
// The last uid of a block runs nothing: what is being sealed belongs to it. The one before is the auditor's.
#define UID_KEEPER (UID_BLOCK_SIZE - 1)
#define UID_AUDITOR (UID_BLOCK_SIZE - 2)
// How often, a millisecond apart, a sandbox is looked at again before it is given up as not empty.
#define EMPTY_CHECKS_MAX 2000
// How many of these looks come before the cgroup is killed: the kernel takes a moment to let go of what has ended.
#define EMPTY_CHECKS_PATIENT 10
// How long the end waits for all sandboxes, in milliseconds.
#define SHUTDOWN_MILLISECONDS 5000
#define TEMPLATE_COUNT 10
// What of /proc may have to be covered.
#define COVERS_MAX 96
// Minor numbers of parts of devices are below this.
#define GPU_CAPABILITIES_END 4096
// Of each runtime with a way out another filter, behind the others, and then that of clones.
#define FILTER_CLONE (2 * TEMPLATE_COUNT)
#define FILTER_COUNT (2 * TEMPLATE_COUNT + 1)
// Workers that share one uid share its bound of processes. It holds several for each slot there is by default.
#define SHARED_PROCESSES_MAX 1024u
// Node's threads have stacks that count as data and are hardly touched.
#define NODE_DATA_BYTES (512ull << 20)
#define NODE_ARGUMENTS 8
// Connections that wait until the egress process takes them.
#define PROXY_BACKLOG 64
// What the egress process may have open: two for each connection, one for each worker. It is no function's.
#define EGRESS_OPEN_FILES 8192
// The one in use and the one that is to replace it.
#define ZYGOTES_MAX 2
// What its clones share of a zygote (where memory lies, the seed of hashes) is shared by no more of them, and no longer.
// The next one is started before, so that it is ready in time.
#define ZYGOTE_CLONES_MAX 1000u
#define ZYGOTE_CLONES_RENEWED 700u
#define ZYGOTE_SECONDS_MAX 600
#define ZYGOTE_SECONDS_RENEWED 540
// Zygotes that may fail to start in a row before no further one is tried.
#define ZYGOTE_FAILURES_MAX 3
// How long the nursery waits for a clone. It takes a millisecond.
#define ZYGOTE_ANSWER_MILLISECONDS 1000
// How long the start waits for the first auditor. It takes a millisecond.
#define AUDITOR_START_MILLISECONDS 2000
// One that ended is replaced at once, but not more often than this.
#define AUDITOR_SECONDS_MIN 1
// How long an auditor may be at what one look at its listeners showed; then it is ended, which answers them all.
#define AUDITOR_TURN_SECONDS 5
// What a kernel may tell of a denied call: more than today's does.
#define AUDITOR_CALL_BYTES 256
// Descriptors of an auditor besides its listeners.
#define AUDITOR_DESCRIPTORS 16
// A runtime that no request names: the filter of zygotes.
#define RUNTIME_ZYGOTE 0

// epoll's user data: channels from 0, then the layer job, then slots.
#define JOB_EVENT 4095u
#define AUDITOR_EVENT 4094u
#define SLOT_EVENT_BASE 4096u
#define ZYGOTE_EVENT_BASE 4000u

enum runtime {
    RUNTIME_PYTHON = 1,
    RUNTIME_NATIVE = 2,
    RUNTIME_FETCH = 3,
    RUNTIME_BUILD = 4,
    RUNTIME_EXEC = 5,
    RUNTIME_NODE = 6,
    // No request names it: the root and the filter of workers that have a device, whatever their runtime.
    RUNTIME_GPU = 7,
    // Not a worker: connects to what workers with a way out may connect to, on their behalf.
    RUNTIME_EGRESS = 8,
    // Python that loads one function and forks a process for each of its calls: the zygote of a function.
    RUNTIME_FORKS = 9,
};

// A controller of control groups: where its hierarchy is and how it is spoken to.
enum controller { CONTROLLER_MEMORY, CONTROLLER_PIDS, CONTROLLER_CPU, CONTROLLER_COUNT };
enum cgroup_version { CGROUP_ABSENT = 0, CGROUP_V1 = 1, CGROUP_V2 = 2 };

enum slot_state {
    SLOT_FREE,
    SLOT_RUNNING,
    // Its first process has ended and was reaped; the cgroups are being looked at.
    SLOT_EMPTYING,
    // Empty; the event waits for room in the channel.
    SLOT_REPORTING,
    SLOT_QUARANTINED,
};

struct slot {
    enum slot_state state;
    int index;
    int channel;
    uint64_t ticket;
    int process;
    bool has_cgroups;
    bool is_group_spent;
    // Directories, -1 for none; `kill` is in the v2 one.
    int directory[CONTROLLER_COUNT];
    int unified;
    int tasks[CONTROLLER_COUNT];
    uint64_t memory_bytes;
    uint32_t processes;
    uint32_t cpu_millis;
    uint64_t kills_before;
    uint64_t processes_refused_before;
    uint32_t checks;
    struct nursery_event exit;
    struct confine_status *status;
};

struct channel {
    int descriptor;
    bool is_open;
    // One answer that the socket did not take; no request is read before it is gone.
    bool has_pending;
    struct nursery_event pending;
    int pending_descriptors[NURSERY_DESCRIPTORS];
    int pending_count;
    // An exit of a slot or the end of a layer job waits for room.
    bool has_unsent_exits;
    uint32_t watched;
};

// A warm interpreter. Its pidfd and its channel, -1 for none.
struct zygote {
    int process;
    int channel;
    bool is_ready;
    uint32_t clones;
    int64_t born;
};

// Who answers the calls that are denied and counts them.
struct auditor {
    // Its pidfd and our end of its channel, -1 for none. Every sandbox hands its listener over on that.
    int process;
    int channel;
    bool is_supported;
    int64_t born;
    // nursery_audit.h, in a memory file that the server gets too.
    int memory;
    struct nursery_audit *audit;
    // By the number of a call that profiles report: its place among them, and 0 for none; and what it fails with.
    uint8_t place[CALLS_MAX];
    uint16_t error[CALLS_MAX];
    struct sock_filter instructions[AUDITOR_INSTRUCTIONS_MAX];
    struct sock_fprog filter;
};

// The one long job at a time that walks a layer, in a process of its own.
struct job {
    int process;
    // It has ended; its event waits for room in the channel, and the next job for that.
    bool is_reporting;
    int channel;
    uint64_t ticket;
    const char *name;
    struct nursery_event *result;
};

struct nursery {
    int epoll;
    int data;
    int null;
    int self;
    int host_network;
    // The empty one, in which the nursery lives.
    int own_network;
    // Without root: the one of all sandboxes but fetches. As root the nursery lives in it, and this is -1.
    int empty_network;
    int channel_count;
    struct channel channels[CHANNELS_MAX];
    uint32_t slot_count;
    struct slot slots[SLOTS_MAX];
    struct job job;
    // The statuses of all slots and, behind them, of the zygotes and of the auditor; in a memory file, for zygotes.
    struct confine_status *statuses;
    int status_memory;
    struct zygote zygotes[ZYGOTES_MAX];
    // The one in use, -1 for none.
    int zygote;
    uint32_t zygote_failures;
    bool has_zygote;
    bool is_ending;
    int clone_filter;
    // Without root these are uids of the nursery's user namespace, and the two below it what they are outside.
    uint32_t uid_base;
    uid_t server_uid;
    gid_t server_gid;
    uid_t keeper;
    bool is_rootless;
    // Each slot has a uid of its own.
    bool has_own_users;
    uint32_t host_user;
    uint32_t host_base;
    // Why there are no uids of their own.
    char shortfall[128];
    char group_name[48];
    uint64_t missing;
    int landlock_abi;
    uint32_t cgroup_versions;
    enum cgroup_version versions[CONTROLLER_COUNT];
    // Our own directory of each hierarchy.
    int cgroup_root[CONTROLLER_COUNT];
    int unified_root;
    bool has_memsw;
    bool has_keyring;
    bool has_proc_subset;
    // Sandboxes have no /proc where the host lets nobody mount one.
    bool has_proc;
    bool has_page_zero;
    char base[PATH_BYTES];
    char runtimes[PATH_BYTES];
    char profiles[PATH_BYTES];
    // Before the paths of devices: empty, but in tests.
    char gpu_root[PATH_BYTES];
    uint64_t gpus;
    // Below /sys, of each device; empty for none.
    char gpu_on_bus[NURSERY_GPUS_MAX][192];
    struct confine_cover covers[COVERS_MAX];
    int cover_count;
    char template_path[TEMPLATE_COUNT][PATH_BYTES];
    bool has_template[TEMPLATE_COUNT];
    struct sock_filter instructions[FILTER_COUNT][FILTER_INSTRUCTIONS_MAX];
    struct sock_fprog filter[FILTER_COUNT];
    // What functions that are not trusted at all are denied besides: a filter of its own, under that of the runtime.
    struct sock_filter hostile_instructions[HOSTILE_INSTRUCTIONS_MAX];
    struct sock_fprog hostile_filter;
    struct auditor auditor;
    // A sealed memory file with the filter that a function's zygote puts on each call.
    int call_filter;
};

extern struct nursery nursery;

// Ends the start with one line on standard error.
void die(const char *what, ...) __attribute__((noreturn, format(printf, 1, 2)));

// host.c: what this host can enforce, whose uids are ours.
void take_uid_block(uint32_t first_base);
void probe_host(void);
void report(struct nursery_event *event);

// userns.c: what root has, made of a user namespace. In this order.
void take_user_namespace(void);
void make_empty_network(void);
int take_data_along(void);
bool can_mount_proc(const char *options);

// cgroups.c
void find_cgroups(void);
bool open_slot_cgroups(struct slot *slot);
bool set_slot_limits(struct slot *slot, const struct nursery_request *request, const char **failed);
bool slot_is_empty(struct slot *slot);
void kill_slot(struct slot *slot);
void kill_slot_by_group(struct slot *slot);
bool slot_ran_out_of_memory(struct slot *slot);
uint32_t slot_refused_processes(struct slot *slot);
void remove_cgroups(void);

// templates.c
void make_templates(void);
void make_folder(const char *root, const char *name);
void write_file(const char *root, const char *name, const char *text);
void copy_file(const char *root, const char *source, const char *name);
void bind_read_only(const char *root, const char *source, const char *name);
void make_folders_above(const char *root, const char *path);
void copy_runtime(const char *root, const char *source, bool (*is_wanted)(const char *name));

// node.c
bool make_node_template(const char *root);
bool provide_libraries(const char *root, const char *program);
void set_node_arguments(char **arguments, uint64_t memory_bytes, bool is_hostile);

// gpu.c
bool make_gpu_places(const char *root);
const char *check_gpus(const struct nursery_request *request);
const char *open_gpus(struct confine_plan *plan, const struct nursery_request *request);

// launch.c: whether it makes a layer, and writes to it.
static inline bool is_install(uint32_t runtime) { return runtime == RUNTIME_FETCH || runtime == RUNTIME_BUILD; }

// network.c
int make_proxy_network(int *listener);

// profile.c
void load_profile(unsigned runtime, const char *name);
void load_clone_profile(void);
void load_hostile_profile(void);
void load_auditor_profile(void);
void load_call_profile(void);
int filter_file(const struct sock_fprog *filter);

// launch.c
void launch(int channel, const struct nursery_request *request, const char *strings, int secrets);
void kill_ticket(int channel, uint64_t ticket);
void reap(struct slot *slot);
bool check_emptying(void);
void report_exits(int channel);
void kill_channel(int channel);
bool all_slots_free(void);

// layers.c
void start_layer_job(int channel, const struct nursery_request *request);
void finish_layer_job(void);
void report_layer_job(int channel);
void kill_layer_job(void);
int open_partial_layer(const char *layer);

// zygote.c
void make_zygote_memory(void);
void prepare_zygote(void);
void zygote_event(unsigned event);
void end_zygotes(void);
bool has_ready_zygote(void);
int clone_from_zygote(const struct confine_plan *plan, struct slot *slot, bool *may_execute);

// audit.c
void make_audit_memory(void);
void report_call(const char *file, int line, int call, const char *name, int error, uint32_t shown);
void start_first_auditor(void);
void keep_auditor(void);
void auditor_event(void);
void end_auditor(void);
uint64_t missing_now(void);
const struct nursery_denial *denials_of(const struct slot *slot, struct nursery_event *event);

// auditor.c
void audit(const struct confine_plan *plan) __attribute__((noreturn));

// channel.c
void read_channel(int channel);
void flush_channel(int channel);
void answer(int channel, const struct nursery_event *event, const int *descriptors, int count);
bool send_event(int channel, const struct nursery_event *event, const int *descriptors, int count);
bool send_event_with(int channel, const struct nursery_event *event, const struct nursery_denial *denials,
                     uint32_t denial_count);
void refuse(int channel, uint64_t ticket, uint32_t flags, int error, const char *stage, const char *message);
void watch_channel(int channel);
void copy_text(char *target, size_t size, const char *text);
bool is_hash(const char *text);
