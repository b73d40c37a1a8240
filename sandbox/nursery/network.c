// The network of a worker with a way out: a namespace of its own with nothing in it but loopback, and one socket that listens
// there. The worker connects to it as to any proxy; the egress process, which is given the socket, answers. So nothing
// in the sandbox has to pass anything on, and who calls is known by where the call arrives.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "nursery.h"

// The kernel gives the interface its address, 127.0.0.1, when it comes up.
static bool raise_loopback(void) {
    int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (control < 0) return false;
    struct ifreq loopback;
    memset(&loopback, 0, sizeof loopback);
    memcpy(loopback.ifr_name, "lo", sizeof "lo");
    loopback.ifr_flags = IFF_UP;
    bool is_up = ioctl(control, SIOCSIFFLAGS, &loopback) == 0;
    int error = errno;
    close(control);
    errno = error;
    return is_up;
}

static int listen_on_loopback(void) {
    if (!raise_loopback()) return -1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0) return -1;
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(NURSERY_PROXY_PORT)};
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&name, sizeof name) == 0 && listen(listener, PROXY_BACKLOG) == 0)
        return listener;
    int error = errno;
    close(listener);
    errno = error;
    return -1;
}

// The namespace, or -1; the listening socket with it. Only its sockets and the worker hold it: it ends with them.
int make_proxy_network(int *listener) {
    if (unshare(CLONE_NEWNET) != 0) return -1;
    int network = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    *listener = network < 0 ? -1 : listen_on_loopback();
    int error = errno;
    // Every later sandbox is born in the namespace of the nursery: in that of a worker it would share a network with it.
    if (setns(nursery.own_network, CLONE_NEWNET) != 0) die("cannot return to the empty network: %s", strerror(errno));
    if (network >= 0 && *listener < 0) {
        close(network);
        network = -1;
    }
    errno = error;
    return network;
}
