// A load generator that costs as little as one can: epoll, blocking-free reads, no allocation per request. It shares the machine with what
// it measures, so that every microsecond of its own would be taken from the server.
#define _GNU_SOURCE
#include "http_load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1024, BUFFER_BYTES = 256 * 1024 };

struct connection {
    int socket;
    size_t have;
    size_t unsent;
    uint64_t started;
    char buffer[BUFFER_BYTES];
};

struct load {
    const char *request;
    size_t request_bytes;
    int started, done, count;
    useconds_t pause;
    uint64_t *times;
    char *problem;
    size_t problem_bytes;
};

static uint64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int fail(struct load *load, const char *what) {
    snprintf(load->problem, load->problem_bytes, "%s", what);
    return -1;
}

static int send_rest(struct load *load, struct connection *connection) {
    while (connection->unsent > 0) {
        const char *from = load->request + load->request_bytes - connection->unsent;
        ssize_t count = send(connection->socket, from, connection->unsent, MSG_NOSIGNAL);
        if (count < 0) return errno == EAGAIN ? 0 : fail(load, strerror(errno));
        connection->unsent -= (size_t)count;
    }
    return 0;
}

static int begin(struct load *load, struct connection *connection) {
    if (load->pause > 0 && load->started > 0) usleep(load->pause);
    load->started++;
    connection->have = 0;
    connection->unsent = load->request_bytes;
    connection->started = now();
    return send_rest(load, connection);
}

// The length of the first whole answer in the buffer, 0 when more must come, -1 when it is none that counts.
static ssize_t answer(struct load *load, struct connection *connection) {
    char *end = memmem(connection->buffer, connection->have, "\r\n\r\n", 4);
    if (end == NULL) return connection->have == BUFFER_BYTES ? fail(load, "an answer has too long a head") : 0;
    if (connection->have < 12 || connection->buffer[9] != '2') {
        connection->buffer[connection->have < BUFFER_BYTES ? connection->have : BUFFER_BYTES - 1] = 0;
        return fail(load, connection->buffer);
    }
    size_t head = (size_t)(end + 4 - connection->buffer), body = 0;
    for (char *line = connection->buffer; line < end; line = memchr(line, '\n', (size_t)(end + 2 - line)) + 1) {
        if (strncasecmp(line, "Content-Length:", 15) == 0) body = strtoul(line + 15, NULL, 10);
    }
    if (head + body > BUFFER_BYTES) return fail(load, "an answer is larger than this generator takes");
    return connection->have >= head + body ? (ssize_t)(head + body) : 0;
}

static int readable(struct load *load, struct connection *connection) {
    for (;;) {
        ssize_t count = recv(connection->socket, connection->buffer + connection->have, BUFFER_BYTES - connection->have, 0);
        if (count == 0) return fail(load, "the server closed a connection");
        if (count < 0) return errno == EAGAIN ? 0 : fail(load, strerror(errno));
        connection->have += (size_t)count;
        ssize_t whole = answer(load, connection);
        if (whole < 0) return -1;
        if (whole == 0) continue;
        load->times[load->done++] = now() - connection->started;
        return load->started < load->count ? begin(load, connection) : 0;
    }
}

static int open_connection(struct load *load, struct connection *connection, uint16_t port, int poll) {
    connection->socket = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connection->socket < 0 || connect(connection->socket, (struct sockaddr *)&address, sizeof address) != 0)
        return fail(load, strerror(errno));
    int on = 1;
    setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
    if (epoll_ctl(poll, EPOLL_CTL_ADD, connection->socket, &event) != 0) return fail(load, strerror(errno));
    if (fcntl(connection->socket, F_SETFL, O_NONBLOCK) != 0) return fail(load, strerror(errno));
    return 0;
}

static int run(struct load *load, struct connection *all, int connections, int poll) {
    for (int i = 0; i < connections && load->started < load->count; i++)
        if (begin(load, &all[i]) != 0) return -1;
    struct epoll_event events[64];
    while (load->done < load->count) {
        int count = epoll_wait(poll, events, 64, 10000);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return fail(load, "no answer came within 10 s");
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection->unsent > 0 && (events[i].events & EPOLLOUT) && send_rest(load, connection) != 0) return -1;
            if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && readable(load, connection) != 0) return -1;
        }
    }
    return 0;
}

// The scheduler likes to put whoever is woken beside its waker: the two then take turns on one processor while another one idles, and whether
// it does so differs from run to run. Pinned to the last one, the load leaves the others to the server.
static void pin(cpu_set_t *before) {
    cpu_set_t last;
    CPU_ZERO(&last);
    CPU_ZERO(before);
    if (sched_getaffinity(0, sizeof *before, before) != 0) return;
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
        if (!CPU_ISSET(cpu, before)) continue;
        CPU_SET(cpu, &last);
        break;
    }
    sched_setaffinity(0, sizeof last, &last);
}

double http_load(uint16_t port, const char *request, size_t request_bytes, int connections, int count, unsigned pause,
                 uint64_t *times, char *problem, size_t problem_bytes) {
    struct load load = {.request = request, .request_bytes = request_bytes, .count = count, .pause = pause, .times = times,
                        .problem = problem, .problem_bytes = problem_bytes};
    if (connections < 1 || connections > CONNECTIONS_MAX) return fail(&load, "1 to 1024 connections are possible");
    struct connection *all = calloc((size_t)connections, sizeof *all);
    int poll = epoll_create1(EPOLL_CLOEXEC), opened = 0, result = all == NULL || poll < 0 ? fail(&load, "no memory") : 0;
    for (; result == 0 && opened < connections; opened++) result = open_connection(&load, &all[opened], port, poll);
    cpu_set_t before;
    pin(&before);
    uint64_t start = now();
    if (result == 0) result = run(&load, all, connections, poll);
    double seconds = (double)(now() - start) / 1e9;
    sched_setaffinity(0, sizeof before, &before);
    for (int i = 0; i < opened; i++)
        if (all[i].socket >= 0) close(all[i].socket);
    if (poll >= 0) close(poll);
    free(all);
    return result == 0 ? seconds : -1;
}
