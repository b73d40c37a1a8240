// Dependency layers: making the folder a build writes to, sealing what it made, throwing it away. Sealing walks many
// files, so it runs in a process of its own, one at a time, while the nursery goes on serving.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nursery.h"
#include "syscalls.h"

#define LAYER_DEPTH_MAX 64
#define DISCARD_ENTRIES_MAX (4u << 20)
// Where the job holds the data directory and the nursery's pidfd.
#define JOB_DATA 3
#define JOB_PARENT 4

_Static_assert(SLOTS_MAX < UID_KEEPER, "a slot has the keeper's uid");

struct walk {
    uint64_t bytes_left;
    uint64_t entries_left;
    const char *problem;
    char path[128];
    // DISCARD: the folder that is emptied, and whether something was moved up into it.
    int top;
    bool has_moved;
};

// Ours are the server and the slots of this block. What anybody else owns is never touched: the server chooses the
// names here, and must not be able to have a foreign file given to it.
static bool is_ours(const struct stat *about) {
    return about->st_uid == nursery.server_uid ||
           (about->st_uid >= nursery.uid_base && about->st_uid < nursery.uid_base + UID_BLOCK_SIZE);
}

int open_partial_layer(const char *layer) {
    char path[128];
    snprintf(path, sizeof path, "layers/%.64s.partial", layer);
    int directory = open_beneath(nursery.data, path, O_RDONLY | O_DIRECTORY);
    if (directory < 0) return -1;
    struct stat about;
    if (fstat(directory, &about) == 0 && is_ours(&about)) return directory;
    close(directory);
    errno = EPERM;
    return -1;
}

static bool stop(struct walk *walk, const char *problem, const char *name) {
    walk->problem = problem;
    copy_text(walk->path, sizeof walk->path, name);
    return false;
}

static bool seal_directory(int directory, int depth, struct walk *walk);

// Gives one entry to the server without write and setuid bits. The descriptor is looked at, never the name again.
static bool seal_entry(int parent, const char *name, int depth, struct walk *walk) {
    if (walk->entries_left-- == 0) return stop(walk, "the layer has too many files", name);
    int place = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat about;
    if (place < 0 || fstat(place, &about) != 0) return stop(walk, "cannot be looked at", name);
    bool is_good = false;
    if (!is_ours(&about)) {
        stop(walk, "belongs to another user", name);
    } else if (S_ISLNK(about.st_mode)) {
        is_good = fchownat(place, "", nursery.server_uid, nursery.server_gid, AT_EMPTY_PATH) == 0 ||
                  stop(walk, "cannot be given to the server", name);
    } else if (!S_ISREG(about.st_mode) && !S_ISDIR(about.st_mode)) {
        stop(walk, "is neither a file nor a folder nor a link", name);
    } else if (S_ISREG(about.st_mode) && (uint64_t)about.st_size > walk->bytes_left) {
        stop(walk, "the layer is too large", name);
    } else {
        // A regular file or folder of our own users: opening it has no effect, and it is the same one that was looked
        // at.
        char path[64];
        snprintf(path, sizeof path, "/proc/self/fd/%d", place);
        int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | (S_ISDIR(about.st_mode) ? O_DIRECTORY : 0));
        mode_t mode = S_ISDIR(about.st_mode) || (about.st_mode & 0111) != 0 ? 0555 : 0444;
        if (file < 0) {
            stop(walk, "cannot be opened", name);
        } else if (S_ISDIR(about.st_mode)) {
            is_good = seal_directory(file, depth + 1, walk);
        } else {
            walk->bytes_left -= (uint64_t)about.st_size;
            is_good = true;
        }
        if (is_good && (fchown(file, nursery.server_uid, nursery.server_gid) != 0 || fchmod(file, mode) != 0)) {
            is_good = stop(walk, "cannot be given to the server", name);
        }
        if (file >= 0) close(file);
    }
    close(place);
    return is_good;
}

static bool seal_directory(int directory, int depth, struct walk *walk) {
    if (depth > LAYER_DEPTH_MAX) return stop(walk, "the layer's folders are too deep", ".");
    DIR *entries = fdopendir(dup(directory));
    if (entries == NULL) return stop(walk, "cannot be listed", ".");
    bool is_good = true;
    for (struct dirent *entry; is_good && (entry = readdir(entries)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        is_good = seal_entry(directory, entry->d_name, depth, walk);
    }
    closedir(entries);
    return is_good;
}

// A folder below the deepest that is walked goes to the top, to be emptied in the next round. Its new name cannot be
// foreseen, so that whoever filled these folders cannot have taken it.
static bool move_up(int directory, const char *name, struct walk *walk) {
    uint64_t number = 0;
    char fresh[32];
    if (getrandom(&number, sizeof number, 0) != sizeof number) return stop(walk, "cannot be renamed", name);
    snprintf(fresh, sizeof fresh, "deep-%016llx", (unsigned long long)number);
    walk->has_moved = true;
    return renameat(directory, name, walk->top, fresh) == 0 || stop(walk, "cannot be moved up", name);
}

// Removes everything below. Names are resolved one step at a time and never through links or other mounts, and only
// folders of ours are entered: the server can move a folder of somebody else here, and must not have it emptied.
static bool empty_directory(int directory, int depth, struct walk *walk) {
    DIR *entries = fdopendir(dup(directory));
    if (entries == NULL) return stop(walk, "cannot be listed", ".");
    // The copied descriptor shares its place with the one of the round before.
    rewinddir(entries);
    bool is_good = true;
    for (struct dirent *entry; is_good && (entry = readdir(entries)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (walk->entries_left-- == 0) {
            is_good = stop(walk, "too many files to remove", entry->d_name);
            break;
        }
        if (unlinkat(directory, entry->d_name, 0) == 0 || errno == ENOENT) continue;
        if (unlinkat(directory, entry->d_name, AT_REMOVEDIR) == 0) continue;
        int child = open_child(directory, entry->d_name);
        struct stat about;
        if (child < 0 || fstat(child, &about) != 0) {
            is_good = stop(walk, "cannot be removed", entry->d_name);
        } else if (!is_ours(&about)) {
            is_good = stop(walk, "belongs to another user", entry->d_name);
        } else if (depth == LAYER_DEPTH_MAX) {
            is_good = move_up(directory, entry->d_name, walk);
        } else {
            is_good = empty_directory(child, depth + 1, walk) &&
                      (unlinkat(directory, entry->d_name, AT_REMOVEDIR) == 0 ||
                       stop(walk, "cannot be removed", entry->d_name));
        }
        if (child >= 0) close(child);
    }
    closedir(entries);
    return is_good;
}

// The job never outlives the nursery, since a later one may work on the same layer.
static void end_with_nursery(void) {
    struct pollfd parent = {.fd = JOB_PARENT, .events = POLLIN};
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || poll(&parent, 1, 0) != 0) _exit(1);
}

// Makes a folder as the server itself. Made by root and given away by name, it could be swapped in between for
// something that the server does not own.
static bool make_as_server(int parent, const char *name) {
    setfsgid(nursery.server_gid);
    setfsuid(nursery.server_uid);
    bool is_server = setfsuid((uid_t)-1) == (int)nursery.server_uid && setfsgid((gid_t)-1) == (int)nursery.server_gid;
    int result = is_server ? mkdirat(parent, name, 0755) : -1;
    int error = is_server ? errno : EPERM;
    setfsuid(0);
    setfsgid(0);
    // The change of user cleared it.
    end_with_nursery();
    errno = error;
    return result == 0;
}

static int open_layers(void) {
    if (!make_as_server(nursery.data, "layers") && errno != EEXIST) return -1;
    return open_beneath(nursery.data, "layers", O_RDONLY | O_DIRECTORY);
}

static bool discard(int layers, const char *layer, struct walk *walk) {
    char name[96];
    snprintf(name, sizeof name, "%.64s.partial", layer);
    int directory = open_partial_layer(layer);
    if (directory < 0) return errno == ENOENT || stop(walk, "cannot be opened", name);
    walk->entries_left = DISCARD_ENTRIES_MAX;
    walk->top = directory;
    bool is_good;
    do {
        walk->has_moved = false;
        is_good = empty_directory(directory, 0, walk);
    } while (is_good && walk->has_moved);
    close(directory);
    if (!is_good) return false;
    return unlinkat(layers, name, AT_REMOVEDIR) == 0 || errno == ENOENT || stop(walk, "cannot be removed", name);
}

static bool prepare(int layers, const char *layer, struct walk *walk) {
    if (!discard(layers, layer, walk)) return false;
    char name[96];
    snprintf(name, sizeof name, "%.64s.partial", layer);
    // The server's until a launch needs it; its wheels are read by another uid than wrote them.
    return make_as_server(layers, name) || stop(walk, "cannot be made", name);
}

static bool seal(int layers, const struct nursery_request *request, struct walk *walk) {
    int partial = open_partial_layer(request->layer);
    if (partial < 0) return stop(walk, "was not prepared", "partial layer");
    // The keeper's while it is sealed, so that neither the server nor a slot can change what was checked. Not root's: a
    // seal that is cut off leaves it so, and the next attempt must be able to tell it from a foreign folder.
    bool is_good = fchown(partial, nursery.keeper, nursery.keeper) == 0 && fchmod(partial, 0700) == 0;
    if (!is_good) stop(walk, "cannot be taken over", "partial layer");
    if (is_good && faccessat(partial, "site", F_OK, AT_SYMLINK_NOFOLLOW) != 0) {
        // Nothing to install is a layer too: an empty one.
        is_good = mkdirat(partial, "site", 0755) == 0 &&
                  fchownat(partial, "site", nursery.server_uid, nursery.server_gid, AT_SYMLINK_NOFOLLOW) == 0;
        if (!is_good) stop(walk, "cannot be made", "site");
    }
    walk->bytes_left = request->layer_bytes_max;
    walk->entries_left = request->layer_entries_max;
    is_good = is_good && seal_entry(partial, "site", 0, walk);
    struct stat about;
    if (is_good && (fstatat(partial, "site", &about, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(about.st_mode)))
        is_good = stop(walk, "is no folder", "site");
    if (is_good) {
        syncfs(partial);
        char name[80];
        snprintf(name, sizeof name, "%.64s", request->layer);
        // A layer is named by its content: one that is there already is the same.
        if (renameat2(partial, "site", layers, name, RENAME_NOREPLACE) != 0 && errno != EEXIST)
            is_good = stop(walk, "cannot be named", "site");
        if (is_good && fsync(layers) != 0) is_good = stop(walk, "cannot be synced", "layers");
    }
    if (fchown(partial, nursery.server_uid, nursery.server_gid) != 0 && is_good)
        is_good = stop(walk, "cannot be given back", "partial layer");
    close(partial);
    return is_good && discard(layers, request->layer, walk);
}

static void run_job(const struct nursery_request *request, struct nursery_event *result) {
    struct walk walk = {.top = -1};
    umask(022);
    int layers = open_layers();
    bool is_good = layers >= 0 || stop(&walk, "cannot be opened", "layers");
    if (is_good && request->operation == NURSERY_PREPARE) is_good = prepare(layers, request->layer, &walk);
    if (is_good && request->operation == NURSERY_SEAL) is_good = seal(layers, request, &walk);
    if (is_good && request->operation == NURSERY_DISCARD) is_good = discard(layers, request->layer, &walk);
    result->error = is_good ? 0 : errno;
    if (!is_good) snprintf(result->message, sizeof result->message, "'%s' %s", walk.path, walk.problem);
    result->kind = is_good ? NURSERY_DONE : NURSERY_FAILED;
}

// The job keeps nothing of the nursery but the data directory: a channel or a pipe that it held open would not be seen
// to end.
static void become_job(void) {
    if (dup2(nursery.data, JOB_DATA) != JOB_DATA || dup2(nursery.self, JOB_PARENT) != JOB_PARENT) _exit(1);
    nursery.data = JOB_DATA;
    if (close_descriptors(JOB_PARENT + 1, ~0U, 0) != 0) _exit(1);
    end_with_nursery();
}

void start_layer_job(int channel, const struct nursery_request *request) {
    static const char *const names[] = {
        [NURSERY_PREPARE] = "prepare", [NURSERY_SEAL] = "seal", [NURSERY_DISCARD] = "discard"};
    const char *name = names[request->operation];
    if (!is_hash(request->layer))
        return refuse(channel, request->ticket, NURSERY_INVALID, 0, name, "the layer is no content hash");
    if (nursery.job.process >= 0 || (nursery.job.is_reporting && nursery.channels[nursery.job.channel].is_open))
        return refuse(channel, request->ticket, NURSERY_NO_SLOT, 0, name, "another layer is being worked on");
    int process = -1;
    struct clone_arguments clone = {
        .flags = CLONE_FLAG_PIDFD, .pidfd = (uint64_t)(uintptr_t)&process, .exit_signal = SIGCHLD};
    nursery.job.is_reporting = false;
    memset(nursery.job.result, 0, sizeof *nursery.job.result);
    long result = syscall(SYS_clone3, &clone, sizeof clone);
    if (result == 0) {
        become_job();
        run_job(request, nursery.job.result);
        _exit(0);
    }
    if (result < 0) return refuse(channel, request->ticket, 0, errno, name, "no process for it");
    nursery.job.process = process;
    nursery.job.channel = channel;
    nursery.job.ticket = request->ticket;
    nursery.job.name = name;
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = JOB_EVENT};
    epoll_ctl(nursery.epoll, EPOLL_CTL_ADD, process, &event);
}

void finish_layer_job(void) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    if (waitid((idtype_t)3 /* P_PIDFD */, (id_t)nursery.job.process, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
        return;
    close(nursery.job.process);
    nursery.job.process = -1;
    struct nursery_event *event = nursery.job.result;
    event->magic = NURSERY_MAGIC;
    event->ticket = nursery.job.ticket;
    copy_text(event->stage, sizeof event->stage, nursery.job.name);
    if (event->kind == 0) {
        event->kind = NURSERY_FAILED;
        copy_text(event->message, sizeof event->message, "the process that did it was ended");
    }
    event->message[sizeof event->message - 1] = 0;
    nursery.job.is_reporting = true;
    report_layer_job(nursery.job.channel);
}

// A channel holds one answer that its socket did not take; the end of a job comes whenever it comes and must not
// replace it.
void report_layer_job(int channel) {
    if (!nursery.job.is_reporting || nursery.job.channel != channel || !nursery.channels[channel].is_open) return;
    if (!nursery.channels[channel].has_pending && send_event(channel, nursery.job.result, NULL, 0)) {
        nursery.job.is_reporting = false;
        return;
    }
    nursery.channels[channel].has_unsent_exits = true;
    watch_channel(channel);
}

void kill_layer_job(void) {
    if (nursery.job.process >= 0) signal_process(nursery.job.process, SIGKILL);
}
