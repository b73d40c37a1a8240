#pragma once
// The part of the Python zygote that is C: loaded into the interpreter, called with its lock held.

// Takes the inherited descriptors into use. 0, or an error number.
int apus_zygote_prepare(void);

// Serves orders. Returns in each clone, confined, the length of its environment, which it wrote to `environment`; in the
// zygote itself when the nursery closed the channel or broke the protocol: -1. The functions are the interpreter's own
// hooks around a fork.
int apus_zygote_serve(void (*before)(void), void (*after_in_parent)(void), void (*after_in_child)(void),
                      char *environment, int capacity);
