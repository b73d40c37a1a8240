#pragma once
// What the nursery and a zygote say to each other over a SEQPACKET socket: one order at a time, answered before the next.

#include <stdint.h>

#define ZYGOTE_MAGIC 0x47595a41u
#define ZYGOTE_ENVIRONMENT_BYTES_MAX (34 << 10)
// The slot of the answer that says that a zygote is ready for orders.
#define ZYGOTE_READY 0xffffffffu

// The descriptors of an order, in this order where their bits are set. The five of a worker's are always there.
enum zygote_descriptor {
    ZYGOTE_FUNCTION,
    ZYGOTE_LAYER,
    ZYGOTE_CGROUP_FIRST,
    ZYGOTE_UNIFIED = ZYGOTE_CGROUP_FIRST + 3,
    ZYGOTE_STANDARD_FIRST,
    ZYGOTE_DESCRIPTORS = ZYGOTE_STANDARD_FIRST + 5,
};

// Followed by environment_bytes of `NAME=value`, each ended by a zero byte.
struct zygote_order {
    uint32_t magic;
    uint32_t slot;
    uint64_t scratch_bytes;
    uint64_t file_bytes;
    uint64_t locked_bytes;
    uint32_t user;
    uint32_t group;
    uint32_t open_files;
    uint32_t processes;
    uint32_t mask;
    int32_t landlock_abi;
    uint32_t has_proc_subset;
    uint32_t has_keyring;
    // Bits of zygote_descriptor.
    uint32_t descriptors;
    uint32_t environment_bytes;
};

// With the clone's pidfd, where error is 0.
struct zygote_answer {
    uint32_t magic;
    uint32_t slot;
    int32_t error;
    uint32_t reserved;
};
