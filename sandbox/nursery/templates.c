// One read-only root per kind of launch, made at the start: a launch only adds what is its own. They lie in the
// nursery's mount namespace and end with it.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nursery.h"
#include "syscalls.h"

#define COPY_BYTES_MAX (4 << 20)

void make_folder(const char *root, const char *name) {
    char path[PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", root, name);
    if (mkdir(path, 0755) != 0 && errno != EEXIST) die("cannot make %s: %s", path, strerror(errno));
}

// `/usr/lib/x` beneath the root, each folder of it; `path` is absolute.
void make_folders_above(const char *root, const char *path) {
    char folder[PATH_BYTES];
    for (const char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path - 1), path + 1);
        make_folder(root, folder);
    }
}

void write_file(const char *root, const char *name, const char *text) {
    char path[PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", root, name);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (file < 0 || write(file, text, strlen(text)) != (ssize_t)strlen(text))
        die("cannot write %s: %s", path, strerror(errno));
    close(file);
}

// Copies what exists; a host without the file has a sandbox without it.
void copy_file(const char *root, const char *source, const char *name) {
    int from = open(source, O_RDONLY | O_CLOEXEC);
    if (from < 0) return;
    char path[PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", root, name);
    int to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (to < 0) die("cannot write %s: %s", path, strerror(errno));
    char buffer[16384];
    size_t total = 0;
    ssize_t length;
    while ((length = read(from, buffer, sizeof buffer)) > 0 && total < COPY_BYTES_MAX) {
        if (write(to, buffer, (size_t)length) != length) die("cannot write %s: %s", path, strerror(errno));
        total += (size_t)length;
    }
    close(from);
    close(to);
}

void bind_read_only(const char *root, const char *source, const char *name) {
    char path[PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", root, name);
    int tree = clone_tree(AT_FDCWD, source, TREE_RECURSIVE);
    if (tree < 0) die("cannot open %s: %s", source, strerror(errno));
    if (set_mount_attributes(tree, "", AT_EMPTY_PATH | TREE_RECURSIVE, MOUNT_RDONLY | MOUNT_NOSUID | MOUNT_NODEV) !=
            0 ||
        attach_tree(tree, path) != 0) {
        die("cannot bind %s: %s", source, strerror(errno));
    }
    close(tree);
}

// /lib and its kind are links into /usr on today's systems and folders on older ones.
static void link_or_bind(const char *root, const char *name) {
    char host[64], path[PATH_BYTES + 64], target[PATH_BYTES];
    snprintf(host, sizeof host, "/%s", name);
    struct stat about;
    if (lstat(host, &about) != 0) return;
    if (S_ISLNK(about.st_mode)) {
        ssize_t length = readlink(host, target, sizeof target - 1);
        if (length <= 0) return;
        target[length] = 0;
        snprintf(path, sizeof path, "%s/%s", root, name);
        if (symlink(target, path) != 0) die("cannot make %s: %s", path, strerror(errno));
    } else if (S_ISDIR(about.st_mode)) {
        make_folder(root, name);
        bind_read_only(root, host, name);
    }
}

// Read-only, which keeps nobody from writing to the device: only the node's times and mode stay as the host has them.
static void bind_device(const char *host, const char *path) {
    int tree = clone_tree(AT_FDCWD, host, 0);
    if (tree < 0 ||
        set_mount_attributes(tree, "", AT_EMPTY_PATH, MOUNT_RDONLY | MOUNT_NOSUID | MOUNT_NOEXEC) != 0 ||
        attach_tree(tree, path) != 0) {
        die("cannot provide %s: %s", host, strerror(errno));
    }
    close(tree);
}

static void make_devices(const char *root) {
    static const struct {
        const char *name;
        unsigned minor;
    } devices[] = {{"null", 3}, {"zero", 5}, {"full", 7}, {"random", 8}, {"urandom", 9}};
    make_folder(root, "dev");
    for (size_t index = 0; index < sizeof devices / sizeof devices[0]; index++) {
        char path[PATH_BYTES + 64], host[64];
        snprintf(path, sizeof path, "%s/dev/%s", root, devices[index].name);
        snprintf(host, sizeof host, "/dev/%s", devices[index].name);
        int probe = -1;
        if (mknod(path, S_IFCHR | 0666, makedev(1, devices[index].minor)) == 0) {
            chmod(path, 0666);
            probe = open(path, O_RDONLY | O_CLOEXEC);
        }
        if (probe >= 0) {
            close(probe);
            continue;
        }
        // Containers may forbid making devices but lend theirs.
        unlink(path);
        write_file(root, path + strlen(root) + 1, "");
        bind_device(host, path);
    }
    char path[PATH_BYTES + 64];
    // Shared memory by name is counted and bounded like all scratch.
    snprintf(path, sizeof path, "%s/dev/shm", root);
    if (symlink("/tmp", path) != 0) die("cannot make %s: %s", path, strerror(errno));
    snprintf(path, sizeof path, "%s/dev/fd", root);
    if (symlink("/proc/self/fd", path) != 0) die("cannot make %s: %s", path, strerror(errno));
}

static void make_settings(const char *root, enum runtime runtime) {
    make_folder(root, "etc");
    write_file(root, "etc/passwd",
               "root:x:0:0:root:/:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n");
    write_file(root, "etc/group", "root:x:0:\nnogroup:x:65534:\n");
    copy_file(root, "/etc/ld.so.cache", "etc/ld.so.cache");
    make_folder(root, "etc/ssl");
    // Whom TLS believes. For whoever has a network; what is public does no harm to others.
    if (access("/etc/ssl/certs", F_OK) == 0) {
        make_folder(root, "etc/ssl/certs");
        bind_read_only(root, "/etc/ssl/certs", "etc/ssl/certs");
    }
    copy_file(root, "/etc/ssl/openssl.cnf", "etc/ssl/openssl.cnf");
    if (runtime != RUNTIME_FETCH && runtime != RUNTIME_EGRESS) {
        write_file(root, "etc/hosts", "127.0.0.1 localhost\n");
        write_file(root, "etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n");
        return;
    }
    write_file(root, "etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
    // Places for what may change while the server runs: bound at each launch.
    write_file(root, "etc/hosts", "");
    write_file(root, "etc/resolv.conf", "");
    write_file(root, "etc/pip.conf", "");
    copy_file(root, "/etc/services", "etc/services");
    copy_file(root, "/etc/protocols", "etc/protocols");
    copy_file(root, "/etc/gai.conf", "etc/gai.conf");
}

// Compiled once here, since a worker could not keep what it compiles: it would do so again at each start. Without it
// workers start slower, nothing else.
static void compile_runtime(const char *folder) {
    pid_t child = fork();
    if (child == 0) {
        umask(022);
        char *const arguments[] = {"/usr/bin/python3",
                                   "-I",
                                   "-S",
                                   "-m",
                                   "compileall",
                                   "-q",
                                   "--invalidation-mode",
                                   "unchecked-hash",
                                   "-d",
                                   "/runtime/apus",
                                   (char *)folder,
                                   NULL};
        char *const environment[] = {"PATH=/usr/bin:/bin", "LANG=C.UTF-8", NULL};
        dup2(nursery.null, STDERR_FILENO);
        execve(arguments[0], arguments, environment);
        _exit(127);
    }
    int status = 0;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
}

// The module `apus` lies in the template itself: what changes on disk later, as on an upgrade, reaches no worker of
// this server.
void copy_runtime(const char *root, const char *source, bool (*is_wanted)(const char *name)) {
    char folder[PATH_BYTES + 64];
    snprintf(folder, sizeof folder, "%s/apus", source);
    DIR *entries = opendir(folder);
    if (entries == NULL) die("cannot list %s: %s", folder, strerror(errno));
    make_folder(root, "runtime/apus");
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) {
        if (strlen(entry->d_name) > 100 || !is_wanted(entry->d_name)) continue;
        char from[2 * PATH_BYTES], name[160];
        snprintf(from, sizeof from, "%.600s/%.100s", folder, entry->d_name);
        snprintf(name, sizeof name, "runtime/apus/%.100s", entry->d_name);
        copy_file(root, from, name);
    }
    closedir(entries);
}

static bool is_python(const char *name) {
    size_t length = strlen(name);
    return length >= 4 && strcmp(name + length - 3, ".py") == 0;
}

// A file beside the nursery, as in a folder of builds.
static bool find_beside(const char *name, char *path, size_t size) {
    char own[PATH_BYTES + 1];
    ssize_t length = readlink("/proc/self/exe", own, PATH_BYTES);
    if (length <= 0) return false;
    own[length] = 0;
    char *slash = strrchr(own, '/');
    if (slash == NULL) return false;
    *slash = 0;
    snprintf(path, size, "%s/%s", own, name);
    return access(path, R_OK) == 0;
}

// What makes a warm interpreter a zygote. Without it every worker executes the interpreter.
static bool copy_zygote(const char *root) {
    char source[PATH_BYTES + 64];
    if (!find_beside("libapus-zygote.so", source, sizeof source)) return false;
    copy_file(root, source, "runtime/libapus-zygote.so");
    return true;
}

// A worker in C: where an installation has it, or beside the nursery.
static bool copy_worker(const char *root, const char *runtime) {
    char source[PATH_BYTES + 64], name[64], path[PATH_BYTES + 64];
    snprintf(name, sizeof name, "%s-worker", runtime);
    snprintf(source, sizeof source, "%s/%s/%s", nursery.runtimes, runtime, name);
    if (access(source, R_OK) != 0 && !find_beside(name, source, sizeof source)) return false;
    snprintf(name, sizeof name, "runtime/%s-worker", runtime);
    copy_file(root, source, name);
    snprintf(path, sizeof path, "%s/%s", root, name);
    return chmod(path, 0755) == 0;
}

// The egress process: the program, bound so that an upgrade does not change it, and what it is linked with.
static bool bind_egress(const char *root) {
    char source[PATH_BYTES + 64];
    if (!find_beside("egress", source, sizeof source)) return false;
    write_file(root, "runtime/egress", "");
    bind_read_only(root, source, "runtime/egress");
    return provide_libraries(root, source);
}

static void make_template(enum runtime runtime, const char *name) {
    char *root = nursery.template_path[runtime];
    snprintf(root, PATH_BYTES, "%.300s/%s", nursery.base, name);
    if (mkdir(root, 0755) != 0 && errno != EEXIST) die("cannot make %s: %s", root, strerror(errno));
    if (mount("root", root, "tmpfs", MS_NOSUID, "size=8m,nr_inodes=4096,mode=0755") != 0) {
        die("cannot mount a root at %s: %s", root, strerror(errno));
    }
    static const char *const folders[] = {"usr", "proc", "tmp", "function", "layer",
                                          "runtime", "out",  "opt",  "weights"};
    for (size_t index = 0; index < sizeof folders / sizeof folders[0]; index++) make_folder(root, folders[index]);
    // Node and the egress process need a handful of files of it, which are looked for below.
    if (runtime != RUNTIME_NODE && runtime != RUNTIME_EGRESS) bind_read_only(root, "/usr", "usr");
    static const char *const links[] = {"bin", "sbin", "lib", "lib32", "lib64", "libx32"};
    for (size_t index = 0; index < sizeof links / sizeof links[0]; index++) link_or_bind(root, links[index]);
    make_devices(root);
    make_settings(root, runtime);
    nursery.has_template[runtime] = true;
    if (runtime == RUNTIME_PYTHON || runtime == RUNTIME_GPU) {
        char source[PATH_BYTES + 32];
        snprintf(source, sizeof source, "%s/python", nursery.runtimes);
        char main[PATH_BYTES + 64];
        snprintf(main, sizeof main, "%s/apus/__main__.py", source);
        if (access(main, R_OK) == 0 && access("/usr/bin/python3", X_OK) == 0) {
            copy_runtime(root, source, is_python);
            snprintf(main, sizeof main, "%.500s/runtime/apus", root);
            compile_runtime(main);
            if (runtime == RUNTIME_PYTHON) nursery.has_zygote = copy_zygote(root);
        } else {
            nursery.has_template[runtime] = false;
        }
    }
    if (runtime == RUNTIME_GPU && !make_gpu_places(root)) nursery.has_template[runtime] = false;
    if (runtime == RUNTIME_NODE) nursery.has_template[runtime] = make_node_template(root);
    if (runtime == RUNTIME_EGRESS) nursery.has_template[runtime] = !nursery.is_rootless && bind_egress(root);
    if (runtime == RUNTIME_EXEC) {
        nursery.has_template[runtime] = copy_worker(root, "exec") && copy_worker(root, "mcp");
        // Links that commands of /usr/bin lead through: awk is one.
        if (access("/etc/alternatives", F_OK) == 0) {
            make_folder(root, "etc/alternatives");
            bind_read_only(root, "/etc/alternatives", "etc/alternatives");
        }
    }
    // Package indexes on disk are often kept here.
    if (runtime == RUNTIME_FETCH && access("/opt", F_OK) == 0) bind_read_only(root, "/opt", "opt");
    if (mount(NULL, root, NULL, MS_REMOUNT | MS_RDONLY | MS_NOSUID, "size=8m,nr_inodes=4096,mode=0755") != 0) {
        die("cannot make %s read-only: %s", root, strerror(errno));
    }
}

void make_templates(void) {
    umask(022);
    // Some containers allow only the second; then what the host mounts later may appear here too.
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 &&
        mount("none", "/", NULL, MS_REC | MS_SLAVE, NULL) != 0)
        die("cannot take the mounts apart from the host's: %s", strerror(errno));
    make_template(RUNTIME_PYTHON, "python");
    make_template(RUNTIME_NATIVE, "native");
    make_template(RUNTIME_FETCH, "fetch");
    make_template(RUNTIME_BUILD, "build");
    make_template(RUNTIME_EXEC, "exec");
    make_template(RUNTIME_NODE, "node");
    make_template(RUNTIME_GPU, "gpu");
    make_template(RUNTIME_EGRESS, "egress");
    // The same root: what differs is the filter, and what the interpreter is told to do.
    copy_text(nursery.template_path[RUNTIME_FORKS], PATH_BYTES, nursery.template_path[RUNTIME_PYTHON]);
    nursery.has_template[RUNTIME_FORKS] = nursery.has_zygote && !nursery.is_rootless && nursery.landlock_abi >= FORKS_LANDLOCK_ABI;
    umask(077);
}
