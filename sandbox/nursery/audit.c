// The nursery's side of the audit: the memory it is written to, and the auditor, which is replaced when it ends.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
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
#include "syscalls.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static int64_t seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

// Before profiles are read, which fill it. Whoever gets its descriptor from us can only read it: auditors inherit the
// mapping that is made here.
void make_audit_memory(void) {
    struct auditor *auditor = &nursery.auditor;
    auditor->process = auditor->channel = -1;
    size_t bytes = sizeof(struct nursery_audit) + nursery.slot_count * sizeof(struct nursery_audit_entry);
    int memory = memfd_create("audit", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory < 0 || ftruncate(memory, (off_t)bytes) != 0) die("no memory file for the audit: %s", strerror(errno));
    void *mapping = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (mapping == MAP_FAILED ||
        fcntl(memory, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        die("the memory of the audit cannot be sealed: %s", strerror(errno));
    }
    auditor->memory = memory;
    auditor->audit = mapping;
    auditor->audit->slot_count = nursery.slot_count;
}

// A profile says that it reports refusals of a call. One call fails with one error, whoever makes it.
void report_call(const char *file, int line, int call, const char *name, int error, uint32_t shown) {
    struct auditor *auditor = &nursery.auditor;
    struct nursery_audit *audit = auditor->audit;
    if (call >= CALLS_MAX) die("%s:%d: the call '%s' has a number above %d", file, line, name, CALLS_MAX - 1);
    if (auditor->place[call] != 0) {
        if (auditor->error[call] != error || audit->calls[auditor->place[call] - 1].shown != shown)
            die("%s:%d: '%s' is reported differently elsewhere", file, line, name);
        return;
    }
    if (audit->call_count == NURSERY_AUDIT_CALLS_MAX)
        die("%s:%d: more than %d calls are reported", file, line, NURSERY_AUDIT_CALLS_MAX);
    struct nursery_audit_call *entry = &audit->calls[audit->call_count++];
    copy_text(entry->name, sizeof entry->name, name);
    entry->shown = shown;
    auditor->place[call] = (uint8_t)audit->call_count;
    auditor->error[call] = (uint16_t)error;
}

static struct confine_status *auditor_status(void) { return &nursery.statuses[nursery.slot_count + ZYGOTES_MAX]; }

static void start_auditor(void) {
    struct auditor *auditor = &nursery.auditor;
    auditor->born = seconds();
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) return;
    struct confine_status *status = auditor_status();
    status->stage = CONFINE_CLONE;
    status->error = 0;
    struct confine_plan plan = {
        .template_path = nursery.base,
        .weights = -1,
        .audit = pair[1],
        .parent = nursery.self,
        .user = nursery.has_own_users ? nursery.uid_base + UID_AUDITOR : nursery.server_uid,
        .group = nursery.has_own_users ? nursery.uid_base + UID_AUDITOR : nursery.server_gid,
        .keeps_groups = !nursery.has_own_users,
        .open_files = nursery.slot_count + AUDITOR_DESCRIPTORS,
        .mask = 077,
        .filter = &auditor->filter,
        .landlock_abi = nursery.landlock_abi,
        .has_keyring = nursery.has_keyring,
        .status = status,
    };
    int process = -1;
    struct clone_arguments request = {
        .flags = CLONE_FLAG_PIDFD | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS,
        .pidfd = (uint64_t)(uintptr_t)&process,
        .exit_signal = SIGCHLD,
    };
    long result = syscall(SYS_clone3, &request, sizeof request);
    if (result == 0) audit(&plan);
    // Its own end is the only one: when it ends, so does whatever was on its way to it.
    close(pair[1]);
    if (result < 0) {
        close(pair[0]);
        return;
    }
    auditor->process = process;
    auditor->channel = pair[0];
    auditor->audit->starts++;
    __atomic_store_n(&auditor->audit->is_running, 1, __ATOMIC_RELEASE);
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = AUDITOR_EVENT};
    epoll_ctl(nursery.epoll, EPOLL_CTL_ADD, process, &event);
}

// Waits for it, so that a host on which it cannot run says so from the start.
void start_first_auditor(void) {
    if (!nursery.auditor.is_supported) return;
    start_auditor();
    char ready = 0;
    struct pollfd readable = {.fd = nursery.auditor.channel, .events = POLLIN};
    bool is_ready = nursery.auditor.channel >= 0 && poll(&readable, 1, AUDITOR_START_MILLISECONDS) == 1 &&
                    recv(nursery.auditor.channel, &ready, sizeof ready, MSG_DONTWAIT) == sizeof ready;
    if (is_ready) return;
    const struct confine_status *status = auditor_status();
    fprintf(stderr, "nursery: denied calls will not be counted, since the auditor did not start: %s: %s\n",
            confine_stage_name(status->stage), strerror(status->error));
    end_auditor();
    nursery.auditor.is_supported = false;
    nursery.missing |= 1ull << NURSERY_LAYER_AUDIT;
}

// Has one run, unless the last one was started a moment ago.
void keep_auditor(void) {
    const struct auditor *auditor = &nursery.auditor;
    if (!auditor->is_supported || auditor->process >= 0 || nursery.is_ending) return;
    if (seconds() - auditor->born >= AUDITOR_SECONDS_MIN) start_auditor();
}

// So that the server hears of it now, and not with the next sandbox. One whose socket is full hears of it then.
static void tell_channels(void) {
    struct nursery_event event = {.magic = NURSERY_MAGIC, .kind = NURSERY_REPORT};
    report(&event);
    for (int index = 0; index < nursery.channel_count; index++) {
        const struct channel *channel = &nursery.channels[index];
        if (channel->is_open && !channel->has_pending) send_event(index, &event, NULL, 0);
    }
}

// Its listeners ended with it: what they would have told of is denied by the kernel.
void auditor_event(void) {
    struct auditor *auditor = &nursery.auditor;
    siginfo_t info;
    memset(&info, 0, sizeof info);
    if (waitid((idtype_t)3 /* P_PIDFD */, (id_t)auditor->process, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
        return;
    close(auditor->process);
    close(auditor->channel);
    auditor->process = auditor->channel = -1;
    __atomic_store_n(&auditor->audit->is_running, 0, __ATOMIC_RELEASE);
    keep_auditor();
    if (!nursery.is_ending) tell_channels();
}

void end_auditor(void) {
    if (nursery.auditor.process >= 0) signal_process(nursery.auditor.process, SIGKILL);
}

// What a sandbox that is made now would lack.
uint64_t missing_now(void) {
    return nursery.missing | (nursery.auditor.channel < 0 ? 1ull << NURSERY_LAYER_AUDIT : 0);
}

// Of a slot that has ended: what it was denied, into the event; the records follow it. They are copied nowhere, since the
// slot is not taken again before the event is sent.
const struct nursery_denial *denials_of(const struct slot *slot, struct nursery_event *event) {
    const struct nursery_audit_entry *entry = &nursery.auditor.audit->entries[slot->index];
    event->denials = event->denied = event->denied_others = 0;
    if (entry->ticket != slot->ticket) return NULL;
    event->denied = __atomic_load_n(&entry->total, __ATOMIC_ACQUIRE);
    event->denied_others = entry->others;
    if (entry->is_spent != 0) event->flags |= NURSERY_AUDIT_SPENT;
    uint32_t records = entry->record_count;
    event->denials = records < NURSERY_AUDIT_RECORDS_MAX ? records : NURSERY_AUDIT_RECORDS_MAX;
    return entry->records;
}
