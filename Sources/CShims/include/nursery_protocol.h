#pragma once
// What the server and the nursery say to each other over a SEQPACKET socket: one message a packet, fixed layout, host
// byte order (both ends are on one machine and built together). The nursery trusts nothing in a request.

#include <stdint.h>

#include "nursery_audit.h"

#define NURSERY_MAGIC 0x53555041u
#define NURSERY_HASH_BYTES 64
#define NURSERY_STRING_BYTES_MAX 32768
#define NURSERY_ARGUMENTS_MAX 256
#define NURSERY_ENVIRONMENT_MAX 256
// The descriptors that a LAUNCHED event carries, in this order: to the worker, from the worker, its descriptor 5,
// stdout, stderr; and where the request asked for a way out, the socket that listens in the worker's own network.
#define NURSERY_WORKER_DESCRIPTORS 5
#define NURSERY_DESCRIPTORS 6
// Where that socket listens: on loopback, in a network namespace with nothing else in it.
#define NURSERY_PROXY_PORT 3128
// What such a file may hold.
#define NURSERY_SECRETS_BYTES_MAX (1u << 20)
// The highest descriptor a sandboxed process may have is below this one, which holds its program until it is executed.
#define NURSERY_OPEN_FILES_MAX 1000

// Devices of a host by their number, and how many of them and of their parts one worker may have.
#define NURSERY_GPUS_MAX 64
#define NURSERY_GPUS_PER_WORKER 16
#define NURSERY_GPU_CAPABILITIES 4

enum nursery_operation {
    NURSERY_LAUNCH = 1,
    NURSERY_KILL = 2,
    // Makes layers/<layer>.partial, empty.
    NURSERY_PREPARE = 3,
    // Turns layers/<layer>.partial/site into layers/<layer>.
    NURSERY_SEAL = 4,
    // Removes layers/<layer>.partial.
    NURSERY_DISCARD = 5,
    // Asks for a REPORT.
    NURSERY_PROBE = 6,
};

// Followed by argument_bytes of arguments, then environment_bytes of environment, each string ended by a zero byte.
struct nursery_request {
    uint32_t magic;
    uint32_t operation;
    // Chosen by the server, unique for the life of its channel; it comes back in every event about this request.
    uint64_t ticket;
    uint32_t runtime;
    uint32_t isolation;
    uint64_t memory_bytes;
    uint64_t scratch_bytes;
    uint32_t cpu_millis;
    uint32_t processes;
    uint32_t open_files;
    uint32_t argument_count;
    uint32_t argument_bytes;
    uint32_t environment_count;
    uint32_t environment_bytes;
    // LAUNCH: 1 for a worker that may be cloned from a warm interpreter instead of executing one.
    uint32_t is_clone;
    // LAUNCH: 1 when a sealed memory file comes with the packet (SCM_RIGHTS), which becomes descriptor 6.
    uint32_t has_secrets;
    // LAUNCH: 1 for a worker with a way out: it gets a network of its own, where one socket listens.
    uint32_t has_proxy;
    // LAUNCH: bit N is /dev/nvidiaN of this host.
    uint64_t gpus;
    // LAUNCH: parts of these devices, by the minor number of their node below /dev/nvidia-caps; 0 for none.
    uint32_t gpu_capabilities[NURSERY_GPU_CAPABILITIES];
    // SEAL: what a layer may hold.
    uint64_t layer_bytes_max;
    uint64_t layer_entries_max;
    // 64 hexadecimal digits, or all zero for none.
    char bundle[NURSERY_HASH_BYTES];
    char layer[NURSERY_HASH_BYTES];
    // LAUNCH: weights/sets/<this> becomes /weights.
    char weights[NURSERY_HASH_BYTES];
};

enum nursery_kind {
    // Sent once on every channel when the nursery is ready, with the memory of nursery_audit.h, as the answer to PROBE, and
    // unasked, with ticket 0, when an auditor ended.
    NURSERY_REPORT = 1,
    NURSERY_LAUNCHED = 2,
    // A request was refused or failed; stage and message say where and why.
    NURSERY_FAILED = 3,
    NURSERY_EXITED = 4,
    // PREPARE, SEAL or DISCARD is done.
    NURSERY_DONE = 5,
};

enum nursery_flag {
    NURSERY_OUT_OF_MEMORY = 1,
    // EXITED: ended before its program ran; stage says where.
    NURSERY_NOT_STARTED = 2,
    // EXITED: the sandbox could not be verified empty; its slot is not used again.
    NURSERY_QUARANTINED = 4,
    // FAILED: no slot is free; later there may be one.
    NURSERY_NO_SLOT = 8,
    // FAILED: the request itself is wrong.
    NURSERY_INVALID = 16,
    // EXITED: nobody counted what it was denied.
    NURSERY_UNAUDITED = 32,
    // EXITED: more was denied than was counted.
    NURSERY_AUDIT_SPENT = 64,
};

// The layers of isolation, as bits of nursery_event.missing.
enum nursery_layer {
    NURSERY_LAYER_MEMORY = 0,
    NURSERY_LAYER_SWAP = 1,
    NURSERY_LAYER_PROCESSES = 2,
    NURSERY_LAYER_CPU = 3,
    NURSERY_LAYER_CGROUP_KILL = 4,
    NURSERY_LAYER_LANDLOCK_FILES = 5,
    NURSERY_LAYER_LANDLOCK_NETWORK = 6,
    NURSERY_LAYER_LANDLOCK_SCOPES = 7,
    NURSERY_LAYER_EXEC_ONCE = 8,
    NURSERY_LAYER_KEYRING = 9,
    NURSERY_LAYER_PROC_SUBSET = 10,
    NURSERY_LAYER_FETCH_BOUND = 11,
    NURSERY_LAYER_AUDIT = 12,
    NURSERY_LAYER_OWN_USER = 13,
    NURSERY_LAYER_EGRESS = 14,
    NURSERY_LAYER_COUNT = 15,
};

// EXITED is followed by `denials` of nursery_denial.
struct nursery_event {
    uint32_t magic;
    uint32_t kind;
    uint64_t ticket;
    // EXITED: the exit code, -1 when a signal ended it.
    int32_t code;
    // EXITED: the signal, 0 for none.
    int32_t signal;
    // FAILED, EXITED before the program: errno.
    int32_t error;
    uint32_t flags;
    // REPORT: whom the server is to become, and the locked block of uids.
    uint32_t server_uid;
    uint32_t server_gid;
    uint32_t uid_base;
    uint32_t slots;
    uint32_t landlock_abi;
    // REPORT: how cgroups are used: bit 0 a v1 hierarchy, bit 1 v2.
    uint32_t cgroup_versions;
    // REPORT: 1 for a nursery without root, which has a user namespace; whether sandboxes have a /proc. Then `message`
    // says why slots have no uids of their own, where they have none.
    uint32_t is_rootless;
    uint32_t has_proc;
    // Bits of nursery_layer that this host cannot give.
    uint64_t missing;
    // REPORT: the devices of this host that a worker may be given.
    uint64_t gpus;
    // LAUNCHED: whose entry of the audit is the worker's.
    uint32_t slot;
    // EXITED: the records that follow, the denied calls in all, and those that are in no record.
    uint32_t denials;
    uint32_t denied;
    uint32_t denied_others;
    // EXITED: how often the processes limit refused another.
    uint32_t processes_refused;
    uint32_t reserved;
    // Ended by a zero byte, both.
    char stage[32];
    char message[224];
};
