#pragma once
#include <stddef.h>
#include <stdint.h>

// What a worker's channel needs and Swift cannot import: variadic calls and control messages.

/// Copies `size` bytes into a new memory descriptor and seals it against every change. Returns the descriptor or -errno.
int apus_channel_sealed_memory(const void *bytes, size_t size);
/// The seals of a memory descriptor as F_GET_SEALS gives them, or -errno.
int apus_channel_seals(int descriptor);
/// Sends `descriptor` with the 8-byte `stream` as one message, without waiting. Returns 0 or -errno.
int apus_channel_send_descriptor(int socket, int descriptor, uint64_t stream);
/// Receives what the above sent. Returns the descriptor or -errno; -EPROTO when the message is another one.
int apus_channel_receive_descriptor(int socket, uint64_t *stream);
/// Makes a pipe larger where the system allows it; a smaller one is slower and nothing else.
void apus_channel_widen_pipe(int descriptor, int bytes);
/// How many bytes wait in a pipe or socket, or -errno.
int apus_channel_waiting(int descriptor);

/// As many as become descriptors 1 to 5 of a call that a function's zygote forks.
#define APUS_CALL_DESCRIPTORS 5
/// Makes what a call and the server talk through. `server`: to the call, from it, its descriptor 5, its output and errors, none of
/// which blocks; `call`: what become its descriptors 1 to 5. Returns 0 or -errno, and then nothing is open.
int apus_channel_make_call(int *server, int *call);
/// Sends the call's ends with the 8-byte `stream` as one message, without waiting. Returns 0 or -errno.
int apus_channel_send_call(int socket, const int *call, uint64_t stream);
