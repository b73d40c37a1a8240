// Attempts to reach anybody. Connections go to loopback only.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "probe.h"

int connect_inet(int count, char **values) {
    if (count < 1) return 2;
    int target = socket(AF_INET, SOCK_STREAM, 0);
    if (target < 0) return say(-1);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(values[0])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return say(connect(target, (struct sockaddr *)&address, sizeof address));
}

int connect_inet6(int count, char **values) {
    if (count < 1) return 2;
    int target = socket(AF_INET6, SOCK_STREAM, 0);
    if (target < 0) return say(-1);
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(values[0])), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    return say(connect(target, (struct sockaddr *)&address, sizeof address));
}

int connect_abstract(int count, char **values) {
    if (count < 1) return 2;
    int target = socket(AF_UNIX, SOCK_STREAM, 0);
    if (target < 0) return say(-1);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(values[0]);
    if (length + 1 > sizeof address.sun_path) return 2;
    memcpy(address.sun_path + 1, values[0], length);
    return say(
        connect(target, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length)));
}

// socket FAMILY TYPE: creates it, nothing more.
int make_socket(int count, char **values) {
    if (count < 2) return 2;
    return say(socket(atoi(values[0]), atoi(values[1]), 0));
}

// Tries every family and the usual types; prints how many sockets could be made.
int sweep_sockets(int count, char **values) {
    (void)count;
    (void)values;
    int made = 0;
    for (int family = 0; family <= 46; family++) {
        for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++) {
            int descriptor = socket(family, type, 0);
            if (descriptor < 0) continue;
            made++;
            close(descriptor);
        }
    }
    printf("%d\n", made);
    return 0;
}
