// Zygotes: warm interpreters that become workers by being cloned. One is in use, one may be on its way to replace it.
// Without one, a worker is made by executing the interpreter: slower, and nothing else.
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nursery.h"
#include "passing.h"
#include "syscalls.h"
#include "zygote_protocol.h"

static struct {
    struct zygote_order order;
    char environment[ZYGOTE_ENVIRONMENT_BYTES_MAX];
} outbox;

static int64_t seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

void make_zygote_memory(void) {
    nursery.clone_filter = filter_file(&nursery.filter[FILTER_CLONE]);
    for (int index = 0; index < ZYGOTES_MAX; index++) {
        nursery.zygotes[index].process = nursery.zygotes[index].channel = -1;
    }
    nursery.zygote = -1;
}

static void watch(int descriptor, uint64_t event) {
    struct epoll_event wanted = {.events = EPOLLIN, .data.u64 = event};
    epoll_ctl(nursery.epoll, EPOLL_CTL_ADD, descriptor, &wanted);
}

// The end is seen by its pidfd; what it cloned lives on.
static void end_zygote(struct zygote *zygote) {
    if (zygote->channel >= 0) close(zygote->channel);
    zygote->channel = -1;
    zygote->is_ready = false;
    if (zygote->process >= 0) signal_process(zygote->process, SIGKILL);
    if (nursery.zygote >= 0 && zygote == &nursery.zygotes[nursery.zygote]) nursery.zygote = -1;
}

static void start_zygote(struct zygote *zygote) {
    static char *const arguments[] = {"/usr/bin/python3", "-I", "-S", "-B", "/runtime/apus/_zygote.py", NULL};
    static char *const environment[] = {"HOME=/tmp",    "TMPDIR=/tmp",   "PATH=/usr/bin:/bin",
                                        "LANG=C.UTF-8", "USER=function", "LOGNAME=function",
                                        NULL};
    int pair[2], output[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return;
    // A pipe that nobody reads: the interpreter finds its output of the kind that workers have.
    if (pipe2(output, O_CLOEXEC) != 0) {
        close(pair[0]);
        close(pair[1]);
        return;
    }
    struct confine_plan plan = {
        .template_path = nursery.template_path[RUNTIME_PYTHON],
        .standard = {nursery.null, output[1], output[1], pair[1], nursery.status_memory, nursery.clone_filter},
        .network = nursery.empty_network,
        .has_no_page_zero = !nursery.has_page_zero,
        .shows_proc = nursery.is_rootless && nursery.has_proc,
        .secrets = -1,
        .weights = -1,
        .parent = nursery.self,
        .audit = -1,
        .mask = 077,
        .program = "/usr/bin/python3",
        .arguments = arguments,
        .environment = environment,
        .filter = &nursery.filter[RUNTIME_ZYGOTE],
        .landlock_abi = nursery.landlock_abi,
        .status = &nursery.statuses[nursery.slot_count + (uint32_t)(zygote - nursery.zygotes)],
    };
    int process = -1;
    struct clone_arguments request = {
        // In the nursery's pid namespace: the first process of one could not clone for its parent.
        .flags = CLONE_FLAG_PIDFD | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS,
        .pidfd = (uint64_t)(uintptr_t)&process,
        // Its clones inherit it.
        .exit_signal = SIGCHLD,
    };
    long result = syscall(SYS_clone3, &request, sizeof request);
    if (result == 0) confine_zygote(&plan);
    close(pair[1]);
    close(output[0]);
    close(output[1]);
    if (result < 0) {
        close(pair[0]);
        nursery.zygote_failures++;
        return;
    }
    *zygote = (struct zygote){.process = process, .channel = pair[0], .born = seconds()};
    watch(process, ZYGOTE_EVENT_BASE + (uint64_t)(zygote - nursery.zygotes));
    watch(pair[0], ZYGOTE_EVENT_BASE + ZYGOTES_MAX + (uint64_t)(zygote - nursery.zygotes));
}

// Starts one where none is on its way, unless they keep failing.
void prepare_zygote(void) {
    if (!nursery.has_zygote || nursery.zygote_failures >= ZYGOTE_FAILURES_MAX) return;
    struct zygote *free = NULL;
    for (int index = 0; index < ZYGOTES_MAX; index++) {
        struct zygote *zygote = &nursery.zygotes[index];
        if (zygote->process < 0) free = zygote;
        if (zygote->process >= 0 && !zygote->is_ready) return;
    }
    if (free != NULL) start_zygote(free);
}

// It said that it is ready, or closed its channel, or ended.
void zygote_event(unsigned event) {
    struct zygote *zygote = &nursery.zygotes[event % ZYGOTES_MAX];
    if (event >= ZYGOTES_MAX) {
        struct zygote_answer answer;
        ssize_t length = recv(zygote->channel, &answer, sizeof answer, MSG_DONTWAIT);
        bool is_ready = length == (ssize_t)sizeof answer && answer.magic == ZYGOTE_MAGIC && answer.slot == ZYGOTE_READY;
        if (!is_ready || zygote->is_ready) {
            // Between orders it has nothing to say.
            end_zygote(zygote);
            return;
        }
        int before = nursery.zygote;
        zygote->is_ready = true;
        nursery.zygote = (int)(zygote - nursery.zygotes);
        nursery.zygote_failures = 0;
        if (before >= 0) end_zygote(&nursery.zygotes[before]);
        return;
    }
    siginfo_t info;
    memset(&info, 0, sizeof info);
    if (waitid((idtype_t)3 /* P_PIDFD */, (id_t)zygote->process, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
        return;
    if (!zygote->is_ready && zygote->channel >= 0) nursery.zygote_failures++;
    int process = zygote->process;
    zygote->process = -1;
    end_zygote(zygote);
    close(process);
    // Its place is taken again at once, so that launches seldom find none.
    if (nursery.zygote < 0 && !nursery.is_ending) prepare_zygote();
}

void end_zygotes(void) {
    nursery.is_ending = true;
    for (int index = 0; index < ZYGOTES_MAX; index++) end_zygote(&nursery.zygotes[index]);
}

bool has_ready_zygote(void) {
    if (nursery.zygote < 0) {
        prepare_zygote();
        return false;
    }
    const struct zygote *zygote = &nursery.zygotes[nursery.zygote];
    bool is_old = zygote->clones >= ZYGOTE_CLONES_RENEWED || seconds() - zygote->born >= ZYGOTE_SECONDS_RENEWED;
    if (is_old) prepare_zygote();
    return zygote->clones < ZYGOTE_CLONES_MAX && seconds() - zygote->born < ZYGOTE_SECONDS_MAX;
}

static bool pack_environment(char *const *environment) {
    size_t used = 0;
    for (; *environment != NULL; environment++) {
        size_t length = strlen(*environment) + 1;
        if (used + length > sizeof outbox.environment) return false;
        memcpy(outbox.environment + used, *environment, length);
        used += length;
    }
    outbox.order.environment_bytes = (uint32_t)used;
    return true;
}

static int pack_descriptors(const struct confine_plan *plan, int unified, int *descriptors) {
    int all[ZYGOTE_DESCRIPTORS];
    all[ZYGOTE_FUNCTION] = plan->function;
    all[ZYGOTE_LAYER] = plan->layer;
    for (int index = 0; index < CONFINE_CGROUPS_MAX; index++) all[ZYGOTE_CGROUP_FIRST + index] = plan->cgroups[index];
    all[ZYGOTE_UNIFIED] = unified;
    all[ZYGOTE_AUDIT] = plan->audit;
    for (int index = 1; index < 6; index++) all[ZYGOTE_STANDARD_FIRST + index - 1] = plan->standard[index];
    int count = 0;
    outbox.order.descriptors = 0;
    for (int index = 0; index < ZYGOTE_DESCRIPTORS; index++) {
        if (all[index] < 0) continue;
        outbox.order.descriptors |= 1u << index;
        descriptors[count++] = all[index];
    }
    return count;
}

static bool order(const struct zygote *zygote, const struct confine_plan *plan, int unified, uint32_t slot) {
    outbox.order = (struct zygote_order){
        .magic = ZYGOTE_MAGIC,
        .slot = slot,
        .ticket = plan->handover.ticket,
        .scratch_bytes = plan->scratch_bytes,
        .file_bytes = plan->file_bytes,
        .locked_bytes = plan->locked_bytes,
        .user = plan->user,
        .group = plan->group,
        .open_files = plan->open_files,
        .processes = plan->processes,
        .mask = plan->mask,
        .landlock_abi = plan->landlock_abi,
        .has_proc_subset = (uint32_t)plan->has_proc_subset,
        .has_keyring = (uint32_t)plan->has_keyring,
        .has_no_proc = (uint32_t)plan->has_no_proc,
        .keeps_groups = (uint32_t)plan->keeps_groups,
        .data_bytes = plan->data_bytes,
    };
    int descriptors[ZYGOTE_DESCRIPTORS];
    if (!pack_environment(plan->environment)) {
        errno = E2BIG;
        return false;
    }
    size_t bytes = sizeof(int) * (size_t)pack_descriptors(plan, unified, descriptors);
    struct iovec part = {.iov_base = &outbox, .iov_len = sizeof outbox.order + outbox.order.environment_bytes};
    union {
        char bytes[CMSG_SPACE(sizeof(int) * ZYGOTE_DESCRIPTORS)];
        struct cmsghdr align;
    } control;
    memset(&control, 0, sizeof control);
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = CMSG_SPACE(bytes)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(bytes);
    memcpy(CMSG_DATA(head), descriptors, bytes);
    return sendmsg(zygote->channel, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)part.iov_len;
}

// What became of an order.
enum outcome {
    // The zygote answered: with a clone, or with the error of its clone3.
    ORDER_ANSWERED,
    // It ended before it read the order.
    ORDER_UNREAD,
    // It may have made a clone that nobody was told of.
    ORDER_LOST,
};

// The pidfd of a process that is a child of ours, or -1.
static int await(const struct zygote *zygote, uint32_t slot, enum outcome *outcome) {
    *outcome = ORDER_LOST;
    struct pollfd readable = {.fd = zygote->channel, .events = POLLIN};
    if (poll(&readable, 1, ZYGOTE_ANSWER_MILLISECONDS) != 1) {
        errno = ETIMEDOUT;
        return -1;
    }
    struct zygote_answer answer;
    int process = -1;
    ssize_t length = receive_with(zygote->channel, &answer, sizeof answer, &process);
    // The kernel's word for a peer that closed its end with something unread in it.
    if (length < 0 && errno == ECONNRESET) {
        *outcome = ORDER_UNREAD;
        return -1;
    }
    errno = EPROTO;
    if (length != (ssize_t)sizeof answer || answer.magic != ZYGOTE_MAGIC || answer.slot != slot) {
        if (process >= 0) close(process);
        return -1;
    }
    if (answer.error != 0 && process < 0) {
        *outcome = ORDER_ANSWERED;
        errno = answer.error;
        return -1;
    }
    siginfo_t info;
    int error = waitid((idtype_t)3 /* P_PIDFD */, (id_t)process, &info, WEXITED | WNOHANG | WNOWAIT);
    if (error == 0) {
        *outcome = ORDER_ANSWERED;
        return process;
    }
    if (process >= 0) close(process);
    errno = EPROTO;
    return -1;
}

// The pidfd of the clone, or -1; then `may_execute` says whether the slot is as it was. A clone that a zygote may have
// made without telling is nobody's: the slot is lost.
int clone_from_zygote(const struct confine_plan *plan, struct slot *slot, bool *may_execute) {
    struct zygote *zygote = &nursery.zygotes[nursery.zygote];
    slot->status->stage = CONFINE_CLONE;
    slot->status->error = 0;
    slot->status->is_audited = 0;
    if (!order(zygote, plan, slot->unified, (uint32_t)slot->index)) {
        if (errno != E2BIG) end_zygote(zygote);
        *may_execute = true;
        return -1;
    }
    zygote->clones++;
    enum outcome outcome;
    int process = await(zygote, (uint32_t)slot->index, &outcome);
    *may_execute = outcome == ORDER_UNREAD;
    if (outcome == ORDER_ANSWERED) return process;
    int error = errno;
    end_zygote(zygote);
    if (outcome == ORDER_UNREAD) return -1;
    slot->state = SLOT_QUARANTINED;
    kill_slot_by_group(slot);
    errno = error;
    return -1;
}
