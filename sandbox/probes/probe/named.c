// Any system call by its name, and calls by the dozen.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

// Newer than the headers may be.
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

#define CALL(name) {#name, SYS_##name}
static const struct {
    const char *name;
    long number;
} calls[] = {
    CALL(init_module), CALL(finit_module), CALL(delete_module), CALL(kexec_load), CALL(reboot), CALL(mount),
    CALL(umount2), CALL(pivot_root), CALL(fsopen), CALL(fsmount), CALL(fsconfig), CALL(fspick), CALL(open_tree),
    CALL(move_mount), CALL(mount_setattr), CALL(setns), CALL(open_by_handle_at), CALL(bpf), CALL(unshare),
    CALL(clone3), CALL(personality), CALL(ptrace), CALL(process_vm_readv), CALL(process_vm_writev),
    CALL(process_madvise), CALL(pidfd_getfd), CALL(kcmp), CALL(userfaultfd), CALL(keyctl), CALL(add_key),
    CALL(request_key), CALL(perf_event_open), CALL(name_to_handle_at), CALL(quotactl), CALL(fanotify_init),
    CALL(fanotify_mark), CALL(syslog), CALL(vhangup), CALL(acct), CALL(swapon), CALL(swapoff), CALL(mknodat),
    CALL(chroot), CALL(mq_open), CALL(mq_unlink), CALL(mq_timedsend), CALL(mq_timedreceive), CALL(mq_notify),
    CALL(mq_getsetattr), CALL(shmget), CALL(shmat), CALL(shmctl), CALL(semget), CALL(semctl), CALL(msgget),
    CALL(msgctl), CALL(io_setup), CALL(io_submit), CALL(io_uring_setup), CALL(io_uring_enter),
    CALL(io_uring_register), CALL(splice), CALL(tee), CALL(vmsplice), CALL(openat2), CALL(memfd_secret),
    CALL(setxattr), CALL(lsetxattr), CALL(fsetxattr), CALL(removexattr), CALL(fchown), CALL(fchownat), CALL(setuid),
    CALL(setgid), CALL(setreuid), CALL(setregid), CALL(setresuid), CALL(setresgid), CALL(setgroups), CALL(setfsuid),
    CALL(capset), CALL(sethostname), CALL(setdomainname), CALL(settimeofday), CALL(clock_settime), CALL(adjtimex),
    CALL(clock_adjtime), CALL(setpriority), CALL(sched_setscheduler), CALL(sched_setattr), CALL(set_mempolicy),
    CALL(mbind), CALL(migrate_pages), CALL(move_pages), CALL(seccomp), CALL(ioprio_set), CALL(mlockall), CALL(socket),
    CALL(connect), CALL(bind), CALL(listen), CALL(prctl), CALL(ioctl), CALL(fcntl), CALL(prlimit64), CALL(madvise),
    CALL(execveat), CALL(cachestat), CALL(inotify_init1), CALL(sync), CALL(syncfs), CALL(remap_file_pages),
    CALL(lookup_dcookie), CALL(nfsservctl), CALL(getcpu),
#if defined(__x86_64__)
    CALL(iopl), CALL(ioperm), CALL(kexec_file_load), CALL(modify_ldt), CALL(arch_prctl), CALL(chown), CALL(mknod),
#endif
};

// call NAME [NUMBER…]: with these arguments, zero for the others.
int call_named(int count, char **values) {
    if (count < 1) return 2;
    unsigned long arguments[6] = {0};
    for (int index = 1; index < count && index <= 6; index++) arguments[index - 1] = strtoul(values[index], NULL, 0);
    for (size_t index = 0; index < sizeof calls / sizeof calls[0]; index++) {
        if (strcmp(calls[index].name, values[0]) != 0) continue;
        return say(syscall(calls[index].number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                           arguments[5]));
    }
    fprintf(stderr, "no call named %s here\n", values[0]);
    return 2;
}

// new-calls: the numbers that came after the profiles were written, and those to come. Prints how many the kernel was
// asked.
int new_calls(int count, char **values) {
    (void)count, (void)values;
    int answered = 0;
    for (long number = 447; number < 1024; number++) {
        // In a process of its own each, for what would change this one.
        pid_t child = fork();
        if (child < 0) return say(-1);
        if (child == 0) _exit(syscall(number, -1L, 0L, 0L, 0L, 0L, 0L) < 0 && errno == ENOSYS ? 0 : 1);
        int status = 0;
        waitpid(child, &status, 0);
        if (status != 0) answered++;
    }
    printf("%d\n", answered);
    return 0;
}

// prctl-sweep: every option but those that only name threads, read, or only ever take rights away. Prints how many
// worked.
int prctl_sweep(int count, char **values) {
    (void)count, (void)values;
    static const int harmless[] = {PR_SET_PDEATHSIG,     PR_GET_PDEATHSIG, PR_GET_DUMPABLE,       PR_SET_NAME,
                                   PR_GET_NAME,          PR_CAPBSET_READ,  PR_SET_TIMERSLACK,     PR_GET_TIMERSLACK,
                                   PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_SET_SECCOMP};
    int worked = 0;
    for (int option = 1; option < 100; option++) {
        int is_harmless = 0;
        for (size_t index = 0; index < sizeof harmless / sizeof harmless[0]; index++)
            is_harmless |= harmless[index] == option;
        // The upper half of the register is none of the kernel's business, and must be none of the filter's.
        if (is_harmless) continue;
        // In a process of its own each: some of them end whoever asks.
        pid_t child = fork();
        if (child < 0) return say(-1);
        if (child == 0) _exit(syscall(SYS_prctl, (unsigned long)option | 0x100000000ul, 1L, 0L, 0L, 0L) >= 0);
        int status = 0;
        waitpid(child, &status, 0);
        worked += status != 0;
    }
    printf("%d\n", worked);
    return 0;
}

static int is_harmless_request(unsigned long request) {
    return request == TCGETS || request == TIOCGWINSZ || request == FIONREAD || request == FIONBIO ||
           request == FIOCLEX || request == FIONCLEX;
}

// ioctl-sweep [FIRST LAST]: every request number on every descriptor that was inherited. Prints how many worked. Only
// numbers that cannot do harm are given outside.
int ioctl_sweep(int count, char **values) {
    unsigned long first = count > 0 ? strtoul(values[0], NULL, 0) : 0;
    unsigned long last = count > 1 ? strtoul(values[1], NULL, 0) : 0xffff;
    int ends[2], worked = 0;
    static char room[4096];
    if (pipe(ends) != 0) return say(-1);
    for (unsigned long request = first; request <= last; request++) {
        if (is_harmless_request(request)) continue;
        for (int descriptor = 0; count == 0 && descriptor < 6; descriptor++)
            worked += ioctl(descriptor, request, room) >= 0;
        worked += ioctl(ends[0], request, room) >= 0;
    }
    printf("%d\n", worked);
    return 0;
}

// sockopt LEVEL OPTION: on one of a pair.
int socket_option(int count, char **values) {
    if (count < 2) return 2;
    int pair[2], value = 1;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) return say(-1);
    return say(setsockopt(pair[0], atoi(values[0]), atoi(values[1]), &value, sizeof value));
}

// sockopt-tcp LEVEL OPTION [TEXT]: on a socket over IPv4.
int socket_option_tcp(int count, char **values) {
    if (count < 2) return 2;
    int socket_ = socket(AF_INET, SOCK_STREAM, 0), value = 1;
    if (socket_ < 0) return say(-1);
    const void *bytes = count > 2 ? (const void *)values[2] : &value;
    return say(setsockopt(socket_, atoi(values[0]), atoi(values[1]), bytes,
                          count > 2 ? (socklen_t)strlen(values[2]) : sizeof value));
}
