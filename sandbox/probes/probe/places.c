// Attempts to leave the root, to be given other files than meant, and to make what others would run.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

// list FOLDER
int list_folder(int count, char **values) {
    if (count < 1) return 2;
    DIR *entries = opendir(values[0]);
    return say(entries == NULL ? -1 : 0);
}

// read-link FOLDER TARGET: reads TARGET through a link made in FOLDER.
int read_through_link(int count, char **values) {
    if (count < 2) return 2;
    char path[256], byte;
    snprintf(path, sizeof path, "%s/apus-attack-link", values[0]);
    unlink(path);
    if (symlink(values[1], path) != 0) return say(-1);
    int file = open(path, O_RDONLY);
    return say(file < 0 ? -1 : read(file, &byte, 1));
}

// overwrite PATH: opens what is there for writing, and writes nothing.
int open_for_writing(int count, char **values) { return count < 1 ? 2 : say(open(values[0], O_WRONLY)); }

// remove PATH
int remove_file(int count, char **values) { return count < 1 ? 2 : say(unlink(values[0])); }

// link SOURCE TARGET
int hard_link(int count, char **values) { return count < 2 ? 2 : say(link(values[0], values[1])); }

// rename SOURCE TARGET: the source is made when it is not there.
int move_file(int count, char **values) {
    if (count < 2) return 2;
    int file = open(values[0], O_WRONLY | O_CREAT, 0600);
    if (file >= 0) close(file);
    return say(rename(values[0], values[1]));
}

// change-mode PATH MODE
int change_mode(int count, char **values) {
    if (count < 2) return 2;
    return say(chmod(values[0], (mode_t)strtoul(values[1], NULL, 8)));
}

// flags PATH: whether its file system honours setuid bits and devices.
int mount_flags(int count, char **values) {
    struct statvfs about;
    if (count < 1 || statvfs(values[0], &about) != 0) return say(-1);
    printf("%s%s%s\n", about.f_flag & ST_RDONLY ? "ro " : "rw ", about.f_flag & ST_NOSUID ? "nosuid " : "suid ",
           about.f_flag & ST_NODEV ? "nodev" : "dev");
    return 0;
}

// find PATH TEXT: how many lines of PATH hold TEXT.
int find_text(int count, char **values) {
    if (count < 2) return 2;
    FILE *file = fopen(values[0], "re");
    if (file == NULL) return say(-1);
    char line[4096];
    int found = 0;
    while (fgets(line, sizeof line, file) != NULL) found += strstr(line, values[1]) != NULL;
    fclose(file);
    printf("%d\n", found);
    return 0;
}

// climb: up by a descriptor of a folder, far more often than any root is deep; then looks for the host's accounts.
int climb(int count, char **values) {
    (void)count, (void)values;
    char byte;
    for (int step = 0; step < 64; step++) {
        int up = open("..", O_RDONLY | O_DIRECTORY);
        if (up < 0 || fchdir(up) != 0) return say(-1);
        close(up);
    }
    int file = open("etc/shadow", O_RDONLY);
    return say(file < 0 ? -1 : read(file, &byte, 1));
}

int trace_me(int count, char **values) {
    (void)count, (void)values;
    return say(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

// clone-flag FLAG: a child in a namespace of its own.
int clone_flag(int count, char **values) {
    if (count < 1) return 2;
    long child = syscall(SYS_clone, strtoul(values[0], NULL, 0) | SIGCHLD, NULL, NULL, NULL, NULL);
    if (child == 0) _exit(0);
    int error = errno;
    if (child > 0) waitpid((pid_t)child, NULL, 0);
    errno = error;
    return say(child);
}

// sibling: a child of its parent's, which for the first process of a sandbox would be the nursery's.
int clone_sibling(int count, char **values) {
    (void)count, (void)values;
    long child = syscall(SYS_clone, (unsigned long)(CLONE_PARENT | SIGCHLD), NULL, NULL, NULL, NULL);
    if (child == 0) _exit(0);
    return say(child);
}

// crash: by a signal that dumps memory.
int crash(int count, char **values) {
    (void)count, (void)values;
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
    raise(SIGABRT);
    return 0;
}

// stop: as often as it takes; the wall clock of whoever waits goes on.
int stop_itself(int count, char **values) {
    (void)count, (void)values;
    printf("ready\n");
    fflush(stdout);
    for (;;) {
        kill(getpid(), SIGSTOP);
        pause();
    }
}

// vfork-block: a parent that the kernel holds until its child ends, which it never does.
int vfork_block(int count, char **values) {
    (void)count, (void)values;
    printf("ready\n");
    fflush(stdout);
    if (syscall(SYS_clone, (unsigned long)(CLONE_VFORK | SIGCHLD), NULL, NULL, NULL, NULL) == 0) {
        for (;;) pause();
    }
    return 0;
}
