// Frames on their way to the server. The buffer is bounded; whoever adds looks for room first and waits without it.
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

static unsigned char buffer[OUTGOING_BYTES];
static size_t first, last;

size_t outgoing_room(void) { return sizeof buffer - (last - first); }

bool outgoing_is_empty(void) { return first == last; }

unsigned char *begin_frame(int type, int flags, uint64_t stream, uint32_t length) {
    if (length > PAYLOAD_BYTES || HEADER_BYTES + length > outgoing_room()) violation("no room for an answer");
    if (sizeof buffer - last < HEADER_BYTES + length) {
        memmove(buffer, buffer + first, last - first);
        last -= first;
        first = 0;
    }
    unsigned char *head = buffer + last;
    put32(head, length);
    head[4] = (unsigned char)type;
    head[5] = (unsigned char)flags;
    put16(head + 6, 1);
    put64(head + 8, stream);
    put64(head + 16, 0);
    last += HEADER_BYTES + length;
    return head + HEADER_BYTES;
}

void send_frame(int type, int flags, uint64_t stream, const void *payload, uint32_t length) {
    unsigned char *to = begin_frame(type, flags, stream, length);
    if (length > 0) memcpy(to, payload, length);
}

void send_error(uint64_t stream, int class, const char *code, const char *message, const char *detail,
                size_t detail_bytes) {
    size_t code_bytes = strlen(code), message_bytes = strlen(message);
    unsigned char *to = begin_frame(ERROR, 0, stream, (uint32_t)(16 + code_bytes + message_bytes + detail_bytes));
    to[0] = (unsigned char)class;
    to[1] = 0;
    put16(to + 2, (uint16_t)code_bytes);
    put32(to + 4, (uint32_t)message_bytes);
    put32(to + 8, (uint32_t)detail_bytes);
    put32(to + 12, 0xFFFFFFFFu);
    memcpy(to + 16, code, code_bytes);
    memcpy(to + 16 + code_bytes, message, message_bytes);
    if (detail_bytes > 0) memcpy(to + 16 + code_bytes + message_bytes, detail, detail_bytes);
}

void flush_outgoing(void) {
    while (first < last) {
        ssize_t count = write(TO_SERVER, buffer + first, last - first);
        if (count > 0) {
            first += (size_t)count;
        } else if (count < 0 && errno == EAGAIN) {
            return;
        } else if (count < 0 && errno != EINTR) {
            kill_everything();
            _exit(0);
        }
    }
    first = last = 0;
}
