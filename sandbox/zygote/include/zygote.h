#pragma once
// The part of the Python zygote that is C: loaded into the interpreter, called with its lock held.

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
