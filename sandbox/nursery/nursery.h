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
#define CALL_INSTRUCTIONS_MAX 256
// From this Landlock on the calls of one sandbox cannot signal each other.
#define FORKS_LANDLOCK_ABI 6
#define PATH_BYTES 512
#define FRAME_PIPE_BYTES (1 << 20)
// A block holds the server's uid, the slots' uids and room to spare.
#define UID_BLOCK_BASE 2000000000u
#define UID_BLOCK_SIZE 2048u
#define UID_BLOCKS_MAX 64
// The last uid of a block runs nothing: what is being sealed belongs to it.
#define UID_KEEPER (UID_BLOCK_SIZE - 1)
// How often, a millisecond apart, a sandbox is looked at again before it is given up as not empty.
#define EMPTY_CHECKS_MAX 2000
// How many of these looks come before the cgroup is killed: the kernel takes a moment to let go of what has ended.
#define EMPTY_CHECKS_PATIENT 10
// How long the end waits for all sandboxes, in milliseconds.
#define SHUTDOWN_MILLISECONDS 5000
#define TEMPLATE_COUNT 9
// What of /proc may have to be covered.
#define COVERS_MAX 96
// Minor numbers of parts of devices are below this.
#define GPU_CAPABILITIES_END 4096
#define NODE_ARGUMENTS 8
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
// A runtime that no request names: the filter of zygotes.
#define RUNTIME_ZYGOTE 0

// epoll's user data: channels from 0, then the layer job, then slots.
#define JOB_EVENT 4095u
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
    // Python that loads one function and forks a process for each of its calls: the zygote of a function.
    RUNTIME_FORKS = 8,
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
    int channel_count;
    struct channel channels[CHANNELS_MAX];
    uint32_t slot_count;
    struct slot slots[SLOTS_MAX];
    struct job job;
    // The statuses of all slots and, behind them, of the zygotes; in a memory file, for zygotes.
    struct confine_status *statuses;
    int status_memory;
    struct zygote zygotes[ZYGOTES_MAX];
    // The one in use, -1 for none.
    int zygote;
    uint32_t zygote_failures;
    bool has_zygote;
    bool is_ending;
    int clone_filter;
    uint32_t uid_base;
    uid_t server_uid;
    gid_t server_gid;
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
    struct sock_filter instructions[TEMPLATE_COUNT][FILTER_INSTRUCTIONS_MAX];
    struct sock_fprog filter[TEMPLATE_COUNT];
    // What functions that are not trusted at all are denied besides: a filter of its own, under that of the runtime.
    struct sock_filter hostile_instructions[HOSTILE_INSTRUCTIONS_MAX];
    struct sock_fprog hostile_filter;
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

// cgroups.c
void find_cgroups(void);
bool open_slot_cgroups(struct slot *slot);
bool set_slot_limits(struct slot *slot, const struct nursery_request *request, const char **failed);
bool slot_is_empty(struct slot *slot);
void kill_slot(struct slot *slot);
void kill_slot_by_group(struct slot *slot);
bool slot_ran_out_of_memory(struct slot *slot);
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
void set_node_arguments(char **arguments, uint64_t memory_bytes, bool is_hostile);

// gpu.c
bool make_gpu_places(const char *root);
const char *check_gpus(const struct nursery_request *request);
const char *open_gpus(struct confine_plan *plan, const struct nursery_request *request);

// launch.c: whether it makes a layer, and writes to it.
static inline bool is_install(uint32_t runtime) { return runtime == RUNTIME_FETCH || runtime == RUNTIME_BUILD; }

// profile.c
void load_profile(unsigned runtime, const char *name);
void load_hostile_profile(void);
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

// channel.c
void read_channel(int channel);
void flush_channel(int channel);
void answer(int channel, const struct nursery_event *event, const int *descriptors, int count);
bool send_event(int channel, const struct nursery_event *event, const int *descriptors, int count);
void refuse(int channel, uint64_t ticket, uint32_t flags, int error, const char *stage, const char *message);
void watch_channel(int channel);
void copy_text(char *target, size_t size, const char *text);
bool is_hash(const char *text);
