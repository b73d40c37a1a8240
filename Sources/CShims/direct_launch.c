#define _GNU_SOURCE
#include "direct_launch.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHANNELS = 5, PIPE_BYTES = 1 << 20, ABOVE = 16, CANNOT_EXEC = 127 };

// A process that another thread forks has every open descriptor until its exec. Were the workers' ends of this one among them, a worker
// that closes its end would not break the pipe, and what is written to it then would be lost instead of refused.
static pthread_mutex_t launching = PTHREAD_MUTEX_INITIALIZER;

// Only calls that are safe after a fork of a threaded process.
static void child(const char *path, char *const arguments[], char *const environment[], const int ends[CHANNELS]) {
    // Order of targets: 3, 4, 5, 1, 2. First above all of them, so that no dup2 covers an end that is still needed.
    static const int targets[CHANNELS] = {3, 4, 5, 1, 2};
    int moved[CHANNELS];
    for (int i = 0; i < CHANNELS; i++)
        if ((moved[i] = fcntl(ends[i], F_DUPFD_CLOEXEC, ABOVE)) < 0) _exit(CANNOT_EXEC);
    for (int i = 0; i < CHANNELS; i++)
        if (dup2(moved[i], targets[i]) < 0) _exit(CANNOT_EXEC);
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing >= 0 && nothing != 0) {
        dup2(nothing, 0);
        close(nothing);
    }
    signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, 0);
    execve(path, arguments, environment);
    _exit(CANNOT_EXEC);
}

int apus_direct_launch(const char *path, char *const arguments[], char *const environment[], apus_direct_process *process) {
    int pairs[CHANNELS][2];
    int made = 0, failure = 0;
    pthread_mutex_lock(&launching);
    for (; made < CHANNELS && !failure; made++) {
        int kind = made == 2 ? socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pairs[made]) : pipe2(pairs[made], O_CLOEXEC);
        if (kind < 0) {
            failure = errno;
            break;
        }
    }
    // Of 3 the worker reads; of 4, 1 and 2 it writes; 5 is alike at both ends.
    int workers[CHANNELS], servers[CHANNELS];
    for (int i = 0; i < made; i++) {
        workers[i] = i == 0 || i == 2 ? pairs[i][0] : pairs[i][1];
        servers[i] = i == 0 || i == 2 ? pairs[i][1] : pairs[i][0];
    }
    pid_t id = -1;
    if (!failure) {
        (void)fcntl(servers[0], F_SETPIPE_SZ, PIPE_BYTES);
        (void)fcntl(servers[1], F_SETPIPE_SZ, PIPE_BYTES);
        id = fork();
        if (id == 0) child(path, arguments, environment, workers);
        if (id < 0) failure = errno;
    }
    for (int i = 0; i < made; i++) close(workers[i]);
    pthread_mutex_unlock(&launching);
    int watch = -1;
    if (!failure && (watch = (int)syscall(SYS_pidfd_open, id, 0)) < 0) {
        failure = errno;
        kill(id, SIGKILL);
        waitpid(id, 0, 0);
    }
    if (failure) {
        for (int i = 0; i < made; i++) close(servers[i]);
        return -failure;
    }
    for (int i = 0; i < CHANNELS; i++) (void)fcntl(servers[i], F_SETFL, fcntl(servers[i], F_GETFL) | O_NONBLOCK);
    *process = (apus_direct_process){id, watch, servers[0], servers[1], servers[2], servers[3], servers[4]};
    return 0;
}

int apus_direct_reap(int process, int *code, int *signal) {
    int status;
    pid_t id;
    do id = waitpid(process, &status, 0);
    while (id < 0 && errno == EINTR);
    if (id < 0) return -errno;
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    *signal = WIFSIGNALED(status) ? WTERMSIG(status) : -1;
    return 0;
}
