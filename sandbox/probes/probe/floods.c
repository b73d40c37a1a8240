// Attempts to use up what a kernel has little of, and to get it from where nobody counts.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"

#define HUGE_BYTES (2u << 20)

static int one_of(const char *kind) {
    sigset_t none;
    sigemptyset(&none);
    int pair[2];
    if (!strcmp(kind, "open")) return open("/dev/null", O_RDONLY);
    if (!strcmp(kind, "pipe")) return pipe(pair);
    if (!strcmp(kind, "socketpair")) return socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    if (!strcmp(kind, "epoll")) return epoll_create1(0);
    if (!strcmp(kind, "timerfd")) return timerfd_create(CLOCK_MONOTONIC, 0);
    if (!strcmp(kind, "eventfd")) return eventfd(0, 0);
    if (!strcmp(kind, "signalfd")) return signalfd(-1, &none, 0);
    if (!strcmp(kind, "memfd")) return memfd_create("flood", 0);
    errno = EINVAL;
    return -1;
}

// exhaust KIND N: prints how many of that kind of descriptor could be open at once, of N.
int exhaust(int count, char **values) {
    if (count < 2) return 2;
    int made = 0, wanted = atoi(values[1]);
    while (made < wanted && one_of(values[0]) >= 0) made++;
    printf("%d\n", made);
    return 0;
}

// timers N: prints how many timers could be made.
int timer_flood(int count, char **values) {
    if (count < 1) return 2;
    int made = 0, wanted = atoi(values[0]);
    for (; made < wanted; made++) {
        timer_t timer;
        if (timer_create(CLOCK_MONOTONIC, NULL, &timer) != 0) break;
    }
    printf("%d\n", made);
    return 0;
}

// signals N: prints how many could be queued to itself.
int signal_flood(int count, char **values) {
    if (count < 1) return 2;
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &blocked, NULL);
    int made = 0, wanted = atoi(values[0]);
    while (made < wanted && sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 0}) == 0) made++;
    printf("%d\n", made);
    return 0;
}

// lock-memory BYTES
int lock_memory(int count, char **values) {
    if (count < 1) return 2;
    size_t bytes = (size_t)atoll(values[0]);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return say(memory == MAP_FAILED ? -1 : mlock(memory, bytes));
}

// reserve BYTES: address space, none of it touched.
int reserve(int count, char **values) {
    if (count < 1) return 2;
    void *memory =
        mmap(NULL, (size_t)atoll(values[0]), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return say(memory == MAP_FAILED ? -1 : 0);
}

// Pages of the machine's pool of huge ones, which no memory bound counts.
int huge_pages(int count, char **values) {
    (void)count, (void)values;
    void *memory =
        mmap(NULL, HUGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    return say(memory == MAP_FAILED ? -1 : 0);
}

int huge_memory_file(int count, char **values) {
    (void)count, (void)values;
    return say(memfd_create("huge", MFD_HUGETLB));
}

// Has the kernel merge equal pages of all processes: how long a write takes then tells what others have.
int merge_pages(int count, char **values) {
    (void)count, (void)values;
    void *memory = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return say(memory == MAP_FAILED ? -1 : (int)syscall(SYS_madvise, memory, 65536ul, (unsigned long)MADV_MERGEABLE));
}

// The same with rubbish in the half of the register that the kernel does not look at.
int merge_pages_high(int count, char **values) {
    (void)count, (void)values;
    void *memory = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return say(memory == MAP_FAILED ? -1
                                    : (int)syscall(SYS_madvise, memory, 65536ul, 0x100000000ul | MADV_MERGEABLE));
}

// Pages of the page cache in a pipe, by the call that is left when splice is not.
int sendfile_to_pipe(int count, char **values) {
    (void)count, (void)values;
    int file = open_program(), ends[2];
    if (file < 0 || pipe(ends) != 0) return say(-1);
    return say(sendfile(ends[1], file, NULL, 1));
}

// fresh-memory BYTES: prints how many bytes of new memory, and of new scratch, hold something.
int fresh_memory(int count, char **values) {
    if (count < 1) return 2;
    size_t bytes = (size_t)atoll(values[0]), used = 0;
    const unsigned char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return say(-1);
    for (size_t index = 0; index < bytes; index++) used += memory[index] != 0;
    int file = memfd_create("fresh", 0);
    static unsigned char block[65536];
    if (file < 0 || ftruncate(file, 1 << 20) != 0) return say(-1);
    for (ssize_t length; (length = read(file, block, sizeof block)) > 0;)
        for (ssize_t index = 0; index < length; index++) used += block[index] != 0;
    printf("%zu\n", used);
    return 0;
}
