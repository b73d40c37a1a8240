// One launch: check what was asked, take a slot, make the pipes, clone. Then its end: reap, verify empty, report, free
// the slot.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nursery.h"
#include "syscalls.h"

#define MEMORY_BYTES_MIN (4ull << 20)
#define EXEC_WORKER "/runtime/exec-worker"
#define MCP_WORKER "/runtime/mcp-worker"
#define BUILD_FILE_BYTES (4ull << 30)
// What a worker may lock in memory; one with a device, all that it has.
#define LOCKED_BYTES (1ull << 20)

// Both ends of everything a worker talks through. The server's ends first, in the order of the LAUNCHED event.
struct pipes {
    int server[NURSERY_DESCRIPTORS];
    int worker[NURSERY_DESCRIPTORS];
};

static char *arguments[NURSERY_ARGUMENTS_MAX + 8];
static char *environment[NURSERY_ENVIRONMENT_MAX + 16];

static void close_all(int *descriptors, int count) {
    for (int index = 0; index < count; index++) {
        if (descriptors[index] >= 0) close(descriptors[index]);
        descriptors[index] = -1;
    }
}

static bool make_pipe(struct pipes *pipes, int index, bool to_worker, bool is_large) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return false;
    pipes->server[index] = to_worker ? ends[1] : ends[0];
    pipes->worker[index] = to_worker ? ends[0] : ends[1];
    if (fcntl(pipes->server[index], F_SETFL, O_NONBLOCK) != 0) return false;
    // A smaller pipe works too; the kernel refuses when the host's pages for pipes are used up. An ordinary user's are
    // few: a handful of large pipes would leave all others with two pages.
    if (is_large && !nursery.is_rootless) fcntl(ends[0], F_SETPIPE_SZ, FRAME_PIPE_BYTES);
    return true;
}

static bool make_pipes(struct pipes *pipes) {
    for (int index = 0; index < NURSERY_DESCRIPTORS; index++) pipes->server[index] = pipes->worker[index] = -1;
    if (!make_pipe(pipes, 0, true, true) || !make_pipe(pipes, 1, false, true)) return false;
    if (!make_pipe(pipes, 3, false, false) || !make_pipe(pipes, 4, false, false)) return false;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return false;
    pipes->server[2] = pair[0];
    pipes->worker[2] = pair[1];
    return fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0;
}

// Splits `bytes` bytes at their zero bytes into exactly `count` strings.
static bool split(char **into, uint32_t count, const char *text, uint32_t bytes) {
    uint32_t place = 0;
    for (uint32_t index = 0; index < count; index++) {
        if (place >= bytes) return false;
        size_t length = strnlen(text + place, bytes - place);
        if (place + length == bytes) return false;
        into[index] = (char *)(text + place);
        place += (uint32_t)length + 1;
    }
    into[count] = NULL;
    return place == bytes;
}

static bool has_variable(const char *assignment, uint32_t count) {
    size_t length = strcspn(assignment, "=") + 1;
    for (uint32_t index = 0; index < count; index++) {
        if (strncmp(environment[index], assignment, length) == 0) return true;
    }
    return false;
}

static void add_defaults(uint32_t count, bool has_secrets) {
    static char *const defaults[] = {"HOME=/tmp",    "TMPDIR=/tmp",   "PATH=/usr/bin:/bin",
                                     "LANG=C.UTF-8", "USER=function", "LOGNAME=function"};
    uint32_t next = count;
    for (size_t index = 0; index < sizeof defaults / sizeof defaults[0]; index++) {
        if (!has_variable(defaults[index], count)) environment[next++] = defaults[index];
    }
    // A number, no secret: where it finds them.
    if (has_secrets) environment[next++] = "APUS_SECRETS_FD=6";
    environment[next] = NULL;
}

static const char *set_program(struct confine_plan *plan, const struct nursery_request *request, const char *strings) {
    if (request->argument_count > NURSERY_ARGUMENTS_MAX || request->environment_count > NURSERY_ENVIRONMENT_MAX)
        return "too many arguments";
    if (!split(environment, request->environment_count, strings + request->argument_bytes,
               request->environment_bytes)) {
        return "the environment does not match its count";
    }
    for (uint32_t index = 0; index < request->environment_count; index++) {
        if (strchr(environment[index], '=') == NULL || environment[index][0] == '=')
            return "the environment holds a line without a name";
    }
    add_defaults(request->environment_count, request->has_secrets != 0);
    static char *const python[] = {"/usr/bin/python3", "-I", "-S", "-B", "/runtime/apus/__main__.py", NULL};
    static char *const exec[] = {EXEC_WORKER, NULL};
    static char *const mcp[] = {MCP_WORKER, NULL};
    static char *node[NODE_ARGUMENTS + 1];
    static char *const egress[] = {"/runtime/egress", NULL};
    static char *const pip[] = {"/usr/bin/python3", "-I", "-m", "pip"};
    plan->program = "/usr/bin/python3";
    uint32_t own = 0;
    if (request->runtime == RUNTIME_PYTHON || request->runtime == RUNTIME_FORKS) {
        if (request->argument_count != 0) return "this runtime takes no arguments";
        plan->arguments = python;
    } else if (request->runtime == RUNTIME_NATIVE) {
        plan->in_function = 1;
        plan->arguments = arguments;
        if (request->argument_count == 0) return "the first argument must be the program";
    } else if (request->runtime == RUNTIME_EXEC) {
        // What to execute comes with INIT; this is the program that does it: for each event, or once for a server of tools.
        bool is_mcp = request->argument_count == 1 && request->argument_bytes == 4 && memcmp(strings, "mcp", 4) == 0;
        if (request->argument_count != 0 && !is_mcp) return "this runtime takes no arguments but `mcp`";
        plan->program = is_mcp ? MCP_WORKER : EXEC_WORKER;
        plan->arguments = is_mcp ? mcp : exec;
    } else if (request->runtime == RUNTIME_NODE) {
        if (request->argument_count != 0) return "this runtime takes no arguments";
        plan->program = "/usr/bin/node";
        set_node_arguments(node, request->memory_bytes, request->isolation == 1);
        plan->arguments = node;
    } else if (request->runtime == RUNTIME_EGRESS) {
        if (request->argument_count != 0) return "this runtime takes no arguments";
        plan->program = egress[0];
        plan->arguments = egress;
    } else {
        own = 4;
        memcpy(arguments, pip, sizeof pip);
        plan->arguments = arguments;
    }
    if (!split(arguments + own, request->argument_count, strings, request->argument_bytes))
        return "the arguments do not match their count";
    if (plan->in_function) {
        plan->program = arguments[0];
        if (arguments[0][0] == 0 || arguments[0][0] == '/') return "the program must be a path inside the bundle";
    }
    plan->environment = environment;
    return NULL;
}

static const char *check_bounds(const struct nursery_request *request) {
    if (request->runtime < RUNTIME_PYTHON || request->runtime > RUNTIME_FORKS || request->runtime == RUNTIME_GPU)
        return "unknown runtime";
    if (request->isolation > 1) return "unknown isolation";
    bool is_more =
        request->isolation != 0 || request->has_secrets != 0 || request->gpus != 0 || request->has_proxy != 0;
    if (request->runtime == RUNTIME_FORKS && is_more)
        return "calls that share a sandbox are not hostile, nor has their zygote secrets, devices or a way out";
    if (request->is_clone > 1) return "a launch is a clone or not";
    if (request->has_proxy > 1) return "a worker has a way out or not";
    bool is_worker = !is_install(request->runtime) && request->runtime != RUNTIME_EGRESS;
    if (request->has_proxy == 1 && !is_worker) return "only workers have a way out";
    if (request->runtime == RUNTIME_EGRESS) {
        if (request->bundle[0] != 0 || request->layer[0] != 0 || request->weights[0] != 0)
            return "this runtime has no code of anybody's";
    } else if (!is_hash(request->bundle)) {
        return "the bundle is no content hash";
    }
    if (request->layer[0] != 0 && !is_hash(request->layer)) return "the layer is no content hash";
    if (request->weights[0] != 0 && !is_hash(request->weights)) return "the weights are no content hash";
    if (is_install(request->runtime) && request->weights[0] != 0) return "builds have no weights";
    if (is_install(request->runtime) && request->layer[0] == 0) return "this runtime needs a layer to write to";
    const char *wrong = check_gpus(request);
    if (wrong != NULL) return wrong;
    if (request->memory_bytes < MEMORY_BYTES_MIN) return "at least 4 MiB of memory are needed";
    if (request->cpu_millis == 0 || request->cpu_millis > 1000000)
        return "the share of CPUs must be from 1 to 1000000 thousandths";
    if (request->processes == 0 || request->processes > 100000)
        return "the number of processes must be from 1 to 100000";
    if (request->scratch_bytes < 4096 || request->scratch_bytes > (1ull << 44))
        return "scratch must be from 4 KiB to 16 TiB";
    if (request->open_files < 16 || request->open_files > NURSERY_OPEN_FILES_MAX)
        return "open files must be from 16 to 1000";
    return NULL;
}

static void close_quietly(int descriptor) {
    int error = errno;
    close(descriptor);
    errno = error;
}

// A mount of this very folder, attached nowhere yet.
static int mount_of(int directory, bool is_writable) {
    int tree = clone_tree(directory, "", AT_EMPTY_PATH);
    if (tree < 0) return -1;
    uint64_t flags = MOUNT_NOSUID | MOUNT_NODEV | (is_writable ? 0 : MOUNT_RDONLY);
    if (set_mount_attributes(tree, "", AT_EMPTY_PATH, flags) == 0) return tree;
    close_quietly(tree);
    return -1;
}

// A read-only mount of what lies at `folder`/`hash` in the data directory.
static int open_tree_of(const char *folder, const char *hash) {
    char path[128];
    snprintf(path, sizeof path, "%s/%.64s", folder, hash);
    int directory = open_beneath(nursery.data, path, O_PATH | O_DIRECTORY);
    if (directory < 0) return -1;
    int tree = mount_of(directory, false);
    close_quietly(directory);
    return tree;
}

// What a build writes to belongs to whoever builds now. Only what our own uids own already is ever given away.
static int open_out(const struct nursery_request *request, uid_t user) {
    int directory = open_partial_layer(request->layer);
    if (directory < 0) return -1;
    // The folder that was looked at, not its name again: the server may have put another one there.
    int tree = fchown(directory, user, user) == 0 ? mount_of(directory, true) : -1;
    close_quietly(directory);
    return tree;
}

static void open_live_files(struct confine_plan *plan) {
    static const struct {
        const char *host, *inside;
    } files[] = {
        {"/etc/resolv.conf", "etc/resolv.conf"}, {"/etc/hosts", "etc/hosts"}, {"/etc/pip.conf", "etc/pip.conf"}};
    for (size_t index = 0; index < sizeof files / sizeof files[0]; index++) {
        int tree = clone_tree(AT_FDCWD, files[index].host, 0);
        if (tree < 0) continue;
        if (set_mount_attributes(tree, "", AT_EMPTY_PATH, MOUNT_RDONLY | MOUNT_NOSUID | MOUNT_NODEV | MOUNT_NOEXEC) !=
            0) {
            close(tree);
            continue;
        }
        plan->live[index].tree = tree;
        plan->live[index].path = files[index].inside;
    }
}

static const char *open_folders(struct confine_plan *plan, const struct nursery_request *request) {
    if (request->runtime == RUNTIME_EGRESS) {
        open_live_files(plan);
        return NULL;
    }
    plan->function = open_tree_of("bundles", request->bundle);
    if (plan->function < 0) return "bundle";
    if (is_install(request->runtime)) {
        plan->out = open_out(request, plan->user);
        if (plan->out < 0) return "out";
    } else if (request->layer[0] != 0) {
        plan->layer = open_tree_of("layers", request->layer);
        if (plan->layer < 0) return "layer";
    }
    if (request->weights[0] != 0) {
        plan->weights = open_tree_of("weights/sets", request->weights);
        if (plan->weights < 0) return "weights";
    }
    if (request->runtime == RUNTIME_FETCH) open_live_files(plan);
    return request->gpus != 0 ? open_gpus(plan, request) : NULL;
}

static void close_folders(struct confine_plan *plan) {
    int trees[4 + CONFINE_LIVE_MAX] = {plan->function, plan->layer, plan->out, plan->weights};
    for (int index = 0; index < CONFINE_LIVE_MAX; index++) trees[4 + index] = plan->live[index].tree;
    close_all(trees, 4 + CONFINE_LIVE_MAX);
}

// The network namespace to join: those that fetch and connect need the host's, all others the empty one; -1 for where it is born.
static int network_of(uint32_t runtime) {
    bool is_on_host = runtime == RUNTIME_FETCH || runtime == RUNTIME_EGRESS;
    if (nursery.is_rootless) return is_on_host ? -1 : nursery.empty_network;
    return is_on_host ? nursery.host_network : -1;
}

// Where no control group counts memory, each process at least counts what it writes to.
static uint64_t data_bound(const struct nursery_request *request) {
    if (nursery.versions[CONTROLLER_MEMORY] != CGROUP_ABSENT) return 0;
    return request->memory_bytes + (request->runtime == RUNTIME_NODE ? NODE_DATA_BYTES : 0);
}

static struct confine_plan make_plan(struct slot *slot, const struct nursery_request *request, int secrets) {
    bool installs = is_install(request->runtime);
    bool is_on_host = request->runtime == RUNTIME_FETCH || request->runtime == RUNTIME_EGRESS;
    struct confine_plan plan = {
        .template_path = nursery.template_path[request->runtime],
        .function = -1,
        .layer = -1,
        .weights = -1,
        .out = -1,
        .network = network_of(request->runtime),
        .parent = nursery.self,
        .audit = nursery.auditor.channel,
        .handover = {.ticket = request->ticket, .slot = (uint32_t)slot->index},
        // The zygote of a function has no secrets, each of its calls is sent them: its descriptor 6 is the filter of calls.
        .secrets = request->runtime == RUNTIME_FORKS ? nursery.call_filter : secrets,
        .user = nursery.has_own_users ? nursery.uid_base + 1 + (uid_t)slot->index : nursery.server_uid,
        .group = nursery.has_own_users ? nursery.uid_base + 1 + (gid_t)slot->index : nursery.server_gid,
        .scratch_bytes = request->scratch_bytes,
        .shares_scratch = request->runtime == RUNTIME_FORKS,
        .file_bytes = installs ? BUILD_FILE_BYTES : request->scratch_bytes,
        .open_files = request->runtime == RUNTIME_EGRESS ? EGRESS_OPEN_FILES : request->open_files,
        .locked_bytes = LOCKED_BYTES,
        // One above the cgroup's bound, where there is one: what refuses first is what counts its refusals.
        .processes = nursery.has_own_users ? request->processes + (nursery.versions[CONTROLLER_PIDS] != CGROUP_ABSENT)
                                           : SHARED_PROCESSES_MAX,
        .data_bytes = data_bound(request),
        // What a fetch leaves in /out is read by the build, which has another uid.
        .mask = installs ? 022 : 077,
        .filter = &nursery.filter[request->has_proxy == 1 ? TEMPLATE_COUNT + request->runtime : request->runtime],
        .hostile_filter = request->isolation == 1 ? &nursery.hostile_filter : NULL,
        .landlock_abi = nursery.landlock_abi,
        .may_execute = installs || request->runtime == RUNTIME_EXEC,
        .may_execute_written = installs,
        .has_network = is_on_host,
        .proxy_port = request->has_proxy == 1 ? NURSERY_PROXY_PORT : 0,
        .has_proc_subset = nursery.has_proc_subset,
        .has_no_proc = !nursery.has_proc,
        .has_no_page_zero = !nursery.has_page_zero,
        .keeps_groups = !nursery.has_own_users,
        .has_keyring = nursery.has_keyring,
        .status = slot->status,
    };
    for (int index = 0; index < CONFINE_LIVE_MAX; index++) plan.live[index].tree = -1;
    for (int index = 0; index < CONTROLLER_COUNT; index++) plan.cgroups[index] = slot->tasks[index];
    return plan;
}

static struct slot *free_slot(void) {
    for (uint32_t index = 0; index < nursery.slot_count; index++) {
        if (nursery.slots[index].state == SLOT_FREE) return &nursery.slots[index];
    }
    return NULL;
}

static struct slot *running_slot(int channel, uint64_t ticket) {
    for (uint32_t index = 0; index < nursery.slot_count; index++) {
        struct slot *slot = &nursery.slots[index];
        if (slot->state != SLOT_FREE && slot->channel == channel && slot->ticket == ticket) return slot;
    }
    return NULL;
}

// Returns the pidfd, or -1.
static int clone_confined(const struct confine_plan *plan, struct slot *slot) {
    int process = -1;
    struct clone_arguments request = {
        .flags = CLONE_FLAG_PIDFD | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS,
        .pidfd = (uint64_t)(uintptr_t)&process,
        .exit_signal = SIGCHLD,
    };
    if (slot->unified >= 0) {
        request.flags |= CLONE_FLAG_INTO_CGROUP;
        request.cgroup = (uint64_t)slot->unified;
    }
    slot->status->stage = CONFINE_CLONE;
    slot->status->error = 0;
    slot->status->is_audited = 0;
    long result = syscall(SYS_clone3, &request, sizeof request);
    if (result == 0) confine(plan);
    return result < 0 ? -1 : process;
}

static bool start(struct slot *slot, struct confine_plan *plan, int channel, const struct nursery_request *request) {
    // Code that is not trusted at all shares nothing with a zygote's other clones; a clone has no descriptor 6, and no
    // network of its own. Nor has a clone a device's root or weights, or may it write to its own entries of /proc.
    bool is_clone = request->is_clone != 0 && request->runtime == RUNTIME_PYTHON && plan->hostile_filter == NULL &&
                    plan->secrets < 0 && request->has_proxy == 0 && request->gpus == 0 && request->weights[0] == 0 &&
                    has_ready_zygote();
    bool may_execute = true;
    int process = is_clone ? clone_from_zygote(plan, slot, &may_execute) : -1;
    if (process < 0 && may_execute) process = clone_confined(plan, slot);
    if (process < 0) return false;
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = SLOT_EVENT_BASE + (uint64_t)slot->index};
    epoll_ctl(nursery.epoll, EPOLL_CTL_ADD, process, &event);
    slot->process = process;
    slot->channel = channel;
    slot->ticket = request->ticket;
    slot->state = SLOT_RUNNING;
    slot->checks = 0;
    memset(&slot->exit, 0, sizeof slot->exit);
    return true;
}

// Everything between a checked request and a running process; a string names the stage that failed.
static const char *launch_in(struct slot *slot, int channel, const struct nursery_request *request,
                             struct confine_plan *plan, struct pipes *pipes) {
    if (!open_slot_cgroups(slot)) return "cgroup";
    const char *failed = NULL;
    if (!set_slot_limits(slot, request, &failed)) return failed;
    // Only now: the cgroups' descriptors may be new.
    for (int index = 0; index < CONTROLLER_COUNT; index++) plan->cgroups[index] = slot->tasks[index];
    failed = open_folders(plan, request);
    if (failed != NULL) return failed;
    if (!make_pipes(pipes)) return "pipes";
    // After the pipes, which reset their list; what is open here is closed by the caller, whatever fails.
    if (request->has_proxy == 1) {
        plan->network = make_proxy_network(&pipes->server[NURSERY_WORKER_DESCRIPTORS]);
        if (plan->network < 0) return "network";
    }
    const int standard[6] = {nursery.null,     pipes->worker[3], pipes->worker[4],
                             pipes->worker[0], pipes->worker[1], pipes->worker[2]};
    memcpy(plan->standard, standard, sizeof standard);
    return start(slot, plan, channel, request) ? NULL : "clone";
}

void launch(int channel, const struct nursery_request *request, const char *strings, int secrets) {
    const char *wrong = check_bounds(request);
    struct slot *slot = wrong == NULL ? free_slot() : NULL;
    if (wrong == NULL && running_slot(channel, request->ticket) != NULL) wrong = "the ticket is in use";
    if (wrong != NULL) return refuse(channel, request->ticket, NURSERY_INVALID, 0, "request", wrong);
    if (slot == NULL)
        return refuse(channel, request->ticket, NURSERY_NO_SLOT, 0, "slot",
                      "every slot is in use: wait, or start with more");
    // The fetch process has the host's network by its nature; that layer is no demand of anyone's. And who wants a way
    // out where there is no egress process finds its runtime missing.
    keep_auditor();
    uint64_t missing = missing_now() & ~(1ull << NURSERY_LAYER_FETCH_BOUND | 1ull << NURSERY_LAYER_EGRESS);
    if (request->isolation == 1 && missing != 0) {
        return refuse(channel, request->ticket, 0, 0, "isolation",
                      "this host cannot give every layer of isolation: see apus doctor");
    }
    if (request->has_proxy == 1 && !nursery.has_template[RUNTIME_EGRESS]) {
        return refuse(channel, request->ticket, 0, 0, "runtime",
                      "no function has a way out here: see the line egress of apus doctor");
    }
    if (request->gpus != 0 && !nursery.has_template[RUNTIME_GPU]) {
        return refuse(channel, request->ticket, 0, ENODEV, "gpu",
                      "this host has no device of NVIDIA's, or had none when the server started");
    }
    if (!nursery.has_template[request->runtime]) {
        return refuse(channel, request->ticket, 0, 0, "runtime",
                      "the runtime's files, or its program (/usr/bin/python3, /usr/bin/node), are missing on this host");
    }
    struct confine_plan plan = make_plan(slot, request, secrets);
    wrong = set_program(&plan, request, strings);
    if (wrong != NULL) return refuse(channel, request->ticket, NURSERY_INVALID, 0, "request", wrong);
    struct pipes pipes;
    for (int index = 0; index < NURSERY_DESCRIPTORS; index++) pipes.server[index] = pipes.worker[index] = -1;
    const char *failed = launch_in(slot, channel, request, &plan, &pipes);
    int error = errno;
    close_folders(&plan);
    if (request->has_proxy == 1 && plan.network >= 0) close(plan.network);
    close_all(pipes.worker, NURSERY_DESCRIPTORS);
    if (failed != NULL) {
        close_all(pipes.server, NURSERY_DESCRIPTORS);
        return refuse(channel, request->ticket, 0, error, failed, "the sandbox could not be made");
    }
    struct nursery_event event = {
        .magic = NURSERY_MAGIC, .kind = NURSERY_LAUNCHED, .ticket = request->ticket, .missing = missing_now(),
        .slot = (uint32_t)slot->index};
    event.is_rootless = nursery.is_rootless;
    answer(channel, &event, pipes.server,
           request->has_proxy == 1 ? NURSERY_DESCRIPTORS : NURSERY_WORKER_DESCRIPTORS);
}

void kill_ticket(int channel, uint64_t ticket) {
    struct slot *slot = running_slot(channel, ticket);
    if (slot != NULL && slot->state == SLOT_RUNNING) kill_slot(slot);
}

void kill_channel(int channel) {
    for (uint32_t index = 0; index < nursery.slot_count; index++) {
        struct slot *slot = &nursery.slots[index];
        if (slot->state == SLOT_RUNNING && slot->channel == channel) kill_slot(slot);
        if (slot->state == SLOT_REPORTING && slot->channel == channel) slot->state = SLOT_FREE;
    }
}

static bool send_exit(struct slot *slot) {
    const struct nursery_denial *denials = denials_of(slot, &slot->exit);
    return send_event_with(slot->channel, &slot->exit, denials, slot->exit.denials);
}

static void finish(struct slot *slot, bool is_empty) {
    struct nursery_event *event = &slot->exit;
    if (slot_ran_out_of_memory(slot)) event->flags |= NURSERY_OUT_OF_MEMORY;
    event->processes_refused = slot_refused_processes(slot);
    if (!is_empty) event->flags |= NURSERY_QUARANTINED;
    bool is_told = !nursery.channels[slot->channel].is_open || nursery.channels[slot->channel].has_pending == false;
    if (nursery.channels[slot->channel].is_open) {
        is_told = is_told && send_exit(slot);
    }
    if (!is_empty) {
        slot->state = SLOT_QUARANTINED;
        return;
    }
    slot->state = is_told ? SLOT_FREE : SLOT_REPORTING;
    if (!is_told) {
        nursery.channels[slot->channel].has_unsent_exits = true;
        watch_channel(slot->channel);
    }
}

void report_exits(int channel) {
    struct channel *target = &nursery.channels[channel];
    if (!target->has_unsent_exits) return;
    for (uint32_t index = 0; index < nursery.slot_count; index++) {
        struct slot *slot = &nursery.slots[index];
        if (slot->state != SLOT_REPORTING || slot->channel != channel) continue;
        if (!send_exit(slot)) return;
        slot->state = SLOT_FREE;
    }
    target->has_unsent_exits = false;
}

// The first process has ended, and the kernel has ended its pid namespace with it.
void reap(struct slot *slot) {
    if (slot->state != SLOT_RUNNING) return;
    siginfo_t info;
    memset(&info, 0, sizeof info);
    if (waitid((idtype_t)3 /* P_PIDFD */, (id_t)slot->process, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
        return;
    close(slot->process);
    slot->process = -1;
    struct nursery_event *event = &slot->exit;
    event->magic = NURSERY_MAGIC;
    event->kind = NURSERY_EXITED;
    event->ticket = slot->ticket;
    event->missing = nursery.missing;
    if (slot->status->is_audited == 0) event->flags |= NURSERY_UNAUDITED;
    bool is_exit = info.si_code == CLD_EXITED;
    event->code = is_exit ? info.si_status : -1;
    event->signal = is_exit ? 0 : info.si_status;
    bool was_started = slot->status->stage == CONFINE_EXEC && slot->status->error == 0;
    if (!was_started) {
        event->flags |= NURSERY_NOT_STARTED;
        event->error = slot->status->error;
        copy_text(event->stage, sizeof event->stage, confine_stage_name(slot->status->stage));
    }
    slot->state = SLOT_EMPTYING;
    if (slot_is_empty(slot)) finish(slot, true);
}

// True while a sandbox is waited for; asked again a millisecond later.
bool check_emptying(void) {
    bool is_waiting = false;
    for (uint32_t index = 0; index < nursery.slot_count; index++) {
        struct slot *slot = &nursery.slots[index];
        if (slot->state != SLOT_EMPTYING) continue;
        if (slot_is_empty(slot)) {
            finish(slot, true);
        } else if (++slot->checks >= EMPTY_CHECKS_MAX) {
            finish(slot, false);
        } else {
            if (slot->checks >= EMPTY_CHECKS_PATIENT) kill_slot_by_group(slot);
            is_waiting = true;
        }
    }
    return is_waiting;
}

bool all_slots_free(void) {
    for (uint32_t index = 0; index < nursery.slot_count; index++) {
        enum slot_state state = nursery.slots[index].state;
        if (state == SLOT_RUNNING || state == SLOT_EMPTYING) return false;
    }
    return true;
}
