// NVIDIA's management library, found at run time: a host without it builds and runs this all the same. Prototypes are our own, of the
// few calls that are used; every call may block as long as the driver does, so that they belong on a thread of their own.
#ifndef APUS_NVML_H
#define APUS_NVML_H

#include <stddef.h>
#include <stdint.h>

#define APUS_NVML_TEXT 96

struct apus_nvml;

struct apus_nvml_device {
    char uuid[APUS_NVML_TEXT];
    char name[APUS_NVML_TEXT];
    uint64_t memory;
    /// Of /dev/nvidia<minor>.
    uint32_t minor;
    /// The card it is a part of, by the driver's index; a card that is divided is not listed itself.
    uint32_t card;
    uint32_t is_part;
    /// The most that its link may reach; 0 where the driver does not say.
    uint32_t link_generation;
    uint32_t link_width;
};

struct apus_nvml_process {
    uint32_t pid;
    /// All ones where the driver does not say.
    uint64_t bytes;
};

struct apus_nvml_event {
    uint32_t card;
    uint64_t type;
    /// The Xid of a critical error.
    uint64_t data;
};

#define APUS_NVML_EVENT_ECC 0x2ull
#define APUS_NVML_EVENT_XID 0x8ull
#define APUS_NVML_EVENT_UNAVAILABLE 0x4000000000ull

/// Loads the library and starts it. 0, or a negative number with a sentence in `message`: -1 without the library or a call of it, -2
/// when the driver refuses.
int apus_nvml_open(const char *library, struct apus_nvml **opened, char *message, size_t message_bytes);
/// Ends it; harmless with nil.
void apus_nvml_close(struct apus_nvml *nvml);
/// Fills at most `max` devices. Their number, or the negative code of the driver.
int apus_nvml_devices(struct apus_nvml *nvml, struct apus_nvml_device *devices, int max);
/// Bytes in use of the device at a place of the last list, whoever uses them. 0, or the negative code.
int apus_nvml_used(struct apus_nvml *nvml, int place, uint64_t *used);
/// Those that use it. Their number, or the negative code.
int apus_nvml_processes(struct apus_nvml *nvml, int place, struct apus_nvml_process *processes, int max);
/// Waits for an event. 1 with one, 0 without, or the negative code.
int apus_nvml_wait(struct apus_nvml *nvml, uint32_t milliseconds, struct apus_nvml_event *event);
/// The driver's version into `text`.
void apus_nvml_version(struct apus_nvml *nvml, char *text, size_t bytes);
/// What a code means, as the driver says it.
const char *apus_nvml_text(struct apus_nvml *nvml, int code);

#endif
