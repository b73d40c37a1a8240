#pragma once
// Which pages every worker writes to (pages.c). One rehearsal each process.

// Clones a process that goes the way of a worker: 0 in it, above 0 in the zygote, which gets its pidfd, -1 when there can be
// none.
int pages_rehearse(int *tid_address, int *process);

// In the rehearsal, before and after it goes that way. The second ends it.
int pages_watch(void);
void pages_report(void) __attribute__((noreturn));

// In the zygote: waits for the end of the process, then has what it wrote to copied with every clone, for as long as the
// descriptor that is returned is open; -1 when the kernel refuses.
int pages_copy_early(int process);
