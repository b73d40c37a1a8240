#define _GNU_SOURCE
#include "flow_floor.h"
#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PARTITIONS = 4, FILL_BATCH = 500, PIPE_BYTES = 1 << 20, ECHO_BYTES = 1 << 20, UNCOMMITTED_MAX = 16384 };
static const uint32_t STAMPED = 1u << 31;

// In front of each record in the pipes: its size, and which partition it is of. With STAMPED the process that sends it back writes the
// time at which it had it over its first eight bytes.
typedef struct {
    uint32_t size, partition;
} Mark;

struct FlowFloor {
    int to, from;
    pid_t process;
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

// MARK: the other process

static void send_back(int from, int to) {
    static char bytes[ECHO_BYTES];
    size_t have = 0;
    for (ssize_t got; (got = read(from, bytes + have, sizeof bytes - have)) > 0;) {
        size_t whole = 0;
        have += (size_t)got;
        while (have - whole >= sizeof(Mark)) {
            Mark mark;
            memcpy(&mark, bytes + whole, sizeof mark);
            if (have - whole < sizeof mark + mark.size) break;
            if (mark.partition & STAMPED) {
                double time = now();
                memcpy(bytes + whole + sizeof mark, &time, sizeof time);
            }
            whole += sizeof mark + mark.size;
        }
        for (size_t at = 0; at < whole;) {
            ssize_t put = write(to, bytes + at, whole - at);
            if (put < 0 && errno != EINTR) _exit(0);
            if (put > 0) at += (size_t)put;
        }
        memmove(bytes, bytes + whole, have -= whole);
    }
    _exit(0);
}

FlowFloor *flow_floor_open(void) {
    int down[2], up[2];
    if (pipe2(down, O_CLOEXEC)) return 0;
    if (pipe2(up, O_CLOEXEC)) {
        close(down[0]);
        close(down[1]);
        return 0;
    }
    (void)fcntl(down[1], F_SETPIPE_SZ, PIPE_BYTES);
    (void)fcntl(up[1], F_SETPIPE_SZ, PIPE_BYTES);
    pid_t process = fork();
    if (process == 0) {
        close(down[1]);
        close(up[0]);
        send_back(down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    FlowFloor *floor = process < 0 ? 0 : malloc(sizeof *floor);
    if (!floor) {
        close(down[1]);
        close(up[0]);
        return 0;
    }
    (void)fcntl(down[1], F_SETFL, O_NONBLOCK);
    (void)fcntl(up[0], F_SETFL, O_NONBLOCK);
    *floor = (FlowFloor){down[1], up[0], process};
    return floor;
}

void flow_floor_close(FlowFloor *floor) {
    if (!floor) return;
    close(floor->to);
    close(floor->from);
    kill(floor->process, SIGKILL);
    waitpid(floor->process, 0, 0);
    free(floor);
}

// MARK: the file

typedef struct {
    MDB_env *env;
    MDB_dbi in[PARTITIONS], out[PARTITIONS], positions;
    uint64_t replies[PARTITIONS];
} File;

static int file_open(File *file, const char *path, int is_synced) {
    MDB_txn *txn;
    memset(file, 0, sizeof *file);
    if (mdb_env_create(&file->env)) return -1;
    mdb_env_set_mapsize(file->env, 64ull << 30);
    mdb_env_set_maxdbs(file->env, 2 * PARTITIONS + 1);
    if (mdb_env_open(file->env, path, MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD | (is_synced ? 0 : MDB_NOSYNC), 0600)) return -1;
    if (mdb_txn_begin(file->env, 0, 0, &txn)) return -1;
    int failure = mdb_dbi_open(txn, "positions", MDB_CREATE | MDB_INTEGERKEY, &file->positions);
    for (int partition = 0; !failure && partition < PARTITIONS; partition++) {
        char name[8];
        snprintf(name, sizeof name, "in%d", partition);
        failure = mdb_dbi_open(txn, name, MDB_CREATE | MDB_INTEGERKEY, &file->in[partition]);
        snprintf(name, sizeof name, "out%d", partition);
        if (!failure) failure = mdb_dbi_open(txn, name, MDB_CREATE | MDB_INTEGERKEY, &file->out[partition]);
    }
    if (!failure) return mdb_txn_commit(txn) ? -1 : 0;
    mdb_txn_abort(txn);
    return -1;
}

static int put(MDB_txn *txn, MDB_dbi table, uint64_t offset, const void *bytes, size_t size) {
    MDB_val key = {sizeof offset, &offset}, value = {size, (void *)bytes};
    return mdb_put(txn, table, &key, &value, MDB_APPEND);
}

static int fill(File *file, const void *record, size_t bytes, long records) {
    for (long done = 0; done < records;) {
        MDB_txn *txn;
        if (mdb_txn_begin(file->env, 0, 0, &txn)) return -1;
        for (int i = 0; i < FILL_BATCH && done < records; i++, done++)
            if (put(txn, file->in[done % PARTITIONS], (uint64_t)(done / PARTITIONS), record, bytes)) return -1;
        if (mdb_txn_commit(txn)) return -1;
    }
    return 0;
}

// Appends the marked records in `bytes` and notes how far each partition is.
static int append(File *file, const char *bytes, size_t size) {
    MDB_txn *txn;
    if (mdb_txn_begin(file->env, 0, 0, &txn)) return -1;
    for (size_t at = 0; at < size;) {
        Mark mark;
        memcpy(&mark, bytes + at, sizeof mark);
        uint32_t partition = mark.partition % PARTITIONS;
        if (put(txn, file->out[partition], file->replies[partition]++, bytes + at + sizeof mark, mark.size)) return -1;
        at += sizeof mark + mark.size;
    }
    for (uint64_t partition = 0; partition < PARTITIONS; partition++) {
        MDB_val key = {sizeof partition, &partition}, value = {sizeof(uint64_t), &file->replies[partition]};
        if (mdb_put(txn, file->positions, &key, &value, 0)) return -1;
    }
    return mdb_txn_commit(txn) ? -1 : 0;
}

// MARK: the thread that commits

typedef struct {
    File *file;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    // What gathers, and what is being committed.
    char *gathering, *committing;
    size_t size;
    long count, committed, records;
    int has_failed;
} Writer;

static void *write_replies(void *argument) {
    Writer *writer = argument;
    pthread_mutex_lock(&writer->lock);
    while (writer->committed < writer->records && !writer->has_failed) {
        while (writer->count == 0 && !writer->has_failed) pthread_cond_wait(&writer->changed, &writer->lock);
        char *bytes = writer->gathering;
        size_t size = writer->size;
        long count = writer->count;
        writer->gathering = writer->committing;
        writer->committing = bytes;
        writer->size = 0;
        writer->count = 0;
        pthread_mutex_unlock(&writer->lock);
        int failure = append(writer->file, bytes, size);
        pthread_mutex_lock(&writer->lock);
        if (failure) writer->has_failed = 1;
        writer->committed += count;
        pthread_cond_broadcast(&writer->changed);
    }
    pthread_mutex_unlock(&writer->lock);
    return 0;
}

static long hand_over(Writer *writer, const char *bytes, size_t size, long count) {
    pthread_mutex_lock(&writer->lock);
    memcpy(writer->gathering + writer->size, bytes, size);
    writer->size += size;
    writer->count += count;
    long committed = writer->has_failed ? -1 : writer->committed;
    if (count) pthread_cond_broadcast(&writer->changed);
    pthread_mutex_unlock(&writer->lock);
    return committed;
}

// MARK: the flow

typedef struct {
    FlowFloor *floor;
    File *file;
    Writer *writer;
    MDB_txn *txn;
    MDB_cursor *cursors[PARTITIONS];
    char *out, *in;
    size_t out_size, out_at, in_size;
    long sent, got, committed, records;
    int window;
} Flow;

// Puts as many records into the buffer as may be under way.
static int read_on(Flow *flow, size_t capacity) {
    flow->out_size = flow->out_at = 0;
    mdb_txn_reset(flow->txn);
    if (mdb_txn_renew(flow->txn)) return -1;
    for (int partition = 0; partition < PARTITIONS; partition++) mdb_cursor_renew(flow->txn, flow->cursors[partition]);
    while (flow->sent < flow->records && flow->sent - flow->got < flow->window && flow->sent - flow->committed < UNCOMMITTED_MAX) {
        uint32_t partition = (uint32_t)(flow->sent % PARTITIONS);
        uint64_t offset = (uint64_t)(flow->sent / PARTITIONS);
        MDB_val key = {sizeof offset, &offset}, value;
        if (mdb_cursor_get(flow->cursors[partition], &key, &value, MDB_SET)) return -1;
        Mark mark = {(uint32_t)value.mv_size, partition};
        if (flow->out_size + sizeof mark + value.mv_size > capacity) break;
        memcpy(flow->out + flow->out_size, &mark, sizeof mark);
        memcpy(flow->out + flow->out_size + sizeof mark, value.mv_data, value.mv_size);
        flow->out_size += sizeof mark + value.mv_size;
        flow->sent++;
    }
    return 0;
}

// Takes what came back.
static int take(Flow *flow, size_t capacity) {
    ssize_t got = read(flow->floor->from, flow->in + flow->in_size, capacity - flow->in_size);
    if (got <= 0) return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
    flow->in_size += (size_t)got;
    size_t whole = 0;
    long count = 0;
    while (flow->in_size - whole >= sizeof(Mark)) {
        Mark mark;
        memcpy(&mark, flow->in + whole, sizeof mark);
        if (flow->in_size - whole < sizeof mark + mark.size) break;
        whole += sizeof mark + mark.size;
        count++;
    }
    long committed = hand_over(flow->writer, flow->in, whole, count);
    if (committed < 0) return -1;
    flow->committed = committed;
    flow->got += count;
    memmove(flow->in, flow->in + whole, flow->in_size -= whole);
    return 0;
}

static int wait_for_room(Flow *flow) {
    Writer *writer = flow->writer;
    pthread_mutex_lock(&writer->lock);
    while (flow->got - writer->committed > 0 && flow->sent - writer->committed >= UNCOMMITTED_MAX && !writer->has_failed)
        pthread_cond_wait(&writer->changed, &writer->lock);
    flow->committed = writer->committed;
    int has_failed = writer->has_failed;
    pthread_mutex_unlock(&writer->lock);
    return has_failed ? -1 : 0;
}

static int move_all(Flow *flow, size_t capacity) {
    while (flow->got < flow->records) {
        if (flow->out_at == flow->out_size && read_on(flow, capacity)) return -1;
        if (flow->out_at < flow->out_size) {
            ssize_t put = write(flow->floor->to, flow->out + flow->out_at, flow->out_size - flow->out_at);
            if (put > 0) flow->out_at += (size_t)put;
            else if (errno != EAGAIN && errno != EINTR) return -1;
        }
        if (flow->sent == flow->got && flow->out_at == flow->out_size) {
            if (wait_for_room(flow)) return -1;
            continue;
        }
        struct pollfd waits[2] = {{flow->floor->from, POLLIN, 0}, {flow->floor->to, POLLOUT, 0}};
        if (poll(waits, flow->out_at < flow->out_size ? 2 : 1, -1) < 0 && errno != EINTR) return -1;
        if (waits[0].revents && take(flow, capacity)) return -1;
    }
    return 0;
}

void flow_floor_touch(size_t record, long records) {
    // The replies, and as much again for what holds them.
    size_t bytes = 2 * record * (size_t)records;
    struct sysinfo info;
    if (sysinfo(&info)) return;
    size_t most = (size_t)info.freeram * info.mem_unit / 2;
    if (bytes > most) bytes = most;
    char *memory = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return;
    for (size_t at = 0; at < bytes; at += 4096) memory[at] = 1;
    munmap(memory, bytes);
}

double flow_floor_run(FlowFloor *floor, const char *path, int is_synced, const void *record, size_t bytes, long records, int window) {
    File file;
    double took = -1;
    size_t size = bytes + sizeof(Mark), capacity = size * (size_t)window + PIPE_BYTES;
    if (file_open(&file, path, is_synced) || fill(&file, record, bytes, records)) return -1;
    Writer writer = {.file = &file, .records = records};
    pthread_mutex_init(&writer.lock, 0);
    pthread_cond_init(&writer.changed, 0);
    writer.gathering = malloc(size * (UNCOMMITTED_MAX + 1));
    writer.committing = malloc(size * (UNCOMMITTED_MAX + 1));
    Flow flow = {.floor = floor, .file = &file, .writer = &writer, .records = records, .window = window};
    flow.out = malloc(capacity);
    flow.in = malloc(capacity);
    pthread_t thread;
    if (pthread_create(&thread, 0, write_replies, &writer)) return -1;
    int failure = mdb_txn_begin(file.env, 0, MDB_RDONLY, &flow.txn);
    for (int partition = 0; !failure && partition < PARTITIONS; partition++)
        failure = mdb_cursor_open(flow.txn, file.in[partition], &flow.cursors[partition]);
    flow_floor_touch(bytes, records);
    double start = now();
    if (!failure) failure = move_all(&flow, capacity);
    if (failure) {
        pthread_mutex_lock(&writer.lock);
        writer.has_failed = 1;
        pthread_cond_broadcast(&writer.changed);
        pthread_mutex_unlock(&writer.lock);
    }
    pthread_join(thread, 0);
    if (!failure && !writer.has_failed) took = now() - start;
    for (int partition = 0; partition < PARTITIONS; partition++)
        if (flow.cursors[partition]) mdb_cursor_close(flow.cursors[partition]);
    if (flow.txn) mdb_txn_abort(flow.txn);
    mdb_env_close(file.env);
    free(writer.gathering);
    free(writer.committing);
    free(flow.out);
    free(flow.in);
    return took;
}

// MARK: one at a time

static int transfer(int descriptor, char *bytes, size_t size, int is_writing) {
    for (size_t at = 0; at < size;) {
        ssize_t count = is_writing ? write(descriptor, bytes + at, size - at) : read(descriptor, bytes + at, size - at);
        if (count > 0) at += (size_t)count;
        else if (count == 0 || (errno != EAGAIN && errno != EINTR)) return -1;
        else {
            struct pollfd wait = {descriptor, is_writing ? POLLOUT : POLLIN, 0};
            (void)poll(&wait, 1, -1);
        }
    }
    return 0;
}

int flow_floor_starts(
    FlowFloor *floor, const char *path, int is_synced, const void *record, size_t bytes, double *microseconds, size_t count
) {
    File file;
    if (file_open(&file, path, is_synced)) return -1;
    char *frame = malloc(sizeof(Mark) + bytes);
    int failure = 0;
    for (size_t i = 0; !failure && i < count; i++) {
        MDB_txn *txn;
        MDB_val value;
        uint64_t offset = i;
        MDB_val key = {sizeof offset, &offset};
        double start = now();
        failure = mdb_txn_begin(file.env, 0, 0, &txn) || put(txn, file.in[0], offset, record, bytes) || mdb_txn_commit(txn);
        failure = failure || mdb_txn_begin(file.env, 0, MDB_RDONLY, &txn) || mdb_get(txn, file.in[0], &key, &value);
        if (failure) break;
        Mark mark = {(uint32_t)bytes, STAMPED};
        memcpy(frame, &mark, sizeof mark);
        memcpy(frame + sizeof mark, value.mv_data, bytes);
        mdb_txn_abort(txn);
        failure = transfer(floor->to, frame, sizeof mark + bytes, 1) || transfer(floor->from, frame, sizeof mark + bytes, 0);
        double had;
        memcpy(&had, frame + sizeof mark, sizeof had);
        microseconds[i] = (had - start) * 1e6;
    }
    free(frame);
    mdb_env_close(file.env);
    return failure ? -1 : 0;
}
