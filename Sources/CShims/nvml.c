#include "nvml.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void *device_t;
typedef void *event_set_t;

struct memory_v1 {
    unsigned long long total, free, used;
};

struct memory_v2 {
    unsigned int version;
    unsigned long long total, reserved, free, used;
};

struct process_info {
    unsigned int pid;
    unsigned long long used;
    unsigned int gpu_instance;
    unsigned int compute_instance;
};

struct event_data {
    device_t device;
    unsigned long long type;
    unsigned long long data;
    unsigned int gpu_instance;
    unsigned int compute_instance;
};

enum { SUCCESS = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, TIMEOUT = 10 };
enum { CARDS_MAX = 1024, PARTS_MAX = 16, PROCESSES_MAX = 1024 };

struct calls {
    int (*init)(void);
    int (*shutdown)(void);
    const char *(*error_string)(int);
    int (*driver_version)(char *, unsigned int);
    int (*count)(unsigned int *);
    int (*handle)(unsigned int, device_t *);
    int (*name)(device_t, char *, unsigned int);
    int (*uuid)(device_t, char *, unsigned int);
    int (*minor)(device_t, unsigned int *);
    int (*memory)(device_t, struct memory_v1 *);
    int (*memory_v2)(device_t, struct memory_v2 *);
    int (*processes)(device_t, unsigned int *, struct process_info *);
    int (*graphics)(device_t, unsigned int *, struct process_info *);
    int (*link_generation)(device_t, unsigned int *);
    int (*link_width)(device_t, unsigned int *);
    int (*mig_mode)(device_t, unsigned int *, unsigned int *);
    int (*mig_max)(device_t, unsigned int *);
    int (*mig_handle)(device_t, unsigned int, device_t *);
    int (*event_set_create)(event_set_t *);
    int (*event_set_free)(event_set_t);
    int (*register_events)(device_t, unsigned long long, event_set_t);
    int (*supported_events)(device_t, unsigned long long *);
    int (*wait)(event_set_t, struct event_data *, unsigned int);
};

struct apus_nvml {
    void *library;
    struct calls calls;
    device_t cards[CARDS_MAX];
    int card_count;
    device_t devices[CARDS_MAX];
    int device_count;
    event_set_t events;
    int has_events;
};

struct symbol {
    const char *name;
    /// Where an older library has the call, or nil.
    const char *older;
    size_t place;
    int is_needed;
};

#define CALL(member) offsetof(struct calls, member)

// The library calls newer forms by a name with a version; without one, its header would have picked it.
static const struct symbol symbols[] = {
    {"nvmlInit_v2", 0, CALL(init), 1},
    {"nvmlShutdown", 0, CALL(shutdown), 1},
    {"nvmlErrorString", 0, CALL(error_string), 1},
    {"nvmlSystemGetDriverVersion", 0, CALL(driver_version), 1},
    {"nvmlDeviceGetCount_v2", 0, CALL(count), 1},
    {"nvmlDeviceGetHandleByIndex_v2", 0, CALL(handle), 1},
    {"nvmlDeviceGetName", 0, CALL(name), 1},
    {"nvmlDeviceGetUUID", 0, CALL(uuid), 1},
    {"nvmlDeviceGetMinorNumber", 0, CALL(minor), 1},
    {"nvmlDeviceGetMemoryInfo", 0, CALL(memory), 1},
    {"nvmlDeviceGetMemoryInfo_v2", 0, CALL(memory_v2), 0},
    {"nvmlDeviceGetComputeRunningProcesses_v3", "nvmlDeviceGetComputeRunningProcesses_v2", CALL(processes), 1},
    {"nvmlDeviceGetGraphicsRunningProcesses_v3", "nvmlDeviceGetGraphicsRunningProcesses_v2", CALL(graphics), 0},
    {"nvmlDeviceGetMaxPcieLinkGeneration", 0, CALL(link_generation), 0},
    {"nvmlDeviceGetMaxPcieLinkWidth", 0, CALL(link_width), 0},
    {"nvmlDeviceGetMigMode", 0, CALL(mig_mode), 0},
    {"nvmlDeviceGetMaxMigDeviceCount", 0, CALL(mig_max), 0},
    {"nvmlDeviceGetMigDeviceHandleByIndex", 0, CALL(mig_handle), 0},
    {"nvmlEventSetCreate", 0, CALL(event_set_create), 0},
    {"nvmlEventSetFree", 0, CALL(event_set_free), 0},
    {"nvmlDeviceRegisterEvents", 0, CALL(register_events), 0},
    {"nvmlDeviceGetSupportedEventTypes", 0, CALL(supported_events), 0},
    {"nvmlEventSetWait_v2", "nvmlEventSetWait", CALL(wait), 0},
};

static int load(struct apus_nvml *nvml, char *message, size_t message_bytes) {
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        void *call = dlsym(nvml->library, symbols[i].name);
        if (!call && symbols[i].older) call = dlsym(nvml->library, symbols[i].older);
        if (!call && symbols[i].is_needed) {
            snprintf(message, message_bytes, "the library lacks %s: its driver is too old", symbols[i].name);
            return -1;
        }
        memcpy((char *)&nvml->calls + symbols[i].place, &call, sizeof call);
    }
    return 0;
}

// Registers what says that a device is ill; a device that knows none of it is still of use.
static void watch(struct apus_nvml *nvml) {
    const struct calls *calls = &nvml->calls;
    if (!calls->event_set_create || !calls->event_set_free || !calls->register_events || !calls->wait) return;
    if (calls->event_set_create(&nvml->events) != SUCCESS) return;
    for (int i = 0; i < nvml->card_count; i++) {
        unsigned long long wanted = APUS_NVML_EVENT_ECC | APUS_NVML_EVENT_XID | APUS_NVML_EVENT_UNAVAILABLE;
        unsigned long long known = wanted;
        if (calls->supported_events && calls->supported_events(nvml->cards[i], &known) == SUCCESS) wanted &= known;
        if (wanted && calls->register_events(nvml->cards[i], wanted, nvml->events) == SUCCESS) nvml->has_events = 1;
    }
}

int apus_nvml_open(const char *library, struct apus_nvml **opened, char *message, size_t message_bytes) {
    *opened = 0;
    struct apus_nvml *nvml = calloc(1, sizeof *nvml);
    if (!nvml) {
        snprintf(message, message_bytes, "no memory");
        return -1;
    }
    nvml->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!nvml->library) {
        snprintf(message, message_bytes, "%s", dlerror());
        free(nvml);
        return -1;
    }
    int code = load(nvml, message, message_bytes);
    if (code == 0) {
        code = nvml->calls.init();
        if (code != SUCCESS) {
            snprintf(message, message_bytes, "%s", nvml->calls.error_string(code));
            code = -2;
        }
    }
    if (code != 0) {
        dlclose(nvml->library);
        free(nvml);
        return code;
    }
    unsigned int count = 0;
    if (nvml->calls.count(&count) == SUCCESS) {
        for (unsigned int i = 0; i < count && i < CARDS_MAX; i++) {
            // A card that fell off the bus keeps its index and has no handle.
            if (nvml->calls.handle(i, &nvml->cards[i]) != SUCCESS) nvml->cards[i] = 0;
            nvml->card_count = (int)i + 1;
        }
    }
    watch(nvml);
    *opened = nvml;
    return 0;
}

void apus_nvml_close(struct apus_nvml *nvml) {
    if (!nvml) return;
    if (nvml->events) nvml->calls.event_set_free(nvml->events);
    nvml->calls.shutdown();
    dlclose(nvml->library);
    free(nvml);
}

static int describe(struct apus_nvml *nvml, device_t device, struct apus_nvml_device *out) {
    const struct calls *calls = &nvml->calls;
    int code = calls->uuid(device, out->uuid, sizeof out->uuid);
    if (code == SUCCESS) code = calls->name(device, out->name, sizeof out->name);
    struct memory_v1 memory = {0};
    if (code == SUCCESS) code = calls->memory(device, &memory);
    out->memory = memory.total;
    out->uuid[sizeof out->uuid - 1] = 0;
    out->name[sizeof out->name - 1] = 0;
    return code;
}

static int add(struct apus_nvml *nvml, device_t device, int card, int is_part, struct apus_nvml_device *out) {
    const struct calls *calls = &nvml->calls;
    memset(out, 0, sizeof *out);
    int code = describe(nvml, device, out);
    if (code != SUCCESS) return code;
    out->card = (uint32_t)card;
    out->is_part = (uint32_t)is_part;
    // Of the card: a part has no node and no link of its own.
    if (calls->minor(nvml->cards[card], &out->minor) != SUCCESS) out->minor = (uint32_t)card;
    if (calls->link_generation) calls->link_generation(nvml->cards[card], &out->link_generation);
    if (calls->link_width) calls->link_width(nvml->cards[card], &out->link_width);
    nvml->devices[nvml->device_count++] = device;
    return SUCCESS;
}

// The parts that a card was divided into by whoever runs the host; -1 for one that is whole.
static int add_parts(struct apus_nvml *nvml, int card, struct apus_nvml_device *devices, int max) {
    const struct calls *calls = &nvml->calls;
    unsigned int current = 0, pending = 0, count = 0;
    if (!calls->mig_mode || !calls->mig_max || !calls->mig_handle) return -1;
    if (calls->mig_mode(nvml->cards[card], &current, &pending) != SUCCESS || !current) return -1;
    if (calls->mig_max(nvml->cards[card], &count) != SUCCESS) return 0;
    for (unsigned int i = 0; i < count && i < PARTS_MAX && nvml->device_count < max; i++) {
        device_t part = 0;
        if (calls->mig_handle(nvml->cards[card], i, &part) != SUCCESS) continue;
        add(nvml, part, card, 1, &devices[nvml->device_count]);
    }
    return 0;
}

int apus_nvml_devices(struct apus_nvml *nvml, struct apus_nvml_device *devices, int max) {
    nvml->device_count = 0;
    if (max > CARDS_MAX) max = CARDS_MAX;
    int first = SUCCESS;
    for (int card = 0; card < nvml->card_count && nvml->device_count < max; card++) {
        if (!nvml->cards[card]) continue;
        if (add_parts(nvml, card, devices, max) == 0) continue;
        int code = add(nvml, nvml->cards[card], card, 0, &devices[nvml->device_count]);
        if (code != SUCCESS && first == SUCCESS) first = code;
    }
    return nvml->device_count == 0 && first != SUCCESS ? -first : nvml->device_count;
}

int apus_nvml_used(struct apus_nvml *nvml, int place, uint64_t *used) {
    const struct calls *calls = &nvml->calls;
    device_t device = nvml->devices[place];
    if (calls->memory_v2) {
        // The second form tells apart what the driver itself reserves; nobody can have that, nor is it anybody's.
        struct memory_v2 memory = {.version = (unsigned int)(sizeof memory | (2u << 24))};
        if (calls->memory_v2(device, &memory) == SUCCESS) {
            *used = memory.used;
            return SUCCESS;
        }
    }
    struct memory_v1 memory = {0};
    int code = calls->memory(device, &memory);
    *used = memory.used;
    return -code;
}

static int gather(
    int (*call)(device_t, unsigned int *, struct process_info *), device_t device, struct apus_nvml_process *out, int count,
    int max) {
    static _Thread_local struct process_info infos[PROCESSES_MAX];
    unsigned int found = PROCESSES_MAX;
    int code = call(device, &found, infos);
    if (code == NOT_SUPPORTED || code == NOT_FOUND) return count;
    if (code != SUCCESS && code != INSUFFICIENT_SIZE) return -code;
    if (found > PROCESSES_MAX) found = PROCESSES_MAX;
    for (unsigned int i = 0; code == SUCCESS && i < found && count < max; i++) {
        int known = 0;
        for (int j = 0; j < count; j++) known |= out[j].pid == infos[i].pid;
        // One that computes and draws is listed twice with the same memory.
        if (known) continue;
        out[count].pid = infos[i].pid;
        out[count++].bytes = infos[i].used;
    }
    return count;
}

int apus_nvml_processes(struct apus_nvml *nvml, int place, struct apus_nvml_process *processes, int max) {
    int count = gather(nvml->calls.processes, nvml->devices[place], processes, 0, max);
    if (count >= 0 && nvml->calls.graphics) {
        int both = gather(nvml->calls.graphics, nvml->devices[place], processes, count, max);
        if (both >= 0) count = both;
    }
    return count;
}

int apus_nvml_wait(struct apus_nvml *nvml, uint32_t milliseconds, struct apus_nvml_event *event) {
    if (!nvml->has_events) return -NOT_SUPPORTED;
    struct event_data data = {0};
    int code = nvml->calls.wait(nvml->events, &data, milliseconds);
    if (code == TIMEOUT) return 0;
    if (code != SUCCESS) return -code;
    event->card = UINT32_MAX;
    for (int i = 0; i < nvml->card_count; i++) {
        if (nvml->cards[i] == data.device) event->card = (uint32_t)i;
    }
    event->type = data.type;
    event->data = data.data;
    return 1;
}

void apus_nvml_version(struct apus_nvml *nvml, char *text, size_t bytes) {
    if (nvml->calls.driver_version(text, (unsigned int)bytes) != SUCCESS) snprintf(text, bytes, "unknown");
}

const char *apus_nvml_text(struct apus_nvml *nvml, int code) { return nvml->calls.error_string(code < 0 ? -code : code); }
