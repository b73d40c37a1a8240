#define _GNU_SOURCE
#include "channel.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static void close_all(int *descriptors) {
    for (int index = 0; index < APUS_CALL_DESCRIPTORS; index++) {
        if (descriptors[index] >= 0) close(descriptors[index]);
    }
}

static int make_pipe(int *reader, int *writer, int ours) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    *reader = ends[0];
    *writer = ends[1];
    return fcntl(ends[ours], F_SETFL, O_NONBLOCK);
}

int apus_channel_make_call(int *server, int *call) {
    for (int index = 0; index < APUS_CALL_DESCRIPTORS; index++) server[index] = call[index] = -1;
    int pair[2];
    // The call's output and errors, frames to it, frames from it.
    if (make_pipe(&server[3], &call[0], 0) == 0 && make_pipe(&server[4], &call[1], 0) == 0 &&
        make_pipe(&call[2], &server[0], 1) == 0 && make_pipe(&server[1], &call[3], 0) == 0 &&
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
        server[2] = pair[0];
        call[4] = pair[1];
        if (fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0) return 0;
    }
    int failure = errno;
    close_all(server);
    close_all(call);
    return -failure;
}
