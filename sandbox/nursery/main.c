// nursery --channels N --runtimes DIR --profiles DIR [--slots N] [--uid-base N] [--rootless 1] [--gpu-root DIR]
//
// Inherits N SEQPACKET sockets as descriptors 3 and up, then the data directory. Started by the server as root, or with
// --rootless as whoever it runs as, before the server has any thread; what it says goes to standard error only when it
// cannot start.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "nursery.h"
#include "syscalls.h"

#define INHERITED_FIRST 3
// Below this number nothing of ours is ever opened: a worker's descriptors 0 to 5 can be put in place without a clash.
#define DESCRIPTORS_RESERVED 16
#define EVENTS_PER_TURN 64

struct nursery nursery;

void die(const char *what, ...) {
    va_list arguments;
    va_start(arguments, what);
    fputs("nursery: ", stderr);
    vfprintf(stderr, what, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static unsigned long option_number(const char *name, const char *value, unsigned long low, unsigned long high) {
    char *end = NULL;
    errno = 0;
    unsigned long number = strtoul(value, &end, 10);
    if (errno != 0 || end == value || *end != 0 || number < low || number > high)
        die("%s must be a number from %lu to %lu", name, low, high);
    return number;
}

static uint32_t read_options(int count, char **values) {
    uint32_t base = UID_BLOCK_BASE;
    nursery.slot_count = SLOTS_DEFAULT;
    for (int index = 1; index + 1 < count; index += 2) {
        const char *name = values[index], *value = values[index + 1];
        if (strcmp(name, "--channels") == 0) {
            nursery.channel_count = (int)option_number(name, value, 1, CHANNELS_MAX);
        } else if (strcmp(name, "--slots") == 0) {
            nursery.slot_count = (uint32_t)option_number(name, value, 1, SLOTS_MAX);
        } else if (strcmp(name, "--uid-base") == 0) {
            base = (uint32_t)option_number(name, value, 65536, 4000000000ul);
        } else if (strcmp(name, "--rootless") == 0) {
            nursery.is_rootless = option_number(name, value, 0, 1) == 1;
        } else if (strcmp(name, "--runtimes") == 0) {
            copy_text(nursery.runtimes, sizeof nursery.runtimes, value);
        } else if (strcmp(name, "--profiles") == 0) {
            copy_text(nursery.profiles, sizeof nursery.profiles, value);
        } else if (strcmp(name, "--gpu-root") == 0) {
            copy_text(nursery.gpu_root, sizeof nursery.gpu_root, value);
        } else {
            die("unknown option %s", name);
        }
    }
    if (nursery.channel_count == 0 || nursery.runtimes[0] == 0 || nursery.profiles[0] == 0)
        die("--channels, --runtimes and --profiles are needed");
    return base;
}

static int move_up(int descriptor) {
    int moved = fcntl(descriptor, F_DUPFD_CLOEXEC, DESCRIPTORS_RESERVED);
    if (moved < 0) die("descriptor %d was not inherited: %s", descriptor, strerror(errno));
    return moved;
}

static void arrange_descriptors(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) die("no descriptor limit: %s", strerror(errno));
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur <= CONFINE_PROGRAM_DESCRIPTOR + 1)
        die("at least %d descriptors are needed: raise the hard limit", CONFINE_PROGRAM_DESCRIPTOR + 2);
    for (int index = 0; index < nursery.channel_count; index++) {
        struct channel *channel = &nursery.channels[index];
        channel->descriptor = move_up(INHERITED_FIRST + index);
        channel->is_open = true;
        fcntl(channel->descriptor, F_SETFL, O_NONBLOCK);
    }
    nursery.data = move_up(INHERITED_FIRST + nursery.channel_count);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0) die("cannot open /dev/null: %s", strerror(errno));
    nursery.null = move_up(null);
    close(null);
    for (int index = 0; index < DESCRIPTORS_RESERVED; index++) {
        if (index == STDERR_FILENO) continue;
        if (dup3(nursery.null, index, O_CLOEXEC) != index)
            die("cannot reserve descriptor %d: %s", index, strerror(errno));
    }
}

static void make_slots(void) {
    size_t bytes = sizeof(struct confine_status) * (nursery.slot_count + ZYGOTES_MAX + 1);
    nursery.status_memory = memfd_create("status", MFD_CLOEXEC);
    if (nursery.status_memory < 0 || ftruncate(nursery.status_memory, (off_t)bytes) != 0)
        die("no memory file for %u slots", nursery.slot_count);
    struct confine_status *status = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, nursery.status_memory, 0);
    nursery.statuses = status;
    nursery.job.result =
        mmap(NULL, sizeof(struct nursery_event), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (status == MAP_FAILED || nursery.job.result == MAP_FAILED) die("no memory for %u slots", nursery.slot_count);
    nursery.job.process = -1;
    for (uint32_t index = 0; index < nursery.slot_count; index++) {
        struct slot *slot = &nursery.slots[index];
        slot->index = (int)index;
        slot->process = slot->unified = -1;
        for (int controller = 0; controller < CONTROLLER_COUNT; controller++)
            slot->directory[controller] = slot->tasks[controller] = -1;
        slot->status = &status[index];
    }
}

// Returns the data directory as a mount that is attached nowhere.
static int separate_as_root(void) {
    nursery.host_network = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (nursery.host_network < 0) die("no network namespace: %s", strerror(errno));
    // The nursery itself lives in the empty network namespace, and every sandbox is born in it. Its loopback stays
    // down. A mount can only be cloned in the namespace it is in: the data directory comes along as a mount of our own.
    int data = clone_tree(nursery.data, "", AT_EMPTY_PATH | TREE_RECURSIVE);
    if (data < 0) die("cannot take the data directory along: %s", strerror(errno));
    // A clone of a shared mount is shared with it: each sandbox leaves its old root, and what is mounted below the data
    // directory would be unmounted from the host with it.
    if (make_private(data) != 0) die("cannot take the data directory apart from the host's: %s", strerror(errno));
    if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) die("cannot make namespaces: %s; run as root", strerror(errno));
    nursery.own_network = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (nursery.own_network < 0) die("no network namespace: %s", strerror(errno));
    return data;
}

static void separate_from_host(void) {
    int data = nursery.is_rootless ? take_data_along() : separate_as_root();
    make_templates();
    char path[PATH_BYTES + 8];
    snprintf(path, sizeof path, "%s/data", nursery.base);
    if (mkdir(path, 0700) != 0 && errno != EEXIST) die("cannot make %s: %s", path, strerror(errno));
    if (attach_tree(data, path) != 0) die("cannot attach the data directory: %s", strerror(errno));
    close(data);
    close(nursery.data);
    nursery.data = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (nursery.data < 0) die("cannot open the data directory: %s", strerror(errno));
}

static void start(int count, char **values) {
    uint32_t base = read_options(count, values);
    if (geteuid() != 0 && !nursery.is_rootless) die("must be started as root");
    arrange_descriptors();
    nursery.empty_network = -1;
    // Its memory holds the environment of what it launches. Without root it is within reach of no sandbox all the same,
    // and needs the files in /proc of its own children, which an undumpable process does not own.
    if (!nursery.is_rootless) prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    signal(SIGPIPE, SIG_IGN);
    // Ignored by whoever started us, it would reap every sandbox before its end is looked at.
    signal(SIGCHLD, SIG_DFL);
    // The server's terminal ends the server; the nursery then sees its channel close.
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    setsid();
    umask(077);
    if (chdir("/") != 0) die("cannot enter /: %s", strerror(errno));
    if (nursery.is_rootless) {
        take_user_namespace();
        make_empty_network();
    } else {
        take_uid_block(base);
    }
    find_cgroups();
    probe_host();
    separate_from_host();
    if (!nursery.has_template[RUNTIME_EGRESS]) nursery.missing |= 1ull << NURSERY_LAYER_EGRESS;
    make_audit_memory();
    load_profile(RUNTIME_PYTHON, "python.profile");
    load_profile(RUNTIME_NATIVE, "native.profile");
    load_profile(RUNTIME_FETCH, "fetch.profile");
    load_profile(RUNTIME_BUILD, "build.profile");
    load_profile(RUNTIME_EXEC, "exec.profile");
    load_profile(RUNTIME_NODE, "node.profile");
    load_profile(RUNTIME_GPU, "gpu.profile");
    load_profile(RUNTIME_EGRESS, "egress.profile");
    load_profile(RUNTIME_ZYGOTE, "zygote.profile");
    load_profile(TEMPLATE_COUNT + RUNTIME_PYTHON, "python-proxy.profile");
    load_profile(TEMPLATE_COUNT + RUNTIME_NATIVE, "native-proxy.profile");
    load_profile(TEMPLATE_COUNT + RUNTIME_EXEC, "exec-proxy.profile");
    load_profile(TEMPLATE_COUNT + RUNTIME_NODE, "node-proxy.profile");
    load_profile(RUNTIME_FORKS, "forks.profile");
    load_clone_profile();
    load_hostile_profile();
    load_call_profile();
    load_auditor_profile();
    make_slots();
    make_zygote_memory();
    nursery.self = open_process(getpid());
    nursery.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (nursery.self < 0 || nursery.epoll < 0) die("this kernel is too old: 5.12 or newer is needed");
}

static bool is_any_channel_open(void) {
    for (int index = 0; index < nursery.channel_count; index++) {
        if (nursery.channels[index].is_open) return true;
    }
    return false;
}

static void turn(int timeout) {
    struct epoll_event events[EVENTS_PER_TURN];
    int count = epoll_wait(nursery.epoll, events, EVENTS_PER_TURN, timeout);
    for (int index = 0; index < count; index++) {
        uint64_t what = events[index].data.u64;
        if (what >= SLOT_EVENT_BASE) {
            reap(&nursery.slots[what - SLOT_EVENT_BASE]);
        } else if (what >= ZYGOTE_EVENT_BASE && what < ZYGOTE_EVENT_BASE + 2 * ZYGOTES_MAX) {
            zygote_event((unsigned)(what - ZYGOTE_EVENT_BASE));
        } else if (what == JOB_EVENT) {
            finish_layer_job();
        } else if (what == AUDITOR_EVENT) {
            auditor_event();
        } else if (nursery.channels[what].is_open) {
            flush_channel((int)what);
            read_channel((int)what);
            watch_channel((int)what);
        }
    }
}

static int64_t milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int main(int count, char **values) {
    start(count, values);
    start_first_auditor();
    struct nursery_event ready = {.magic = NURSERY_MAGIC, .kind = NURSERY_REPORT};
    report(&ready);
    for (int index = 0; index < nursery.channel_count; index++) {
        // Sent and closed here.
        int memory = fcntl(nursery.auditor.memory, F_DUPFD_CLOEXEC, DESCRIPTORS_RESERVED);
        answer(index, &ready, &memory, memory >= 0 ? 1 : 0);
        watch_channel(index);
    }
    prepare_zygote();
    while (is_any_channel_open()) turn(check_emptying() ? 1 : -1);
    // The server is gone: kill_channel has ended everything; wait for it, so that the cgroups can go too.
    kill_layer_job();
    end_zygotes();
    end_auditor();
    int64_t deadline = milliseconds() + SHUTDOWN_MILLISECONDS;
    while ((!all_slots_free() || nursery.job.process >= 0) && milliseconds() < deadline) {
        check_emptying();
        turn(1);
    }
    remove_cgroups();
    return 0;
}
