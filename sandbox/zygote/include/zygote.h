#pragma once
// The part of the Python zygote that is C: loaded into the interpreter, called with its lock held.

#include <stdint.h>

// Takes the inherited descriptors into use: `greeting` is what each clone writes first, `environment` the zygote's own, each
// variable with a zero byte behind it. Both stay where they are. 0, or an error number.
int apus_zygote_prepare(const char *greeting, int greeting_bytes, const char *environment, int environment_bytes);

// Clones a process that goes the way of a worker and tells, with `apus_zygote_rehearsed` at its end, which pages that way
// writes to: every clone gets a copy of those. 0 in that process, 1 in the zygote, whatever came of it.
int apus_zygote_rehearse(void (*before)(void), void (*after_in_parent)(void), void (*after_in_child)(void));
void apus_zygote_rehearsed(void);

// Serves orders. Returns in each clone, confined and greeted for: 0 when its environment is the zygote's, or the length of
// what it wrote to `environment`; in the zygote itself when the nursery closed the channel or broke the protocol: -1. The
// functions are the interpreter's own hooks around a fork.
int apus_zygote_serve(void (*before)(void), void (*after_in_parent)(void), void (*after_in_child)(void),
                      char *environment, int capacity);

// A function's zygote: an ordinary sandboxed worker that has loaded its function and forks a process for each call.

// Those of a call, which become its descriptors 1 to 5.
#define APUS_CALL_DESCRIPTORS 5

// What of a call's confinement failed.
enum apus_call_failure {
    APUS_CALL_DESCRIPTORS_FAILED = 1,
    APUS_CALL_SESSION_FAILED = 2,
    APUS_CALL_LIMIT_FAILED = 3,
    APUS_CALL_LANDLOCK_FAILED = 4,
    APUS_CALL_FILTER_FAILED = 5,
};

// In the zygote, once: reads the filter of calls from the descriptor and closes it. 0, or an error number: ENOTSUP where the
// kernel's Landlock cannot keep calls apart.
int apus_call_prepare(int filter);

// In a process just forked, before anything of the call is there: its descriptors, its folder, how much private memory it may
// have. 0, or an apus_call_failure, after which it must end.
int apus_call_confine(const int *descriptors, const char *folder, uint64_t data_bytes);
