#pragma once
// The life of a server process among others: signals, its supervisor, and the server that takes over from it.

#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

/// A descriptor that becomes readable when one of `signals`, which must be blocked, arrives; or -errno.
int apus_signal_descriptor(const sigset_t *signals);
/// The next signal that waits on such a descriptor, 0 when none does, -errno.
int apus_next_signal(int descriptor);

/// Gives memory that was freed back to the system. Takes milliseconds for a large heap.
void apus_give_back_memory(void);
/// Bounds what the allocator keeps for later: blocks of `mapped` bytes and more are mapped, and so given back when they are freed, and
/// at the end of each arena at most `kept` bytes stay. Without it both bounds follow the largest block that was ever freed, up to
/// 32 and 64 MiB. Before other threads allocate. 0 or -EINVAL.
int apus_bound_kept_memory(int mapped, int kept);

/// Sends one datagram to the supervisor at `path` (an abstract address begins with @). 0 or -errno.
int apus_notify(const char *path, const char *text);

/// Goes on in a process of its own session, which belongs to whoever adopts orphans. There it returns the descriptor on which to report: one byte, 0 once all is well. The
/// parent waits for that byte and ends with it as exit code, with 1 when the child ended before; it never returns. -errno when there
/// is no process. To be called before any thread exists. `notify` is the supervisor's address, or NULL: it is told of the new main
/// process by the parent, the one that it knows.
int apus_continue_in_background(const char *notify);

/// Listens at `name` in the folder behind `folder`, in packets, open to the owner only. Replaces what is there. The descriptor or -errno.
int apus_hand_over_listen(int folder, const char *name);
/// Connects to it. The descriptor or -errno.
int apus_hand_over_connect(int folder, const char *name);
/// Takes the next connection of a listening descriptor without waiting. The descriptor or -errno.
int apus_hand_over_accept(int listener);
/// The user on the other end. 0 or -errno.
int apus_hand_over_peer(int socket, uid_t *user, pid_t *process);
/// One packet with its descriptors, at most 64. 0 or -errno.
int apus_hand_over_send(int socket, const void *bytes, size_t length, const int *descriptors, int count);
/// The next packet, waiting at most that long. Its length, 0 at the end, -errno (-ETIMEDOUT). Descriptors are close-on-exec.
ssize_t apus_hand_over_receive(int socket, void *bytes, size_t size, int *descriptors, int *count, int milliseconds);
/// Whether a descriptor is a TCP socket that listens: 1 or 0.
int apus_is_listening(int descriptor);
