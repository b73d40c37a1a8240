// The auditor: a process without any power that is told of each denied call, counts it and has it fail. It reads numbers
// of calls and registers, never the memory of whoever called, and it cannot let a call through: it knows no answer but an
// error. When it ends, the kernel answers its listeners with ENOSYS. One thread, no allocation; every table is fixed.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nursery.h"
#include "passing.h"

#define CHANNEL STDIN_FILENO
#define CHANNEL_EVENT SLOTS_MAX
#define EVENTS_PER_TURN 64
// By slot. A listener is told from the one before it by its number, since what a look at all of them showed may be of one
// that was replaced since.
static struct {
    // 0 for none: that is the channel's.
    int descriptor;
    uint32_t number;
    uint32_t answers;
} listeners[SLOTS_MAX];
static int poller;

static void watch(int descriptor, uint64_t event) {
    struct epoll_event wanted = {.events = EPOLLIN, .data.u64 = event};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &wanted) != 0) _exit(1);
}

static void drop(uint32_t slot) {
    if (listeners[slot].descriptor == 0) return;
    epoll_ctl(poller, EPOLL_CTL_DEL, listeners[slot].descriptor, NULL);
    close(listeners[slot].descriptor);
    listeners[slot].descriptor = 0;
}

// A new sandbox: its entry starts empty. The last one of the slot has ended, or it would not be free.
static void take(const struct confine_handover *handover, int listener) {
    uint32_t slot = handover->slot;
    drop(slot);
    struct nursery_audit_entry *entry = &nursery.auditor.audit->entries[slot];
    __atomic_store_n(&entry->ticket, 0, __ATOMIC_RELEASE);
    __atomic_store_n(&entry->total, 0, __ATOMIC_RELEASE);
    entry->record_count = entry->others = entry->is_spent = 0;
    __atomic_store_n(&entry->ticket, handover->ticket, __ATOMIC_RELEASE);
    listeners[slot].descriptor = listener;
    listeners[slot].answers = 0;
    watch(listener, (uint64_t)++listeners[slot].number << 32 | slot);
}

static void read_channel_of_auditor(void) {
    struct confine_handover handover;
    int listener = -1;
    ssize_t length = receive_with(CHANNEL, &handover, sizeof handover, &listener);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) return;
    // The nursery is gone.
    if (length <= 0) _exit(0);
    if (listener < 0) return;
    if (length != (ssize_t)sizeof handover || handover.slot >= nursery.slot_count) {
        close(listener);
        return;
    }
    take(&handover, listener);
}

static void count(struct nursery_audit_entry *entry, uint32_t call, const struct seccomp_data *data) {
    uint32_t arguments[NURSERY_AUDIT_ARGUMENTS] = {0}, shown = nursery.auditor.audit->calls[call].shown;
    int next = 0;
    for (int index = 0; index < 6 && next < NURSERY_AUDIT_ARGUMENTS; index++) {
        // The lower half: what the kernel takes of an `int`, and never the better part of an address.
        if ((shown & (1u << index)) != 0) arguments[next++] = (uint32_t)data->args[index];
    }
    uint32_t records = entry->record_count;
    for (uint32_t index = 0; index < records; index++) {
        struct nursery_denial *record = &entry->records[index];
        if (record->call != call || memcmp(record->arguments, arguments, sizeof arguments) != 0) continue;
        record->count++;
        return;
    }
    if (records == NURSERY_AUDIT_RECORDS_MAX) {
        entry->others++;
        return;
    }
    struct nursery_denial *record = &entry->records[records];
    record->call = call;
    record->count = 1;
    memcpy(record->arguments, arguments, sizeof arguments);
    __atomic_store_n(&entry->record_count, records + 1, __ATOMIC_RELEASE);
}

// What is counted is there to be read before its caller goes on.
static void answer_call(uint32_t slot) {
    union {
        struct seccomp_notif call;
        // Of the kernel that runs, which may know more of it.
        char bytes[AUDITOR_CALL_BYTES];
    } received;
    memset(&received, 0, sizeof received);
    // One that was interrupted, or killed, in the meantime has nothing more to be told.
    if (ioctl(listeners[slot].descriptor, SECCOMP_IOCTL_NOTIF_RECV, &received) != 0) return;
    const struct seccomp_data *data = &received.call.data;
    struct nursery_audit_entry *entry = &nursery.auditor.audit->entries[slot];
    uint32_t place = data->nr >= 0 && data->nr < CALLS_MAX ? nursery.auditor.place[data->nr] : 0;
    if (place != 0) {
        count(entry, place - 1u, data);
    } else {
        entry->others++;
    }
    __atomic_store_n(&entry->total, entry->total + 1, __ATOMIC_RELEASE);
    struct seccomp_notif_resp response;
    memset(&response, 0, sizeof response);
    response.id = received.call.id;
    response.error = place != 0 ? -(int32_t)nursery.auditor.error[data->nr] : -ENOSYS;
    ioctl(listeners[slot].descriptor, SECCOMP_IOCTL_NOTIF_SEND, &response);
}

// One call, also one that went away before it was looked at.
static void answer_one(uint32_t slot) {
    answer_call(slot);
    if (++listeners[slot].answers < NURSERY_AUDIT_ANSWERS_MAX) return;
    // Whoever goes on costs nobody but itself from here on: without a listener the kernel refuses by itself.
    __atomic_store_n(&nursery.auditor.audit->entries[slot].is_spent, 1, __ATOMIC_RELEASE);
    drop(slot);
}

static void give_up(int signal) {
    (void)signal;
    _exit(2);
}

void audit(const struct confine_plan *plan) {
    prctl(PR_SET_NAME, "apus-auditor", 0, 0, 0);
    confine_auditor(plan);
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct sigaction late = {.sa_handler = give_up};
    if (poller < 0 || sigaction(SIGALRM, &late, NULL) != 0) _exit(1);
    watch(CHANNEL, CHANNEL_EVENT);
    const char ready = 1;
    if (send(CHANNEL, &ready, sizeof ready, MSG_NOSIGNAL) != sizeof ready) _exit(1);
    for (;;) {
        struct epoll_event events[EVENTS_PER_TURN];
        int count = epoll_wait(poller, events, EVENTS_PER_TURN, -1);
        alarm(AUDITOR_TURN_SECONDS);
        // One call of each, so that nobody waits for whoever makes many.
        for (int index = 0; index < count; index++) {
            uint32_t slot = (uint32_t)events[index].data.u64, number = (uint32_t)(events[index].data.u64 >> 32);
            if (slot == CHANNEL_EVENT) {
                read_channel_of_auditor();
            } else if (listeners[slot].descriptor == 0 || listeners[slot].number != number) {
                continue;
            } else if ((events[index].events & EPOLLIN) != 0) {
                answer_one(slot);
            } else {
                // Nobody has its filter any more.
                drop(slot);
            }
        }
        alarm(0);
    }
}
