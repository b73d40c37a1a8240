// Clones a warm interpreter into sandboxes, on the nursery's order. One thread, no allocation. The clones are the
// nursery's children (CLONE_PARENT): it alone kills and reaps them.
#define _GNU_SOURCE
#include "zygote.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/filter.h>
#include <malloc.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../nursery/confine.h"
#include "../nursery/passing.h"
#include "../nursery/syscalls.h"
#include "../nursery/zygote_protocol.h"
#include "pages.h"

// Below this number nothing of ours is ever opened: a worker's descriptors can be put in place without a clash.
#define DESCRIPTORS_RESERVED 16
#define FILTER_INSTRUCTIONS_MAX 4096
// A size that the allocator looks for among all that is free.
#define SORTS_FREED_MEMORY (96 << 10)
// PR_GET_TID_ADDRESS, where the C library keeps the thread's id.
#define GET_TID_ADDRESS 40

static struct {
    int channel;
    int null;
    int parent;
    struct confine_status *status;
    size_t status_bytes;
    struct sock_filter instructions[FILTER_INSTRUCTIONS_MAX];
    struct sock_fprog filter;
    int *tid_address;
    // What the steps reset in a clone, and every worker has.
    struct sigaction interrupt;
    struct sigaction broken_pipe;
    const char *greeting;
    size_t greeting_bytes;
    const char *environment;
    size_t environment_bytes;
    struct {
        struct zygote_order order;
        char environment[ZYGOTE_ENVIRONMENT_BYTES_MAX];
    } inbox;
    int descriptors[ZYGOTE_DESCRIPTORS];
} zygote;

static int move_up(int descriptor) { return fcntl(descriptor, F_DUPFD_CLOEXEC, DESCRIPTORS_RESERVED); }

static int read_filter(void) {
    ssize_t length = pread(CONFINE_ZYGOTE_FILTER, zygote.instructions, sizeof zygote.instructions, 0);
    if (length <= 0 || (size_t)length % sizeof(struct sock_filter) != 0) return EINVAL;
    zygote.filter.filter = zygote.instructions;
    zygote.filter.len = (unsigned short)((size_t)length / sizeof(struct sock_filter));
    return 0;
}

// Of an object's segments, those that are never written to are left out of the page tables that a clone is given, but for
// mappings that hold a page of their own: every one that a clone runs through would be a fault. So each gets one. What
// cannot be changed costs time, and nothing else.
static int share_page_tables(struct dl_phdr_info *object, size_t size, void *unused) {
    (void)size, (void)unused;
    // The kernel's own object stays as it is.
    if (object->dlpi_addr == getauxval(AT_SYSINFO_EHDR)) return 0;
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
    for (int index = 0; index < object->dlpi_phnum; index++) {
        const ElfW(Phdr) *segment = &object->dlpi_phdr[index];
        if (segment->p_type != PT_LOAD || (segment->p_flags & PF_W) != 0) continue;
        uintptr_t start = (object->dlpi_addr + segment->p_vaddr) & ~page;
        size_t bytes = ((object->dlpi_addr + segment->p_vaddr + segment->p_memsz + page) & ~page) - start;
        int protection = PROT_READ | ((segment->p_flags & PF_X) != 0 ? PROT_EXEC : 0);
        if (mprotect((void *)start, bytes, protection | PROT_WRITE) != 0) continue;
        volatile char *byte = (volatile char *)start;
        *byte = *byte;
        if (mprotect((void *)start, bytes, protection) != 0) return errno;
    }
    return 0;
}

int apus_zygote_prepare(const char *greeting, int greeting_bytes, const char *environment, int environment_bytes) {
    zygote.greeting = greeting;
    zygote.greeting_bytes = (size_t)greeting_bytes;
    zygote.environment = environment;
    zygote.environment_bytes = (size_t)environment_bytes;
    if (sigaction(SIGINT, NULL, &zygote.interrupt) != 0 || sigaction(SIGPIPE, NULL, &zygote.broken_pipe) != 0)
        return errno;
    int error = dl_iterate_phdr(share_page_tables, NULL);
    if (error == 0) error = read_filter();
    if (error != 0) return error;
    struct stat status;
    if (fstat(CONFINE_ZYGOTE_STATUS, &status) != 0) return errno;
    zygote.status_bytes = (size_t)status.st_size;
    void *memory = mmap(NULL, zygote.status_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, CONFINE_ZYGOTE_STATUS, 0);
    if (memory == MAP_FAILED) return errno;
    zygote.status = memory;
    // A clone gets it written by the kernel as a fork would, so that the C library knows its own thread.
    if (prctl(GET_TID_ADDRESS, &zygote.tid_address, 0, 0, 0) != 0) return errno;
    zygote.channel = move_up(CONFINE_ZYGOTE_CHANNEL);
    zygote.parent = move_up(CONFINE_ZYGOTE_PARENT);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    zygote.null = null < 0 ? -1 : move_up(null);
    if (zygote.channel < 0 || zygote.parent < 0 || zygote.null < 0) return errno;
    for (int index = 3; index < DESCRIPTORS_RESERVED; index++) {
        if (dup3(zygote.null, index, O_CLOEXEC) != index) return errno;
    }
    return 0;
}

static int say(uint32_t slot, int error, int process) {
    struct zygote_answer answer = {.magic = ZYGOTE_MAGIC, .slot = slot, .error = error};
    return send_with(zygote.channel, &answer, sizeof answer, process, 0) == (ssize_t)sizeof answer ? 0 : -1;
}

// Puts the descriptors that came where their bits say. False when they do not match the order.
static int take(const int *received, int count) {
    int next = 0;
    for (int index = 0; index < ZYGOTE_DESCRIPTORS; index++) {
        zygote.descriptors[index] = -1;
        if ((zygote.inbox.order.descriptors & (1u << index)) == 0) continue;
        if (next == count) return 0;
        zygote.descriptors[index] = received[next++];
    }
    for (int index = ZYGOTE_STANDARD_FIRST; index < ZYGOTE_DESCRIPTORS; index++) {
        if (zygote.descriptors[index] < 0) return 0;
    }
    return next == count;
}

// 0 at the end of the channel, -1 when the nursery broke the protocol.
static int receive(int *received, int *count) {
    union {
        char bytes[CMSG_SPACE(sizeof(int) * ZYGOTE_DESCRIPTORS)];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = &zygote.inbox, .iov_len = sizeof zygote.inbox};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    ssize_t length;
    do length = recvmsg(zygote.channel, &message, MSG_CMSG_CLOEXEC);
    while (length < 0 && errno == EINTR);
    if (length <= 0) return 0;
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    *count = head == NULL ? 0 : (int)((head->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    if (*count > 0) memcpy(received, CMSG_DATA(head), sizeof(int) * (size_t)*count);
    const struct zygote_order *order = &zygote.inbox.order;
    if ((size_t)length < sizeof *order || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ||
        order->magic != ZYGOTE_MAGIC || (size_t)length != sizeof *order + order->environment_bytes ||
        (order->slot + 1ull) * sizeof(struct confine_status) > zygote.status_bytes) {
        return -1;
    }
    return take(received, *count) ? 1 : -1;
}

static struct confine_plan make_plan(void) {
    const struct zygote_order *order = &zygote.inbox.order;
    struct confine_plan plan = {
        .template_path = "/",
        .function = zygote.descriptors[ZYGOTE_FUNCTION],
        .layer = zygote.descriptors[ZYGOTE_LAYER],
        .out = -1,
        .weights = -1,
        .network = -1,
        // They come over descriptor 5.
        .secrets = -1,
        .parent = zygote.parent,
        .audit = zygote.descriptors[ZYGOTE_AUDIT],
        .handover = {.ticket = order->ticket, .slot = order->slot},
        .user = order->user,
        .group = order->group,
        .scratch_bytes = order->scratch_bytes,
        .file_bytes = order->file_bytes,
        .locked_bytes = order->locked_bytes,
        .open_files = order->open_files,
        .processes = order->processes,
        .mask = order->mask,
        .filter = &zygote.filter,
        .landlock_abi = order->landlock_abi,
        .has_proc_subset = (int)order->has_proc_subset,
        .has_keyring = (int)order->has_keyring,
        .has_no_proc = (int)order->has_no_proc,
        .keeps_groups = (int)order->keeps_groups,
        .data_bytes = order->data_bytes,
        .status = &zygote.status[order->slot],
    };
    for (int index = 0; index < CONFINE_LIVE_MAX; index++) plan.live[index].tree = -1;
    for (int index = 0; index < CONFINE_CGROUPS_MAX; index++)
        plan.cgroups[index] = zygote.descriptors[ZYGOTE_CGROUP_FIRST + index];
    plan.standard[0] = zygote.null;
    for (int index = 1; index < 6; index++)
        plan.standard[index] = zygote.descriptors[ZYGOTE_STANDARD_FIRST + index - 1];
    return plan;
}

// What the interpreter set up when it was the zygote, and its greeting: the server answers it while the interpreter comes
// to itself.
static void greet(void) {
    sigaction(SIGINT, &zygote.interrupt, NULL);
    sigaction(SIGPIPE, &zygote.broken_pipe, NULL);
    for (int descriptor = 3; descriptor < 6; descriptor++) fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    if (write(4, zygote.greeting, zygote.greeting_bytes) != (ssize_t)zygote.greeting_bytes) _exit(1);
}

// 0 in the clone, which is confined; its parent gets the pidfd in `process`, or -1 and errno.
static long clone_worker(int *process) {
    struct confine_plan plan = make_plan();
    struct clone_arguments request = {
        .flags = CLONE_FLAG_PIDFD | CLONE_PARENT | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS |
                 CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID,
        .pidfd = (uint64_t)(uintptr_t)process,
        .child_tid = (uint64_t)(uintptr_t)zygote.tid_address,
    };
    if (zygote.descriptors[ZYGOTE_UNIFIED] >= 0) {
        request.flags |= CLONE_FLAG_INTO_CGROUP;
        request.cgroup = (uint64_t)zygote.descriptors[ZYGOTE_UNIFIED];
    }
    long result = syscall(SYS_clone3, &request, sizeof request);
    if (result != 0) return result;
    confine_clone(&plan);
    // The slots of others: nothing of a worker's may reach them.
    if (munmap(zygote.status, zygote.status_bytes) != 0) _exit(100);
    greet();
    return 0;
}

int apus_zygote_rehearse(void (*before)(void), void (*after_in_parent)(void), void (*after_in_child)(void)) {
    // What was freed while the interpreter got warm is sorted here, not by every clone that allocates something.
    malloc_trim(0);
    free(malloc(SORTS_FREED_MEMORY));
    before();
    int process = -1;
    int result = pages_rehearse(zygote.tid_address, &process);
    if (result == 0) {
        if (pages_watch() != 0) _exit(1);
        after_in_child();
        return 0;
    }
    after_in_parent();
    if (result < 0) return 1;
    int ring = pages_copy_early(process);
    if (ring >= 0 && move_up(ring) < 0) return 1;
    if (ring >= 0) close(ring);
    return 1;
}

void apus_zygote_rehearsed(void) { pages_report(); }

int apus_zygote_serve(void (*before)(void), void (*after_in_parent)(void), void (*after_in_child)(void),
                      char *environment, int capacity) {
    if (say(ZYGOTE_READY, 0, -1) != 0) return -1;
    for (;;) {
        int received[ZYGOTE_DESCRIPTORS], count = 0;
        if (receive(received, &count) != 1) return -1;
        uint32_t length = zygote.inbox.order.environment_bytes;
        if (length > (uint32_t)capacity) return -1;
        before();
        int process = -1;
        long result = clone_worker(&process);
        if (result == 0) {
            // Reseeds what is random, among others.
            after_in_child();
            if (length == zygote.environment_bytes && memcmp(zygote.inbox.environment, zygote.environment, length) == 0)
                return 0;
            memcpy(environment, zygote.inbox.environment, length);
            return (int)length;
        }
        int error = errno;
        // The nursery waits for this: everything else comes after.
        int said = result < 0 ? say(zygote.inbox.order.slot, error, -1) : say(zygote.inbox.order.slot, 0, process);
        after_in_parent();
        if (process >= 0) close(process);
        for (int index = 0; index < count; index++) close(received[index]);
        // The next clone may be of another function, whose environment may be shorter.
        memset(&zygote.inbox, 0, sizeof zygote.inbox);
        if (said != 0) return -1;
    }
}
