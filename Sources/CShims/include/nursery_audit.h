#pragma once
// What the auditor of denied calls writes and the server reads: memory of both, sealed so that only the nursery and its
// auditors can write it. Every place has one writer, every number a bound; nothing in it is ever parsed.

#include <stdint.h>

// System calls whose refusal profiles report.
#define NURSERY_AUDIT_CALLS_MAX 160
#define NURSERY_AUDIT_NAME_BYTES 28
// What is told apart of one worker; what does not fit is counted as others.
#define NURSERY_AUDIT_RECORDS_MAX 128
// Denied calls of one worker that are answered. After that the kernel refuses them by itself, and nobody counts.
#define NURSERY_AUDIT_ANSWERS_MAX 1000
#define NURSERY_AUDIT_ARGUMENTS 2

struct nursery_audit_call {
    // Ended by a zero byte.
    char name[NURSERY_AUDIT_NAME_BYTES];
    // Bit N: argument N is recorded.
    uint32_t shown;
};

// One call with certain arguments; of each, the lower half.
struct nursery_denial {
    uint32_t call;
    uint32_t count;
    uint32_t arguments[NURSERY_AUDIT_ARGUMENTS];
};

struct nursery_audit_entry {
    // Whose entry this is; 0 while nobody's.
    uint64_t ticket;
    // Calls that were denied. Written last: whoever sees it sees the records that make it up.
    uint32_t total;
    uint32_t record_count;
    // Those of `total` that are in no record.
    uint32_t others;
    // The bound was reached: more were denied than were counted.
    uint32_t is_spent;
    struct nursery_denial records[NURSERY_AUDIT_RECORDS_MAX];
};

struct nursery_audit {
    uint32_t call_count;
    uint32_t slot_count;
    // Auditors started so far, and whether one runs. Written by the nursery.
    uint32_t starts;
    uint32_t is_running;
    struct nursery_audit_call calls[NURSERY_AUDIT_CALLS_MAX];
    struct nursery_audit_entry entries[];
};

// How many calls of the worker were denied, or 0 when the slot is another's by now.
static inline uint32_t apus_audit_total(const struct nursery_audit *audit, uint32_t slot, uint64_t ticket) {
    const struct nursery_audit_entry *entry = &audit->entries[slot];
    uint32_t total = __atomic_load_n(&entry->total, __ATOMIC_ACQUIRE);
    return __atomic_load_n(&entry->ticket, __ATOMIC_ACQUIRE) == ticket ? total : 0;
}

static inline uint32_t apus_audit_is_running(const struct nursery_audit *audit) {
    return __atomic_load_n(&audit->is_running, __ATOMIC_ACQUIRE);
}

static inline uint32_t apus_audit_starts(const struct nursery_audit *audit) {
    return __atomic_load_n(&audit->starts, __ATOMIC_ACQUIRE);
}

// Copies the worker's entry. Returns 0 when the slot is another's by now.
int apus_audit_copy(const struct nursery_audit *audit, uint32_t slot, uint64_t ticket,
                    struct nursery_audit_entry *into);
