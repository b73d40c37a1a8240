// Workers with devices of NVIDIA's: their root, and what is bound into it at each launch. Their driver speaks to the kernel
// through its own device nodes, looks at the whole of /proc, and names threads by writing there; nothing else of the host
// is given to them. No program of the host's is run for it, and nothing that a function says is part of any path.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "nursery.h"
#include "syscalls.h"

// What of /proc is left as it is: what programs of calculation read, and what the driver says of itself. All else is covered.
static const char *const shown[] = {"cpuinfo", "meminfo", "stat",        "uptime", "loadavg",
                                    "version", "devices", "filesystems", "driver"};

static bool is_shown(const struct dirent *entry) {
    // Processes are hidden by their owner, and links lead to one's own.
    if (entry->d_type == DT_LNK || (entry->d_name[0] >= '0' && entry->d_name[0] <= '9')) return true;
    for (size_t index = 0; index < sizeof shown / sizeof shown[0]; index++) {
        if (strcmp(entry->d_name, shown[index]) == 0) return true;
    }
    return entry->d_name[0] == '.';
}

static void find_covers(void) {
    DIR *entries = opendir("/proc");
    if (entries == NULL) die("cannot list /proc: %s", strerror(errno));
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (is_shown(entry)) continue;
        struct confine_cover *cover = &nursery.covers[nursery.cover_count];
        int length = snprintf(cover->path, sizeof cover->path, "proc/%s", entry->d_name);
        if (nursery.cover_count++ == COVERS_MAX || length >= (int)sizeof cover->path)
            die("/proc has more entries than can be covered, or one with a long name");
        cover->is_folder = entry->d_type == DT_DIR;
    }
    closedir(entries);
}

static void host_path(char *path, size_t size, const char *name) {
    snprintf(path, size, "%s/%s", nursery.gpu_root, name);
}

static bool exists(const char *name) {
    char path[2 * PATH_BYTES];
    host_path(path, sizeof path, name);
    return access(path, F_OK) == 0;
}

// An empty file or folder in the root, which a launch binds something onto.
static bool make_place(const char *root, const char *name) {
    if (!exists(name)) return false;
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "/%.400s", name);
    make_folders_above(root, path);
    write_file(root, name, "");
    return true;
}

// The number of a device by its address on the bus, or -1.
static int device_number(const char *address) {
    char path[2 * PATH_BYTES], line[256];
    snprintf(path, sizeof path, "%s/proc/driver/nvidia/gpus/%.64s/information", nursery.gpu_root, address);
    FILE *file = fopen(path, "re");
    if (file == NULL) return -1;
    int number = -1;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "Device Minor:", 13) == 0) number = atoi(line + 13);
    }
    fclose(file);
    return number >= 0 && number < NURSERY_GPUS_MAX ? number : -1;
}

// What the kernel says of the device on its bus: near which processors it is.
static void find_on_bus(const char *root, const char *address) {
    char link[2 * PATH_BYTES], target[PATH_MAX], place[PATH_BYTES], source[PATH_BYTES + 64];
    int number = device_number(address);
    snprintf(link, sizeof link, "%s/sys/bus/pci/devices/%.64s", nursery.gpu_root, address);
    if (number < 0 || realpath(link, target) == NULL) return;
    const char *own = target + strlen(nursery.gpu_root);
    if (strncmp(own, "/sys/devices/", 13) != 0 || strlen(own) >= sizeof nursery.gpu_on_bus[0]) return;
    snprintf(place, sizeof place, "%.400s/", own);
    make_folders_above(root, place);
    make_folders_above(root, "/sys/bus/pci/devices/");
    snprintf(source, sizeof source, "%.400s/sys/bus/pci/devices/%.64s", root, address);
    if (symlink(own, source) != 0 && errno != EEXIST) die("cannot make %s: %s", source, strerror(errno));
    copy_text(nursery.gpu_on_bus[number], sizeof nursery.gpu_on_bus[0], own + 1);
}

static void find_devices_on_bus(const char *root) {
    char path[2 * PATH_BYTES];
    host_path(path, sizeof path, "proc/driver/nvidia/gpus");
    DIR *entries = opendir(path);
    if (entries == NULL) return;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (entry->d_name[0] != '.' && strlen(entry->d_name) <= 64) find_on_bus(root, entry->d_name);
    }
    closedir(entries);
}

bool make_gpu_places(const char *root) {
    if (!make_place(root, "dev/nvidiactl")) return false;
    make_place(root, "dev/nvidia-uvm");
    char name[64];
    for (int index = 0; index < NURSERY_GPUS_MAX; index++) {
        snprintf(name, sizeof name, "dev/nvidia%d", index);
        if (make_place(root, name)) nursery.gpus |= 1ull << index;
    }
    for (int index = 1; index < GPU_CAPABILITIES_END; index++) {
        snprintf(name, sizeof name, "dev/nvidia-caps/nvidia-cap%d", index);
        make_place(root, name);
    }
    find_devices_on_bus(root);
    find_covers();
    return nursery.gpus != 0;
}

// Read-only is for files: a device is still written to. Unlike all other mounts of a sandbox, these may be devices.
static bool bind_to(struct confine_plan *plan, const char *name) {
    static char paths[CONFINE_LIVE_MAX][sizeof nursery.gpu_on_bus[0]];
    int place = 0;
    while (place < CONFINE_LIVE_MAX && plan->live[place].tree >= 0) place++;
    if (place == CONFINE_LIVE_MAX) {
        errno = E2BIG;
        return false;
    }
    char host[2 * PATH_BYTES];
    host_path(host, sizeof host, name);
    int tree = clone_tree(AT_FDCWD, host, 0);
    if (tree < 0) return false;
    bool is_device = strncmp(name, "dev/", 4) == 0;
    uint64_t flags = MOUNT_RDONLY | MOUNT_NOSUID | MOUNT_NOEXEC | (is_device ? 0 : MOUNT_NODEV);
    if (set_mount_attributes(tree, "", AT_EMPTY_PATH, flags) != 0) {
        int error = errno;
        close(tree);
        errno = error;
        return false;
    }
    copy_text(paths[place], sizeof paths[place], name);
    plan->live[place] = (struct confine_live_file){.tree = tree, .path = paths[place]};
    return true;
}

const char *open_gpus(struct confine_plan *plan, const struct nursery_request *request) {
    errno = ENODEV;
    if ((request->gpus & ~nursery.gpus) != 0 || !bind_to(plan, "dev/nvidiactl")) return "gpu";
    if (exists("dev/nvidia-uvm") && !bind_to(plan, "dev/nvidia-uvm")) return "gpu";
    char name[64];
    for (int index = 0; index < NURSERY_GPUS_MAX; index++) {
        if ((request->gpus & (1ull << index)) == 0) continue;
        snprintf(name, sizeof name, "dev/nvidia%d", index);
        if (!bind_to(plan, name)) return "gpu";
        if (nursery.gpu_on_bus[index][0] != 0 && !bind_to(plan, nursery.gpu_on_bus[index])) return "gpu";
    }
    for (int index = 0; index < NURSERY_GPU_CAPABILITIES; index++) {
        if (request->gpu_capabilities[index] == 0) continue;
        snprintf(name, sizeof name, "dev/nvidia-caps/nvidia-cap%u", request->gpu_capabilities[index]);
        if (!bind_to(plan, name)) return "gpu";
    }
    plan->template_path = nursery.template_path[RUNTIME_GPU];
    plan->filter = &nursery.filter[RUNTIME_GPU];
    plan->covers = nursery.covers;
    plan->cover_count = nursery.cover_count;
    // What is pinned for the device is memory of the sandbox all the same.
    plan->locked_bytes = request->memory_bytes;
    return NULL;
}

const char *check_gpus(const struct nursery_request *request) {
    bool has_capabilities = false;
    for (int index = 0; index < NURSERY_GPU_CAPABILITIES; index++) {
        has_capabilities = has_capabilities || request->gpu_capabilities[index] != 0;
        if (request->gpu_capabilities[index] >= GPU_CAPABILITIES_END) return "no such part of a device";
    }
    if (request->gpus == 0) return has_capabilities ? "parts of a device come with the device" : NULL;
    if (__builtin_popcountll(request->gpus) > NURSERY_GPUS_PER_WORKER) return "at most 16 devices for a worker";
    if (request->runtime != RUNTIME_PYTHON && request->runtime != RUNTIME_NATIVE)
        return "devices are for functions in Python and of native code";
    if (request->isolation != 0) return "the driver of a device is no place for code that is not trusted at all";
    return NULL;
}
