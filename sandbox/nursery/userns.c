// Without root: a user namespace in which the nursery has over itself what root has over the host, and over a range of
// uids where the host lends one (newuidmap, /etc/subuid). All of it runs at the start, while nothing of anybody else's
// does.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nursery.h"
#include "syscalls.h"

// What a block takes of a lent range: the uids of the slots and of the keeper. The server's own comes before them.
#define LENT_IDS (UID_BLOCK_SIZE - 1)
#define NEW_UID_MAP "/usr/bin/newuidmap"
#define NEW_GID_MAP "/usr/bin/newgidmap"
#define APPARMOR_SETTING "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"

struct range {
    unsigned long start;
    unsigned long count;
};

static bool write_text(const char *path, const char *text) {
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return false;
    bool is_written = write(file, text, strlen(text)) == (ssize_t)strlen(text);
    int error = errno;
    close(file);
    errno = error;
    return is_written;
}

// Where AppArmor may have refused what was just tried, the one line that the documentation explains.
static void die_of(const char *what) __attribute__((noreturn));
static void die_of(const char *what) {
    int error = errno;
    char setting = '0';
    int file = open(APPARMOR_SETTING, O_RDONLY | O_CLOEXEC);
    if (file >= 0 && read(file, &setting, 1) == 1 && setting == '1' && (error == EPERM || error == EACCES)) {
        fputs("ERROR userns blocked by AppArmor: see docs/rootless#apparmor\n", stderr);
        exit(1);
    }
    fprintf(stderr, "ERROR no user namespaces (%s: %s): see docs/rootless#user-namespaces\n", what, strerror(error));
    exit(1);
}

// A folder of this user's that nobody else can look into: what is mounted there, and the locks, are trusted.
static bool take_folder(const char *path) {
    struct stat about;
    if (mkdir(path, 0700) != 0 && errno != EEXIST) return false;
    return lstat(path, &about) == 0 && S_ISDIR(about.st_mode) && about.st_uid == getuid() && (about.st_mode & 077) == 0;
}

static void find_folder(char *folder, size_t size) {
    // Not the variable XDG_RUNTIME_DIR: every server of this user must look in the same place.
    snprintf(folder, size, "/run/user/%u/apus", getuid());
    if (take_folder(folder)) return;
    snprintf(folder, size, "/tmp/apus-%u", getuid());
    if (!take_folder(folder))
        die("%s must be a folder of user %u that nobody else can look into (mode 0700): remove it, or see who made it",
            folder, getuid());
    // Kept open and locked: what cleans /tmp by age leaves a locked folder alone.
    int lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (lock < 0 || flock(lock, LOCK_SH | LOCK_NB) != 0) die("cannot lock %s: %s", folder, strerror(errno));
}

// The lock lasts as long as this process: its descriptor is never closed and never inherited.
static uint32_t take_block(void) {
    char folder[64];
    find_folder(folder, sizeof folder);
    for (uint32_t block = 0; block < UID_BLOCKS_MAX; block++) {
        char path[96];
        snprintf(path, sizeof path, "%s/%u.lock", folder, block);
        int lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (lock < 0) die("cannot open %s: %s", path, strerror(errno));
        if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
            close(lock);
            continue;
        }
        snprintf(nursery.base, sizeof nursery.base, "%s/%u", folder, block);
        if (!take_folder(nursery.base)) die("cannot make %s: %s", nursery.base, strerror(errno));
        return block;
    }
    die("this user runs %u servers already", UID_BLOCKS_MAX);
}

// This user's range in /etc/subuid or /etc/subgid, narrowed to one block; false when there is none that long.
static bool find_range(const char *path, uint32_t block, struct range *range) {
    struct passwd *account = getpwuid(getuid());
    char number[16], line[512];
    snprintf(number, sizeof number, "%u", getuid());
    FILE *file = fopen(path, "re");
    bool is_found = false;
    while (file != NULL && !is_found && fgets(line, sizeof line, file) != NULL) {
        char *colon = strchr(line, ':');
        if (colon == NULL || sscanf(colon, ":%lu:%lu", &range->start, &range->count) != 2) continue;
        *colon = 0;
        bool is_ours = strcmp(line, number) == 0 || (account != NULL && strcmp(line, account->pw_name) == 0);
        is_found = is_ours && range->count / LENT_IDS > block;
    }
    if (file != NULL) fclose(file);
    range->start += (unsigned long)block * LENT_IDS;
    return is_found;
}

static bool run_helper(const char *path, pid_t process, unsigned own, const struct range *range) {
    char words[5][24];
    snprintf(words[0], sizeof words[0], "%d", process);
    snprintf(words[1], sizeof words[1], "%u", own);
    snprintf(words[2], sizeof words[2], "%lu", range->start);
    snprintf(words[3], sizeof words[3], "%u", LENT_IDS);
    char *const arguments[] = {(char *)path, words[0], "0", words[1], "1", "1", words[2], words[3], NULL};
    pid_t child = fork();
    if (child == 0) {
        char *const environment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
        execve(path, arguments, environment);
        _exit(127);
    }
    int status = 1;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    return child > 0 && status == 0;
}

// Who maps the uids of a namespace is outside of it: a child that waits until this process is inside.
static pid_t start_helper(const int go[2], const struct range *uids, const struct range *gids) {
    pid_t parent = getpid();
    uid_t user = getuid();
    gid_t group = getgid();
    pid_t child = fork();
    if (child != 0) return child;
    char word;
    close(go[1]);
    if (read(go[0], &word, 1) != 1) _exit(1);
    if (!run_helper(NEW_UID_MAP, parent, user, uids)) _exit(1);
    // The uids cannot be mapped again: from here on it is all or nothing.
    _exit(run_helper(NEW_GID_MAP, parent, group, gids) ? 0 : 2);
}

static void map_one(uid_t user, gid_t group) {
    char text[64];
    if (!write_text("/proc/self/setgroups", "deny")) die_of("setgroups");
    snprintf(text, sizeof text, "0 %u 1", user);
    if (!write_text("/proc/self/uid_map", text)) die_of("uid_map");
    snprintf(text, sizeof text, "0 %u 1", group);
    if (!write_text("/proc/self/gid_map", text)) die_of("gid_map");
}

static const char *why_no_range(bool has_range) {
    if (access(NEW_UID_MAP, X_OK) != 0 || access(NEW_GID_MAP, X_OK) != 0)
        return "newuidmap is missing: apt install uidmap";
    if (!has_range) return "no range of 2047 ids is left for this user in /etc/subuid and /etc/subgid";
    return NULL;
}

static void enter_user_namespace(uint32_t block) {
    struct range uids, gids;
    bool has_range = find_range("/etc/subuid", block, &uids) && find_range("/etc/subgid", block, &gids);
    const char *problem = why_no_range(has_range);
    uid_t user = getuid();
    gid_t group = getgid();
    int go[2];
    if (pipe2(go, O_CLOEXEC) != 0) die("no pipe: %s", strerror(errno));
    pid_t helper = problem == NULL ? start_helper(go, &uids, &gids) : -1;
    if (unshare(CLONE_NEWUSER) != 0) die_of("unshare");
    if (helper > 0) {
        int status = 1;
        if (write(go[1], "x", 1) != 1) die("no pipe: %s", strerror(errno));
        while (waitpid(helper, &status, 0) < 0 && errno == EINTR) continue;
        if (WIFEXITED(status) && WEXITSTATUS(status) == 2) die("newgidmap failed: check the range in /etc/subgid");
        if (status != 0) problem = "newuidmap failed: check the range in /etc/subuid";
    }
    close(go[0]);
    close(go[1]);
    nursery.has_own_users = problem == NULL;
    nursery.host_user = user;
    nursery.host_base = problem == NULL ? (uint32_t)uids.start - 1 : user;
    if (problem != NULL) {
        copy_text(nursery.shortfall, sizeof nursery.shortfall, problem);
        map_one(user, group);
    } else if (setgroups(0, NULL) != 0) {
        die("cannot leave the groups of user %u: %s", user, strerror(errno));
    }
}

void take_user_namespace(void) {
    if (geteuid() == 0) die("--rootless is for an ordinary user: as root leave it out");
    uint32_t block = take_block();
    enter_user_namespace(block);
    // Inside, the server is 0 and the slots follow it; alone with one uid, everything is 0.
    nursery.uid_base = 0;
    nursery.server_uid = nursery.server_gid = 0;
    nursery.keeper = nursery.has_own_users ? UID_KEEPER : 0;
    snprintf(nursery.group_name, sizeof nursery.group_name, "apus-%u-%u", nursery.host_user, block);
}

// The nursery stays in the host's network, which only root may enter again: the fetch process needs it. The empty
// namespace of everything else is made by a child, and held by its descriptor.
void make_empty_network(void) {
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) != 0) die("no pipe: %s", strerror(errno));
    pid_t child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWNET) == 0 && write(ready[1], "x", 1) == 1) pause();
        _exit(errno);
    }
    close(ready[1]);
    char word, path[64];
    bool is_made = child > 0 && read(ready[0], &word, 1) == 1;
    snprintf(path, sizeof path, "/proc/%d/ns/net", child);
    nursery.empty_network = is_made ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    int error = errno, status = 0;
    if (child > 0) kill(child, SIGKILL);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    close(ready[0]);
    errno = is_made ? error : WEXITSTATUS(status);
    if (nursery.empty_network < 0) die_of("network namespace");
}

// A mount is cloned in the namespace that it is in, so that the data directory is looked up again in ours.
int take_data_along(void) {
    char link[64], path[PATH_BYTES];
    snprintf(link, sizeof link, "/proc/self/fd/%d", nursery.data);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) die("cannot find the data directory: %s", strerror(errno));
    path[length] = 0;
    if (unshare(CLONE_NEWNS) != 0) die_of("mount namespace");
    int again = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat before, now;
    if (again < 0 || fstat(nursery.data, &before) != 0 || fstat(again, &now) != 0)
        die("cannot open the data directory %s: %s", path, strerror(errno));
    if (before.st_dev != now.st_dev || before.st_ino != now.st_ino) die("the data directory %s was replaced", path);
    int data = clone_tree(again, "", AT_EMPTY_PATH | TREE_RECURSIVE);
    if (data < 0) die_of("mounts");
    close(again);
    return data;
}

// /proc of a sandbox, tried as a sandbox would: in a namespace of processes of its own, whose first process mounts it.
// A container may have covered parts of its own /proc; the kernel then allows no other.
bool can_mount_proc(const char *options) {
    pid_t child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWNS | CLONE_NEWPID) != 0) _exit(1);
        pid_t first = fork();
        if (first == 0) {
            bool is_mounted =
                (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 ||
                 mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) == 0) &&
                mount("proc", nursery.base, "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, options) == 0;
            _exit(is_mounted ? 0 : 1);
        }
        int status = 1;
        while (first > 0 && waitpid(first, &status, 0) < 0 && errno == EINTR) continue;
        _exit(first > 0 && status == 0 ? 0 : 1);
    }
    int status = 1;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
    return child > 0 && status == 0;
}
