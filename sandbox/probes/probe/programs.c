// Attempts to run another program.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probe.h"

extern char **environ;

// execute PATH [ARGUMENT…]: prints only when it failed; the program prints otherwise.
int execute(int count, char **values) {
    if (count < 1) return 2;
    fflush(stdout);
    return say(execv(values[0], values));
}

// The call that started this program, made once more: descriptor 1000 and the path at address 0x10.
int execute_again(int count, char **values) {
    (void)count;
    (void)values;
    struct rlimit files = {2000, 2000};
    setrlimit(RLIMIT_NOFILE, &files);
    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    int program = open_program();
    dup2(program, 1000);
    char *arguments[] = {"echo", "ok", NULL};
    // An address the compiler must not look at: that there is no object is the point.
    volatile uintptr_t path = 0x10;
    return say(syscall(SYS_execveat, 1000, path, arguments, environ, AT_EMPTY_PATH));
}

// execute-at PATH [ARGUMENT…]: the same call with a path of its own, for which the descriptor does not count.
int execute_at(int count, char **values) {
    if (count < 1) return 2;
    fflush(stdout);
    return say(syscall(SYS_execveat, 1000, values[0], values, environ, AT_EMPTY_PATH));
}

// A program that lies in memory only.
int execute_memory(int count, char **values) {
    (void)count;
    (void)values;
    int from = open_program(), to = memfd_create("echo", 0);
    if (from < 0 || to < 0) return say(-1);
    static char block[65536];
    ssize_t length;
    while ((length = read(from, block, sizeof block)) > 0) {
        if (write(to, block, (size_t)length) != length) return say(-1);
    }
    char *arguments[] = {"echo", "ok", NULL};
    return say(syscall(SYS_execveat, to, "", arguments, environ, AT_EMPTY_PATH));
}

int map_page_zero(int count, char **values) {
    (void)count;
    (void)values;
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    return say(page == MAP_FAILED ? -1 : 0);
}

int high_descriptor(int count, char **values) {
    (void)count;
    (void)values;
    return say(dup2(0, 1000));
}
