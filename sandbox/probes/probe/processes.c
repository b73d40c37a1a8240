// Attempts on other processes, on the machine's resources, and to outlive the sandbox.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

// fork-bomb N: prints how many forks worked, out of at most N, and ends them again.
int fork_bomb(int count, char **values) {
    if (count < 1) return 2;
    static pid_t children[100000];
    int wanted = atoi(values[0]), made = 0;
    if (wanted > 100000) return 2;
    for (; made < wanted; made++) {
        children[made] = fork();
        if (children[made] < 0) break;
        if (children[made] == 0) {
            pause();
            _exit(0);
        }
    }
    for (int index = 0; index < made; index++) kill(children[index], SIGKILL);
    for (int index = 0; index < made; index++) waitpid(children[index], NULL, 0);
    printf("%d\n", made);
    return 0;
}

static void *wait_forever(void *nothing) {
    for (;;) pause();
    return nothing;
}

// thread-bomb N: prints how many threads could be made.
int thread_bomb(int count, char **values) {
    if (count < 1) return 2;
    int wanted = atoi(values[0]), made = 0;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    pthread_t thread;
    for (; made < wanted; made++) {
        if (pthread_create(&thread, &small, wait_forever, NULL) != 0) break;
    }
    printf("%d\n", made);
    return 0;
}

// memory-bomb BYTES: touches every page; `ok` when all were given.
int memory_bomb(int count, char **values) {
    if (count < 1) return 2;
    size_t bytes = (size_t)atoll(values[0]);
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return say(-1);
    for (size_t index = 0; index < bytes; index += 4096) memory[index] = 1;
    return say(0);
}

// The same in a memory file, which no mapping bound counts.
int memory_file_bomb(int count, char **values) {
    if (count < 1) return 2;
    size_t bytes = (size_t)atoll(values[0]);
    int file = memfd_create("bomb", 0);
    if (file < 0) return say(-1);
    static char block[65536];
    memset(block, 1, sizeof block);
    // Past the file-size bound of one file another one goes on.
    signal(SIGXFSZ, SIG_IGN);
    for (size_t total = 0; total < bytes;) {
        ssize_t length = write(file, block, sizeof block);
        if (length > 0) {
            total += (size_t)length;
        } else {
            file = memfd_create("bomb", 0);
            if (file < 0) return say(-1);
        }
    }
    return say(0);
}

int ignore_signals(int count, char **values) {
    (void)count;
    (void)values;
    for (int signal = 1; signal < 32; signal++) {
        struct sigaction action = {.sa_handler = SIG_IGN};
        sigaction(signal, &action, NULL);
    }
    printf("ready\n");
    fflush(stdout);
    for (;;) pause();
}

// A grandchild in a session of its own that ignores everything, while its first ancestor ends.
int leave_daemon(int count, char **values) {
    (void)count;
    (void)values;
    int ends[2];
    if (pipe(ends) != 0) return say(-1);
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            signal(SIGTERM, SIG_IGN);
            signal(SIGHUP, SIG_IGN);
            // Whoever reads what this program printed is not to wait for the daemon.
            close(1);
            close(2);
            (void)!write(ends[1], "x", 1);
            for (;;) pause();
        }
        _exit(0);
    }
    char byte;
    return say(read(ends[0], &byte, 1));
}

int spin(int count, char **values) {
    (void)count;
    (void)values;
    printf("ready\n");
    fflush(stdout);
    for (volatile unsigned long turns = 0;; turns++) {
    }
}

// Prints how many descriptors can be open at once.
int descriptor_bomb(int count, char **values) {
    (void)count;
    (void)values;
    int made = 0;
    while (made < 1000000 && dup(0) >= 0) made++;
    printf("%d\n", made);
    return 0;
}

// Copies descriptor 3 to descriptor 4 until it ends: a neighbour that is alive.
int serve_echo(int count, char **values) {
    (void)count;
    (void)values;
    char buffer[4096];
    ssize_t length;
    while ((length = read(3, buffer, sizeof buffer)) > 0) {
        if (write(4, buffer, (size_t)length) != length) return 1;
    }
    return 0;
}

int trace(int count, char **values) {
    if (count < 1) return 2;
    return say(ptrace(PTRACE_SEIZE, atoi(values[0]), NULL, NULL));
}

// write-memory PID ADDRESS: one byte into another process.
int write_memory(int count, char **values) {
    if (count < 2) return 2;
    char byte = 1;
    struct iovec local = {.iov_base = &byte, .iov_len = 1};
    struct iovec remote = {.iov_base = (void *)(uintptr_t)strtoull(values[1], NULL, 0), .iov_len = 1};
    return say(process_vm_writev(atoi(values[0]), &local, 1, &remote, 1, 0));
}

int write_memory_file(int count, char **values) {
    if (count < 2) return 2;
    char path[64];
    snprintf(path, sizeof path, "/proc/%s/mem", values[0]);
    int memory = open(path, O_RDWR);
    char byte = 1;
    return say(memory < 0 ? -1 : pwrite(memory, &byte, 1, (off_t)strtoull(values[1], NULL, 0)));
}

int signal_process(int count, char **values) {
    if (count < 1) return 2;
    return say(kill(atoi(values[0]), 0));
}

int open_process(int count, char **values) {
    if (count < 1) return 2;
    return say(syscall(SYS_pidfd_open, atoi(values[0]), 0));
}
