// Many attempts in one sandbox, each in a process of its own, and the same without a sandbox.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "probe.h"

#define WORDS_MAX 16
#define LINE_MAX_BYTES 1024
#define ATTEMPT_SECONDS 20
#define FOLDER_DEPTH_MAX 16

static int remove_entry(const char *path, const struct stat *about, int type, struct FTW *place) {
    (void)about, (void)type;
    if (place->level > 0) remove(path);
    return 0;
}

// What an attempt left in the scratch is not the next one's.
static void clean(const char *folder) {
    nftw(folder, remove_entry, FOLDER_DEPTH_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static long long milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

// The first line that the attempt prints; what holds the pipe open for longer than it may is not waited for.
static void first_line(int pipe, char *line, size_t size, pid_t child) {
    size_t filled = 0;
    long long deadline = milliseconds() + ATTEMPT_SECONDS * 1000;
    for (;;) {
        struct pollfd watch = {.fd = pipe, .events = POLLIN};
        long long left = deadline - milliseconds();
        if (left <= 0 || poll(&watch, 1, (int)left) <= 0) {
            kill(child, SIGKILL);
            break;
        }
        ssize_t length = read(pipe, line + filled, size - 1 - filled);
        if (length <= 0) break;
        filled += (size_t)length;
        if (memchr(line, '\n', filled) != NULL || filled == size - 1) break;
    }
    line[filled] = 0;
    line[strcspn(line, "\n")] = 0;
}

static void make_attempt(int count, char **words) {
    for (const struct attempt *attempt = attempts; attempt->name != NULL; attempt++) {
        if (strcmp(attempt->name, words[0]) != 0) continue;
        int code = attempt->make(count - 1, words + 1);
        fflush(stdout);
        _exit(code);
    }
    fprintf(stderr, "unknown attempt %s\n", words[0]);
    _exit(2);
}

static void report_attempt(int number, int count, char **words, const char *folder) {
    int ends[2];
    if (pipe(ends) != 0) exit(3);
    fflush(stdout);
    pid_t child = fork();
    if (child < 0) {
        printf("%d none 0 no process for it\n", number);
        close(ends[0]), close(ends[1]);
        return;
    }
    if (child == 0) {
        // A group of its own, so that its children end with it.
        setpgid(0, 0);
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]), close(ends[1]);
        make_attempt(count, words);
    }
    setpgid(child, child);
    close(ends[1]);
    char line[LINE_MAX_BYTES];
    first_line(ends[0], line, sizeof line, child);
    close(ends[0]);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    kill(-child, SIGKILL);
    bool ended = WIFEXITED(status);
    printf("%d %s %d %s\n", number, ended ? "exit" : "signal", ended ? WEXITSTATUS(status) : WTERMSIG(status), line);
    fflush(stdout);
    clean(folder);
}

// batch LIST FOLDER: each line of LIST is an attempt, its words apart by tabs. Prints for each its number, `exit` or
// `signal` with the number, and the first line that it printed. FOLDER is emptied after each.
int batch(int count, char **values) {
    if (count < 2) return 2;
    FILE *list = fopen(values[0], "re");
    if (list == NULL) return say(-1);
    char line[4 * LINE_MAX_BYTES];
    for (int number = 0; fgets(line, sizeof line, list) != NULL; number++) {
        char *words[WORDS_MAX + 1], *rest = NULL;
        int filled = 0;
        for (char *word = strtok_r(line, "\t\n", &rest); word != NULL && filled < WORDS_MAX;
             word = strtok_r(NULL, "\t\n", &rest))
            words[filled++] = word;
        words[filled] = NULL;
        if (filled > 0) report_attempt(number, filled, words, values[1]);
    }
    fclose(list);
    printf("end\n");
    return 0;
}

// unconfined LIST FOLDER: a batch with all of root's rights, but in namespaces of its own, so that nothing that works
// reaches the machine's mounts, processes, names and queues. Everything else is as the machine has it.
int unconfined(int count, char **values) {
    if (count < 2) return 2;
    if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS) != 0) return say(-1);
    pid_t child = fork();
    if (child < 0) return say(-1);
    if (child == 0) {
        if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0) _exit(3);
        int code = batch(count, values);
        fflush(stdout);
        _exit(code);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 4;
}
