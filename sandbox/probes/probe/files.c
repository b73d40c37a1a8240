// Attempts on files, descriptors and what can be seen of others.
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "probe.h"

extern char **environ;

int read_file(int count, char **values) {
    if (count < 1) return 2;
    int file = open(values[0], O_RDONLY);
    char byte;
    return say(file < 0 ? -1 : read(file, &byte, 1));
}

// write PATH: makes the file.
int write_file(int count, char **values) {
    if (count < 1) return 2;
    int file = open(values[0], O_WRONLY | O_CREAT, 0600);
    return say(file < 0 ? -1 : write(file, "x", 1));
}

// fill FOLDER BYTES: prints how many KiB went in.
int fill_folder(int count, char **values) {
    if (count < 2) return 2;
    static char block[4096];
    memset(block, 1, sizeof block);
    char path[256];
    long long wanted = atoll(values[1]), total = 0;
    for (int index = 0; total < wanted; index++) {
        snprintf(path, sizeof path, "%s/fill-%d", values[0], index);
        int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (file < 0) break;
        ssize_t length = 0;
        for (int part = 0; part < 256 && total < wanted && (length = write(file, block, sizeof block)) > 0; part++)
            total += length;
        close(file);
        if (length <= 0) break;
    }
    printf("%lld\n", total / 1024);
    return 0;
}

// flood FOLDER FILES: prints how many empty files were made.
int flood_folder(int count, char **values) {
    if (count < 2) return 2;
    char path[256];
    int wanted = atoi(values[1]), made = 0;
    for (; made < wanted; made++) {
        snprintf(path, sizeof path, "%s/flood-%d", values[0], made);
        int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
        if (file < 0) break;
        close(file);
    }
    printf("%d\n", made);
    return 0;
}

// Prints the numbers of all open descriptors but the one that lists them.
int list_descriptors(int count, char **values) {
    (void)count;
    (void)values;
    for (int descriptor = 0; descriptor < 4096; descriptor++) {
        if (fcntl(descriptor, F_GETFD) >= 0) printf("%d ", descriptor);
    }
    printf("\n");
    return 0;
}

int print_environment(int count, char **values) {
    (void)count;
    (void)values;
    for (char **line = environ; *line != NULL; line++) printf("%s\n", *line);
    return 0;
}

// Prints how many processes /proc shows.
int list_processes(int count, char **values) {
    (void)count;
    (void)values;
    DIR *entries = opendir("/proc");
    if (entries == NULL) return say(-1);
    int seen = 0;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;)
        seen += isdigit((unsigned char)entry->d_name[0]) ? 1 : 0;
    closedir(entries);
    printf("%d\n", seen);
    return 0;
}

int make_node(int count, char **values) {
    if (count < 1) return 2;
    return say(mknod(values[0], S_IFCHR | 0600, makedev(1, 3)));
}

// open_by_handle_at, with the handle of the root folder of most file systems.
int open_handle(int count, char **values) {
    (void)count;
    (void)values;
    char bytes[sizeof(struct file_handle) + 8];
    struct file_handle *handle = (struct file_handle *)(void *)bytes;
    memset(bytes, 0, sizeof bytes);
    handle->handle_bytes = 8;
    handle->handle_type = 1;
    handle->f_handle[0] = 2;
    int root = open("/", O_RDONLY | O_DIRECTORY);
    return say(open_by_handle_at(root, handle, O_RDONLY));
}

// big-file PATH BYTES: a sparse file of that size.
int big_file(int count, char **values) {
    if (count < 2) return 2;
    signal(SIGXFSZ, SIG_IGN);
    int file = open(values[0], O_WRONLY | O_CREAT, 0600);
    return say(file < 0 ? -1 : ftruncate(file, atoll(values[1])));
}
