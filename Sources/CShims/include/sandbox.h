#pragma once
// Starting the nursery, talking to it, and giving up privileges: the calls that Swift cannot make or must not make
// between fork and exec.

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "nursery_protocol.h"

// Runs `path` in a new process whose descriptors 3 and up are `descriptors`, and nothing else but standard error. To be
// called before any thread exists. Returns the process, or -errno.
int apus_spawn_nursery(const char *path, char *const arguments[], const int *descriptors, int count);

// A connected pair of SEQPACKET sockets, both close-on-exec; `ends[0]` is non-blocking unless asked otherwise. 0 or
// -errno.
int apus_packet_pair(int ends[2]);

// Bytes received, 0 at the end, -errno. Received descriptors are close-on-exec; `received` says how many there are.
ssize_t apus_receive_event(int socket, struct nursery_event *event, int descriptors[NURSERY_DESCRIPTORS],
                           int *received);

// As above, for an event that NURSERY_AUDIT_RECORDS_MAX records may follow; `records` says how many did.
ssize_t apus_receive_event_with(int socket, struct nursery_event *event, struct nursery_denial *denials, int *records,
                                int descriptors[NURSERY_DESCRIPTORS], int *received);

// Sends one packet of two parts, and a descriptor with it unless that is -1. Bytes sent or -errno.
ssize_t apus_send_request(int socket, const struct nursery_request *request, const void *strings, size_t length,
                          int descriptor);

// Waits until the socket can be read, at most that long. 1, 0 when the time is over, -errno.
int apus_wait_readable(int socket, int milliseconds);

// Closes what whoever started us left open above standard error. Before anything is opened. 0 or -errno.
int apus_close_inherited(void);

// Raises the soft limit of open descriptors to the hard one. The new limit or -errno.
long apus_raise_descriptor_limit(void);

// Becomes that user for good: no groups, no capabilities, none to gain. 0 or -errno; `step` names what failed.
int apus_drop_privileges(uid_t user, gid_t group, const char **step);

// For whoever is not root: no capability and none to gain. 0 or -errno.
int apus_forgo_privileges(void);

// 0 when the process holds no capability, has no_new_privs and is that user; else -EPERM.
int apus_verify_dropped(uid_t user, gid_t group);

// The exit status of a child as waitpid gives it, without waiting: 1 when it has ended, 0 when not, -errno.
int apus_reap(pid_t process, int *status);
// Waits for the child's end.
int apus_wait_for(pid_t process, int *status);
