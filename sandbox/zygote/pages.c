// Which pages every worker writes to, and having them copied with the clone. A page that is copied when it is first written
// to costs a fault; one that the clone copies costs less than half of that, but for processors whose memory is virtual too,
// where it is a third. Linux copies at once what a device may be writing to: here, what is registered with a ring that
// nothing is ever put into. All of this only saves time: where a kernel refuses, pages are copied when they are written to.
#define _GNU_SOURCE
#include "pages.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../nursery/syscalls.h"

#define PAGE 4096
// What one interpreter has; more are not looked at.
#define PAGES_MAX 16384
// Pieces of memory that one ring takes.
#define RANGES_MAX 1024
#define ENTRIES_AT_ONCE 512
#define REHEARSAL_MILLISECONDS 5000
// /proc/self/pagemap: the page is there, and nobody else has it.
#define IS_PRESENT (1ull << 63)
#define IS_EXCLUSIVE (1ull << 56)

// In the process that rehearses: the pages that it shared with the zygote at first.
static uintptr_t shared[PAGES_MAX];
static size_t shared_count;
static int page_map = -1;

// In memory of both: what the rehearsal wrote to.
struct written {
    size_t count;
    struct iovec ranges[RANGES_MAX];
};
static struct written *written;

static void note_shared(uintptr_t start, uintptr_t end) {
    uint64_t entries[ENTRIES_AT_ONCE];
    for (uintptr_t at = start; at < end;) {
        size_t count = (end - at) / PAGE < ENTRIES_AT_ONCE ? (end - at) / PAGE : ENTRIES_AT_ONCE;
        ssize_t length = pread(page_map, entries, count * sizeof entries[0], (off_t)(at / PAGE * sizeof entries[0]));
        if (length <= 0) return;
        for (size_t index = 0; index < (size_t)length / sizeof entries[0]; index++, at += PAGE) {
            if ((entries[index] & IS_PRESENT) == 0 || (entries[index] & IS_EXCLUSIVE) != 0) continue;
            if (shared_count == PAGES_MAX) return;
            shared[shared_count++] = at;
        }
    }
}

int pages_watch(void) {
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return errno;
    // Of a process namespace of its own: it shows nothing but the rehearsal.
    if (mount("proc", "/proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0) return errno;
    page_map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    FILE *maps = fopen("/proc/self/maps", "re");
    if (page_map < 0 || maps == NULL) return errno;
    char line[512];
    while (fgets(line, sizeof line, maps) != NULL) {
        uintptr_t start, end;
        char rights[5];
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &start, &end, rights) != 3) continue;
        if (strcmp(rights, "rw-p") == 0) note_shared(start, end);
    }
    fclose(maps);
    return 0;
}

// Whether the rehearsal has a copy of its own by now.
static int is_own(uintptr_t page) {
    uint64_t entry;
    return pread(page_map, &entry, sizeof entry, (off_t)(page / PAGE * sizeof entry)) == (ssize_t)sizeof entry &&
           (entry & IS_PRESENT) != 0 && (entry & IS_EXCLUSIVE) != 0;
}

void pages_report(void) {
    for (size_t index = 0; index < shared_count; index++) {
        if (!is_own(shared[index])) continue;
        struct iovec *last = written->count > 0 ? &written->ranges[written->count - 1] : NULL;
        if (last != NULL && (uintptr_t)last->iov_base + last->iov_len == shared[index]) {
            last->iov_len += PAGE;
            continue;
        }
        if (written->count == RANGES_MAX) break;
        written->ranges[written->count++] = (struct iovec){.iov_base = (void *)shared[index], .iov_len = PAGE};
    }
    _exit(0);
}

int pages_rehearse(int *tid_address, int *process) {
    if (sysconf(_SC_PAGESIZE) != PAGE) return -1;
    written = mmap(NULL, sizeof *written, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (written == MAP_FAILED) return -1;
    struct clone_arguments request = {
        .flags = CLONE_FLAG_PIDFD | CLONE_NEWPID | CLONE_NEWNS | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID,
        .pidfd = (uint64_t)(uintptr_t)process,
        .child_tid = (uint64_t)(uintptr_t)tid_address,
        .exit_signal = SIGCHLD,
    };
    return (int)syscall(SYS_clone3, &request, sizeof request);
}

static int has_ended_well(int process) {
    struct pollfd end = {.fd = process, .events = POLLIN};
    if (poll(&end, 1, REHEARSAL_MILLISECONDS) != 1) signal_process(process, SIGKILL);
    siginfo_t info;
    memset(&info, 0, sizeof info);
    while (waitid((idtype_t)3 /* P_PIDFD */, (id_t)process, &info, WEXITED) != 0 && errno == EINTR) {}
    close(process);
    return info.si_code == CLD_EXITED && info.si_status == 0;
}

int pages_copy_early(int process) {
    int ring = -1;
    if (has_ended_well(process) && written->count > 0) {
        struct io_uring_params parameters;
        memset(&parameters, 0, sizeof parameters);
        ring = (int)syscall(SYS_io_uring_setup, 1, &parameters);
        if (ring >= 0 && syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, written->ranges,
                                 (unsigned)written->count) != 0) {
            close(ring);
            ring = -1;
        }
    }
    munmap(written, sizeof *written);
    return ring;
}
