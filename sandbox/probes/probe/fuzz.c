// Random system calls with random arguments. Only ever in a sandbox: it refuses to run as root.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"

#define CALLS_PER_CHILD 400
#define NUMBER_MAX 480
#define ROOM_BYTES 8192ul

static uint64_t state;

// splitmix64: the same seed gives the same calls everywhere.
static uint64_t next_random(void) {
    uint64_t mixed = (state += 0x9E3779B97F4A7C15u);
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
    return mixed ^ (mixed >> 31);
}

static char *room;
// Counted where all processes see it.
static unsigned long *made;

static unsigned long random_argument(void) {
    static const unsigned long edges[] = {0, 1, 2, 3, 4, 5, 6, 7, 16, 64, 4096, 0x7fffffff, 0x80000000ul, 0xffffffff,
                                          0x100000000ul, 0x7fffffffffffffff, 0x8000000000000000ul, ~0ul};
    switch (next_random() % 6) {
        case 0:
            return edges[next_random() % (sizeof edges / sizeof edges[0])];
        case 1:
            return next_random() % 8;
        case 2:
            return (unsigned long)room + next_random() % 4096;
        case 3:
            return 1ul << (next_random() % 64);
        case 4:
            return next_random() & 0xffff;
        default:
            return next_random();
    }
}

// What would only end the run, or keep it waiting, tells nothing.
static int is_dull(long number) {
    // Trip-wires end the process at once, and have attempts of their own.
    static const long wires[] = {
        SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_reboot, SYS_mount, SYS_umount2,
        SYS_pivot_root, SYS_fsopen, SYS_fsmount, SYS_fsconfig, SYS_fspick, SYS_open_tree, SYS_move_mount,
        SYS_mount_setattr, SYS_setns, SYS_open_by_handle_at, SYS_bpf,
#if defined(__x86_64__)
        SYS_iopl, SYS_ioperm, SYS_kexec_file_load,
#endif
    };
    for (size_t index = 0; index < sizeof wires / sizeof wires[0]; index++) {
        if (wires[index] == number) return 1;
    }
    return number == SYS_exit || number == SYS_exit_group || number == SYS_rt_sigreturn ||
           number == SYS_rt_sigsuspend || number == SYS_restart_syscall
#if defined(__x86_64__)
           || number == SYS_pause || number == SYS_vfork
#endif
        ;
}

static void go_on(int signal) { (void)signal; }

static void make_calls(void) {
    // With nothing beside it, since calls write past what they are given.
    char *around = mmap(NULL, 64 * ROOM_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (around == MAP_FAILED || mprotect(around + 32 * ROOM_BYTES, ROOM_BYTES, PROT_READ | PROT_WRITE) != 0) _exit(1);
    room = around + 32 * ROOM_BYTES;
    // A call that waits is interrupted, and the next one made.
    struct sigaction action = {.sa_handler = go_on};
    struct itimerval often = {.it_interval = {.tv_usec = 5000}, .it_value = {.tv_usec = 5000}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int index = 0; index < CALLS_PER_CHILD; index++) {
        for (int word = 0; word < 512; word++) ((uint64_t *)(void *)room)[word] = random_argument();
        long number = (long)(next_random() % NUMBER_MAX);
        if (next_random() % 512 == 0) number = (long)next_random();
        if (is_dull(number)) continue;
        __atomic_add_fetch(made, 1, __ATOMIC_RELAXED);
        syscall(number, random_argument(), random_argument(), random_argument(), random_argument(), random_argument(),
                random_argument());
    }
    _exit(0);
}

// fuzz-calls SEED SECONDS: prints how many calls were made, in how many processes, and how many of these were killed.
int fuzz_calls(int count, char **values) {
    if (count < 2) return 2;
    if (geteuid() == 0) {
        fprintf(stderr, "random system calls are made in a sandbox only\n");
        return 2;
    }
    uint64_t seed = strtoull(values[0], NULL, 0);
    made = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED) return say(-1);
    time_t end = time(NULL) + atoi(values[1]);
    unsigned long rounds = 0, killed = 0;
    for (; time(NULL) < end; rounds++) {
        pid_t child = fork();
        if (child < 0) continue;
        if (child == 0) {
            // Its own group, so that what it signals reaches nobody else.
            setpgid(0, 0);
            state = seed + rounds * 0x1000003u;
            make_calls();
        }
        int status = 0;
        // A child may have stopped itself, or its timer.
        for (int tick = 0; waitpid(child, &status, WNOHANG) == 0; tick++) {
            if (tick == 100) kill(-child, SIGKILL), kill(child, SIGKILL);
            struct timespec pause = {.tv_nsec = tick < 10 ? 200000 : 10000000};
            nanosleep(&pause, NULL);
        }
        kill(-child, SIGKILL);
        killed += WIFSIGNALED(status) != 0;
    }
    // What they wrote to the same pipe need not end with a line.
    printf("\nfuzzed %lu calls in %lu processes, %lu of them killed\n", *made, rounds, killed);
    return 0;
}
