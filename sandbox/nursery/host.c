// What this host can enforce, and whose uids are ours.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nursery.h"
#include "syscalls.h"

#define RUN_FOLDER "/run/apus"

// A block is free when no account and no subordinate range of this host reaches into it.
static bool is_used_by_host(uint32_t base) {
    bool is_used = false;
    setpwent();
    for (struct passwd *entry; !is_used && (entry = getpwent()) != NULL;)
        is_used = entry->pw_uid >= base && entry->pw_uid < base + UID_BLOCK_SIZE;
    endpwent();
    FILE *file = fopen("/etc/subuid", "re");
    if (file == NULL) return is_used;
    char line[512];
    while (!is_used && fgets(line, sizeof line, file) != NULL) {
        unsigned long long start = 0, count = 0;
        char *colon = strchr(line, ':');
        if (colon == NULL || sscanf(colon, ":%llu:%llu", &start, &count) != 2) continue;
        is_used = start < (unsigned long long)base + UID_BLOCK_SIZE && start + count > base;
    }
    fclose(file);
    return is_used;
}

// A folder of root that nobody else can change: what is mounted there, and the locks, are trusted.
static void check_folder(const char *path) {
    struct stat about;
    if (lstat(path, &about) != 0 || !S_ISDIR(about.st_mode) || about.st_uid != 0 || (about.st_mode & 022) != 0)
        die("%s must be a folder of root that nobody else can write", path);
}

// The lock lasts as long as this process: its descriptor is never closed and never inherited.
void take_uid_block(uint32_t first_base) {
    if (mkdir(RUN_FOLDER, 0755) != 0 && errno != EEXIST) die("cannot make %s: %s", RUN_FOLDER, strerror(errno));
    check_folder(RUN_FOLDER);
    for (uint32_t block = 0; block < UID_BLOCKS_MAX; block++) {
        uint32_t base = first_base + block * UID_BLOCK_SIZE;
        if (is_used_by_host(base)) continue;
        char path[64];
        snprintf(path, sizeof path, RUN_FOLDER "/%u.lock", base);
        int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (lock < 0) die("cannot open %s: %s", path, strerror(errno));
        if (flock(lock, LOCK_EX | LOCK_NB) == 0) {
            nursery.uid_base = base;
            snprintf(nursery.base, sizeof nursery.base, RUN_FOLDER "/%u", base);
            if (mkdir(nursery.base, 0700) != 0 && errno != EEXIST)
                die("cannot make %s: %s", nursery.base, strerror(errno));
            check_folder(nursery.base);
            struct passwd *account = getpwnam("apus");
            nursery.server_uid = account != NULL ? account->pw_uid : base;
            nursery.server_gid = account != NULL ? account->pw_gid : base;
            return;
        }
        close(lock);
    }
    die("all %u blocks of uids from %u on are in use", UID_BLOCKS_MAX, first_base);
}

static void miss(enum nursery_layer layer, bool is_missing) {
    if (is_missing) nursery.missing |= 1ull << layer;
}

static uint64_t number_in(const char *path) {
    char text[32] = "";
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    return length > 0 ? strtoull(text, NULL, 10) : 0;
}

// In a process of its own, since a keyring and a mount would stay.
static bool works_in_child(bool (*attempt)(void)) {
    pid_t child = fork();
    if (child == 0) _exit(attempt() ? 0 : 1);
    int status = 1;
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool try_keyring(void) { return syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL, 0, 0, 0) >= 0; }

static bool try_proc_subset(void) {
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("proc", nursery.base, "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "subset=pid,hidepid=2") ==
               0;
}

static bool try_page_zero(void) {
    return mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
}

static bool has_memory_file(const char *name) {
    return nursery.versions[CONTROLLER_MEMORY] == CGROUP_V1 &&
           faccessat(nursery.cgroup_root[CONTROLLER_MEMORY], name, F_OK, 0) == 0;
}

// On v2 the file may be missing too: a kernel without swap accounting.
static bool bounds_swap(void) {
    if (nursery.versions[CONTROLLER_MEMORY] == CGROUP_V2)
        return faccessat(nursery.unified_root, "memory.swap.max", F_OK, 0) == 0;
    return nursery.has_memsw;
}

static bool has_swap(void) {
    FILE *file = fopen("/proc/swaps", "re");
    if (file == NULL) return true;
    char line[256];
    int lines = 0;
    while (lines < 2 && fgets(line, sizeof line, file) != NULL) lines++;
    fclose(file);
    return lines > 1;
}

void probe_host(void) {
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* LANDLOCK_CREATE_RULESET_VERSION */);
    nursery.landlock_abi = abi > 0 ? (int)abi : 0;
    miss(NURSERY_LAYER_LANDLOCK_FILES, nursery.landlock_abi < 1);
    miss(NURSERY_LAYER_LANDLOCK_NETWORK, nursery.landlock_abi < 4);
    miss(NURSERY_LAYER_LANDLOCK_SCOPES, nursery.landlock_abi < 6);
    miss(NURSERY_LAYER_MEMORY, nursery.versions[CONTROLLER_MEMORY] == CGROUP_ABSENT);
    miss(NURSERY_LAYER_PROCESSES, nursery.versions[CONTROLLER_PIDS] == CGROUP_ABSENT);
    miss(NURSERY_LAYER_CPU, nursery.versions[CONTROLLER_CPU] == CGROUP_ABSENT);
    miss(NURSERY_LAYER_CGROUP_KILL, nursery.unified_root < 0);
    nursery.has_memsw = has_memory_file("memory.memsw.limit_in_bytes");
    // Without swap there is nothing to bound.
    miss(NURSERY_LAYER_SWAP, !bounds_swap() && has_swap());
    nursery.has_keyring = works_in_child(try_keyring);
    miss(NURSERY_LAYER_KEYRING, !nursery.has_keyring);
    nursery.has_proc_subset = works_in_child(try_proc_subset);
    miss(NURSERY_LAYER_PROC_SUBSET, !nursery.has_proc_subset);
    // Execution is held to one program by the page at zero, which only a privileged process may map.
    miss(NURSERY_LAYER_EXEC_ONCE, number_in("/proc/sys/vm/mmap_min_addr") < 4096);
    miss(NURSERY_LAYER_FETCH_BOUND, true);
    if (!works_in_child(try_page_zero))
        die("cannot map the page at zero, which the capability SYS_RAWIO allows: run as root with all capabilities");
}

void report(struct nursery_event *event) {
    event->server_uid = nursery.server_uid;
    event->server_gid = nursery.server_gid;
    event->uid_base = nursery.uid_base;
    event->slots = nursery.slot_count;
    event->landlock_abi = (uint32_t)nursery.landlock_abi;
    event->cgroup_versions = nursery.cgroup_versions;
    event->missing = nursery.missing;
    event->gpus = nursery.gpus;
}
