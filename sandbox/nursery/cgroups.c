// Control groups on v1, v2 and hosts with both. Each controller is taken from v2 when v2 has it, else from its v1
// hierarchy, else it is missing and said to be. Nothing here writes cgroup.procs while serving: on an idle kernel that
// costs milliseconds.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nursery.h"
#include "syscalls.h"

#define CPU_PERIOD_MICROSECONDS 100000u
#define CPU_QUOTA_MIN 1000u
#define READ_BYTES 4096
#define CLEANING_ROUNDS 200

static const char *const controller_names[CONTROLLER_COUNT] = {"memory", "pids", "cpu"};

static bool write_text(int directory, const char *name, const char *text) {
    int file = openat(directory, name, O_WRONLY | O_CLOEXEC);
    if (file < 0) return false;
    size_t length = strlen(text);
    ssize_t written = write(file, text, length);
    int error = errno;
    close(file);
    errno = error;
    return written == (ssize_t)length;
}

static bool write_number(int directory, const char *name, uint64_t number) {
    char text[32];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    return write_text(directory, name, text);
}

static ssize_t read_text(int directory, const char *name, char *text, size_t size) {
    int file = openat(directory, name, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    ssize_t length = read(file, text, size - 1);
    close(file);
    if (length >= 0) text[length] = 0;
    return length;
}

static bool exists(int directory, const char *name) { return faccessat(directory, name, F_OK, 0) == 0; }

static bool has_word(const char *text, const char *word, const char *separators) {
    size_t length = strlen(word);
    for (const char *place = text; *place != 0;) {
        size_t part = strcspn(place, separators);
        if (part == length && strncmp(place, word, length) == 0) return true;
        place += part;
        place += strspn(place, separators);
    }
    return false;
}

// Our own path in the hierarchy of a v1 controller, or of v2 for an empty name, from /proc/self/cgroup.
static bool own_path(const char *controller, char *path, size_t size) {
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (file == NULL) return false;
    char line[READ_BYTES];
    bool is_found = false;
    while (!is_found && fgets(line, sizeof line, file) != NULL) {
        char *first = strchr(line, ':');
        char *second = first == NULL ? NULL : strchr(first + 1, ':');
        if (second == NULL) continue;
        *second = 0;
        second[1 + strcspn(second + 1, "\n")] = 0;
        is_found = controller[0] == 0 ? first[1] == 0 : has_word(first + 1, controller, ",");
        if (is_found) copy_text(path, size, second + 1);
    }
    fclose(file);
    return is_found;
}

// Opens our own directory in the hierarchy of a v1 controller, or of v2 for an empty name.
static int open_hierarchy(const char *controller) {
    FILE *file = fopen("/proc/self/mountinfo", "re");
    if (file == NULL) return -1;
    char line[READ_BYTES];
    int result = -1;
    while (result < 0 && fgets(line, sizeof line, file) != NULL) {
        char root[PATH_BYTES], point[PATH_BYTES], type[32], options[256];
        char *separator = strstr(line, " - ");
        if (separator == NULL || sscanf(line, "%*s %*s %*s %511s %511s", root, point) != 2) continue;
        if (sscanf(separator, " - %31s %*s %255s", type, options) != 2) continue;
        bool is_right = controller[0] == 0 ? strcmp(type, "cgroup2") == 0
                                           : strcmp(type, "cgroup") == 0 && has_word(options, controller, ",");
        char own[PATH_BYTES];
        if (!is_right || !own_path(controller, own, sizeof own)) continue;
        // The mount may show a part of the hierarchy only; inside it our path starts behind that part.
        size_t shown = strcmp(root, "/") == 0 ? 0 : strlen(root);
        const char *inside = strncmp(own, root, shown) == 0 ? own + shown : "/";
        char path[2 * PATH_BYTES];
        snprintf(path, sizeof path, "%s%s", point, inside);
        result = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    fclose(file);
    return result;
}

// Whatever still runs in a left-over cgroup is ended; its processes are named by pid only here, before anything of ours
// runs.
static void empty_left_over(int directory) {
    for (int round = 0; round < CLEANING_ROUNDS; round++) {
        write_text(directory, "cgroup.kill", "1");
        char text[READ_BYTES];
        ssize_t length = read_text(directory, "cgroup.procs", text, sizeof text);
        if (length <= 0) return;
        char *rest = NULL;
        for (char *word = strtok_r(text, "\n", &rest); word != NULL; word = strtok_r(NULL, "\n", &rest)) {
            pid_t process = (pid_t)atoi(word);
            if (process <= 1 || process == getpid()) continue;
            int pidfd = open_process(process);
            if (pidfd < 0) continue;
            signal_process(pidfd, SIGKILL);
            close(pidfd);
        }
        usleep(1000);
    }
}

static int make_directory(int parent, const char *name) {
    if (mkdirat(parent, name, 0755) != 0 && errno != EEXIST) return -1;
    return openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void clean_stale_slots(int root) {
    if (root < 0) return;
    for (int index = 0; index < SLOTS_MAX; index++) {
        char name[32];
        snprintf(name, sizeof name, "slot-%d", index);
        int directory = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0) continue;
        empty_left_over(directory);
        close(directory);
        unlinkat(root, name, AT_REMOVEDIR);
    }
}

// v2 gives controllers to children only when no process is in the parent: we and the server move to a leaf of their
// own.
static bool enable_unified(int own, const char *controller) {
    char text[32];
    snprintf(text, sizeof text, "+%s", controller);
    if (write_text(own, "cgroup.subtree_control", text)) return true;
    if (errno != EBUSY) return false;
    int leaf = make_directory(own, "apus-server");
    if (leaf < 0) return false;
    write_number(leaf, "cgroup.procs", (uint64_t)getppid());
    write_number(leaf, "cgroup.procs", (uint64_t)getpid());
    close(leaf);
    return write_text(own, "cgroup.subtree_control", text);
}

void find_cgroups(void) {
    const char *name = nursery.group_name;
    int unified = open_hierarchy("");
    nursery.unified_root = unified < 0 ? -1 : make_directory(unified, name);
    if (nursery.unified_root >= 0) nursery.cgroup_versions |= 2;
    char available[READ_BYTES] = "";
    if (unified >= 0) read_text(unified, "cgroup.controllers", available, sizeof available);
    for (int index = 0; index < CONTROLLER_COUNT; index++) {
        const char *controller = controller_names[index];
        nursery.cgroup_root[index] = -1;
        char enable[32];
        snprintf(enable, sizeof enable, "+%s", controller);
        if (nursery.unified_root >= 0 && has_word(available, controller, " \n") &&
            enable_unified(unified, controller) && write_text(nursery.unified_root, "cgroup.subtree_control", enable)) {
            nursery.versions[index] = CGROUP_V2;
            continue;
        }
        int own = open_hierarchy(controller);
        if (own < 0) continue;
        nursery.cgroup_root[index] = make_directory(own, name);
        close(own);
        if (nursery.cgroup_root[index] < 0) continue;
        nursery.versions[index] = CGROUP_V1;
        nursery.cgroup_versions |= 1;
    }
    if (unified >= 0) close(unified);
    clean_stale_slots(nursery.unified_root);
    for (int index = 0; index < CONTROLLER_COUNT; index++) clean_stale_slots(nursery.cgroup_root[index]);
}

static bool renew_group(struct slot *slot);

static void close_slot_cgroups(struct slot *slot) {
    int error = errno;
    if (slot->unified >= 0) close(slot->unified);
    for (int index = 0; index < CONTROLLER_COUNT; index++) {
        if (nursery.versions[index] == CGROUP_V1 && slot->directory[index] >= 0) close(slot->directory[index]);
        if (slot->tasks[index] >= 0) close(slot->tasks[index]);
        slot->directory[index] = slot->tasks[index] = -1;
    }
    slot->unified = -1;
    errno = error;
}

static bool make_slot_cgroups(struct slot *slot) {
    char name[32];
    snprintf(name, sizeof name, "slot-%d", slot->index);
    slot->unified = nursery.unified_root < 0 ? -1 : make_directory(nursery.unified_root, name);
    if (nursery.unified_root >= 0 && slot->unified < 0) return false;
    for (int index = 0; index < CONTROLLER_COUNT; index++) {
        if (nursery.versions[index] == CGROUP_V2) slot->directory[index] = slot->unified;
        if (nursery.versions[index] != CGROUP_V1) continue;
        slot->directory[index] = make_directory(nursery.cgroup_root[index], name);
        if (slot->directory[index] < 0) return false;
        slot->tasks[index] = openat(slot->directory[index], "tasks", O_WRONLY | O_CLOEXEC);
        if (slot->tasks[index] < 0) return false;
    }
    return true;
}

bool open_slot_cgroups(struct slot *slot) {
    if (slot->has_cgroups) return !slot->is_group_spent || renew_group(slot);
    if (!make_slot_cgroups(slot)) {
        // Every later attempt starts anew: what this one opened would stay open for good.
        close_slot_cgroups(slot);
        return false;
    }
    slot->has_cgroups = true;
    slot->kills_before = 0;
    slot_ran_out_of_memory(slot);
    return true;
}

static bool set_memory(struct slot *slot, uint64_t bytes) {
    int directory = slot->directory[CONTROLLER_MEMORY];
    if (nursery.versions[CONTROLLER_MEMORY] == CGROUP_V2) {
        if (!write_number(directory, "memory.max", bytes)) return false;
        if (exists(directory, "memory.oom.group")) write_text(directory, "memory.oom.group", "1");
        return !exists(directory, "memory.swap.max") || write_number(directory, "memory.swap.max", 0);
    }
    // Memory may not be over memory and swap together at any moment: raising goes from the outside in, lowering from
    // the inside out.
    bool is_set = write_number(directory, "memory.limit_in_bytes", bytes);
    if (nursery.has_memsw && !write_number(directory, "memory.memsw.limit_in_bytes", bytes)) return false;
    return is_set || write_number(directory, "memory.limit_in_bytes", bytes);
}

static bool set_cpu(struct slot *slot, uint32_t millis) {
    int directory = slot->directory[CONTROLLER_CPU];
    uint64_t quota = (uint64_t)millis * (CPU_PERIOD_MICROSECONDS / 1000);
    if (quota < CPU_QUOTA_MIN) quota = CPU_QUOTA_MIN;
    if (nursery.versions[CONTROLLER_CPU] == CGROUP_V2) {
        char text[64];
        snprintf(text, sizeof text, "%llu %u", (unsigned long long)quota, CPU_PERIOD_MICROSECONDS);
        return write_text(directory, "cpu.max", text);
    }
    return write_number(directory, "cpu.cfs_period_us", CPU_PERIOD_MICROSECONDS) &&
           write_number(directory, "cpu.cfs_quota_us", quota);
}

// Writes only what differs from the slot's last occupant.
bool set_slot_limits(struct slot *slot, const struct nursery_request *request, const char **failed) {
    if (nursery.versions[CONTROLLER_MEMORY] != CGROUP_ABSENT && slot->memory_bytes != request->memory_bytes) {
        *failed = "memory limit";
        if (!set_memory(slot, request->memory_bytes)) return false;
        slot->memory_bytes = request->memory_bytes;
    }
    if (nursery.versions[CONTROLLER_PIDS] != CGROUP_ABSENT && slot->processes != request->processes) {
        *failed = "processes limit";
        if (!write_number(slot->directory[CONTROLLER_PIDS], "pids.max", request->processes)) return false;
        slot->processes = request->processes;
    }
    if (nursery.versions[CONTROLLER_CPU] != CGROUP_ABSENT && slot->cpu_millis != request->cpu_millis) {
        *failed = "cpu limit";
        if (!set_cpu(slot, request->cpu_millis)) return false;
        slot->cpu_millis = request->cpu_millis;
    }
    return true;
}

bool slot_is_empty(struct slot *slot) {
    char text[READ_BYTES];
    if (slot->unified >= 0 && read_text(slot->unified, "cgroup.procs", text, sizeof text) != 0) return false;
    for (int index = 0; index < CONTROLLER_COUNT; index++) {
        if (nursery.versions[index] != CGROUP_V1) continue;
        if (read_text(slot->directory[index], "tasks", text, sizeof text) != 0) return false;
    }
    return true;
}

// Ends everything in the slot: the first process takes its pid namespace along.
void kill_slot(struct slot *slot) {
    if (slot->process >= 0) signal_process(slot->process, SIGKILL);
}

// Ends by cgroup what the end of the pid namespace did not. Since Linux 6.14 whatever is cloned into a cgroup that was
// ever killed this way may be killed at its birth, so that the cgroup is not used again.
void kill_slot_by_group(struct slot *slot) {
    if (slot->unified < 0) return;
    write_text(slot->unified, "cgroup.kill", "1");
    slot->is_group_spent = true;
}

static bool renew_group(struct slot *slot) {
    char name[32];
    snprintf(name, sizeof name, "slot-%d", slot->index);
    close(slot->unified);
    slot->unified = -1;
    unlinkat(nursery.unified_root, name, AT_REMOVEDIR);
    slot->unified = make_directory(nursery.unified_root, name);
    if (slot->unified < 0) return false;
    for (int index = 0; index < CONTROLLER_COUNT; index++) {
        if (nursery.versions[index] == CGROUP_V2) slot->directory[index] = slot->unified;
    }
    // A new group has no limits and has counted nothing.
    slot->memory_bytes = slot->processes = slot->cpu_millis = 0;
    if (nursery.versions[CONTROLLER_MEMORY] == CGROUP_V2) slot->kills_before = 0;
    if (nursery.versions[CONTROLLER_PIDS] == CGROUP_V2) slot->processes_refused_before = 0;
    slot->is_group_spent = false;
    return true;
}

// True when the memory bound ended a process since the last call for this slot.
bool slot_ran_out_of_memory(struct slot *slot) {
    if (nursery.versions[CONTROLLER_MEMORY] == CGROUP_ABSENT) return false;
    char text[READ_BYTES];
    const char *file = nursery.versions[CONTROLLER_MEMORY] == CGROUP_V2 ? "memory.events" : "memory.oom_control";
    if (read_text(slot->directory[CONTROLLER_MEMORY], file, text, sizeof text) <= 0) return false;
    char *place = strstr(text, "oom_kill ");
    if (place == NULL) return false;
    uint64_t kills = strtoull(place + 9, NULL, 10);
    bool is_more = kills > slot->kills_before;
    slot->kills_before = kills;
    return is_more;
}

// How often the processes limit refused another since the last call for this slot.
uint32_t slot_refused_processes(struct slot *slot) {
    char text[READ_BYTES];
    if (nursery.versions[CONTROLLER_PIDS] == CGROUP_ABSENT ||
        read_text(slot->directory[CONTROLLER_PIDS], "pids.events", text, sizeof text) <= 0)
        return 0;
    char *place = strstr(text, "max ");
    if (place == NULL) return 0;
    uint64_t refused = strtoull(place + 4, NULL, 10), more = refused - slot->processes_refused_before;
    slot->processes_refused_before = refused;
    return more > UINT32_MAX ? UINT32_MAX : (uint32_t)more;
}

void remove_cgroups(void) {
    char name[32];
    int roots[CONTROLLER_COUNT + 1];
    for (int index = 0; index < CONTROLLER_COUNT; index++) roots[index] = nursery.cgroup_root[index];
    roots[CONTROLLER_COUNT] = nursery.unified_root;
    for (int index = 0; index <= CONTROLLER_COUNT; index++) {
        if (roots[index] < 0) continue;
        for (uint32_t slot = 0; slot < nursery.slot_count; slot++) {
            snprintf(name, sizeof name, "slot-%u", slot);
            if (nursery.slots[slot].has_cgroups) unlinkat(roots[index], name, AT_REMOVEDIR);
        }
    }
    for (int index = 0; index < CONTROLLER_COUNT; index++) {
        if (nursery.cgroup_root[index] < 0) continue;
        int own = open_hierarchy(controller_names[index]);
        if (own < 0) continue;
        unlinkat(own, nursery.group_name, AT_REMOVEDIR);
        close(own);
    }
    int unified = open_hierarchy("");
    if (unified < 0) return;
    unlinkat(unified, nursery.group_name, AT_REMOVEDIR);
    close(unified);
}
