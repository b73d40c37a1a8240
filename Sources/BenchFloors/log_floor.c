#include "log_floor.h"
#include <lmdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PARTITIONS_MAX = 64 };

struct LogFloor {
    MDB_env *env;
    MDB_dbi tables[PARTITIONS_MAX], ledger;
    uint64_t next[PARTITIONS_MAX];
    int partitions;
    volatile uint64_t sum;
};

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

LogFloor *log_floor_open(const char *path, int partitions, int is_synced) {
    LogFloor *floor = calloc(1, sizeof *floor);
    MDB_txn *txn = 0;
    if (!floor || partitions > PARTITIONS_MAX) goto failed;
    floor->partitions = partitions;
    if (mdb_env_create(&floor->env)) goto failed;
    mdb_env_set_mapsize(floor->env, 64ull << 30);
    mdb_env_set_maxdbs(floor->env, PARTITIONS_MAX + 1);
    if (mdb_env_open(floor->env, path, MDB_NOSUBDIR | MDB_NOTLS | (is_synced ? 0 : MDB_NOSYNC), 0600)) goto failed;
    if (mdb_txn_begin(floor->env, 0, 0, &txn)) goto failed;
    for (int partition = 0; partition < partitions; partition++) {
        char name[8];
        snprintf(name, sizeof name, "p%d", partition);
        if (mdb_dbi_open(txn, name, MDB_CREATE | MDB_INTEGERKEY, &floor->tables[partition])) goto failed;
    }
    if (mdb_dbi_open(txn, "ledger", MDB_CREATE, &floor->ledger)) goto failed;
    if (mdb_txn_commit(txn)) { txn = 0; goto failed; }
    return floor;
failed:
    if (txn) mdb_txn_abort(txn);
    log_floor_close(floor);
    return 0;
}

void log_floor_close(LogFloor *floor) {
    if (floor && floor->env) mdb_env_close(floor->env);
    free(floor);
}

double log_floor_append(LogFloor *floor, const void *record, size_t bytes, long records, int batch) {
    double start = now();
    for (long done = 0; done < records;) {
        MDB_txn *txn;
        if (mdb_txn_begin(floor->env, 0, 0, &txn)) return -1;
        for (int i = 0; i < batch && done < records; i++, done++) {
            int partition = done % floor->partitions;
            MDB_val key = {8, &floor->next[partition]}, value = {bytes, (void *)record};
            if (mdb_put(txn, floor->tables[partition], &key, &value, MDB_APPEND)) return -1;
            floor->next[partition]++;
        }
        if (mdb_txn_commit(txn)) return -1;
    }
    return now() - start;
}

double log_floor_read(LogFloor *floor, int batch, long *found) {
    double start = now();
    MDB_txn *txn;
    *found = 0;
    if (mdb_txn_begin(floor->env, 0, MDB_RDONLY, &txn)) return -1;
    for (int partition = 0; partition < floor->partitions; partition++) {
        MDB_cursor *cursor;
        uint64_t at = 0;
        if (mdb_cursor_open(txn, floor->tables[partition], &cursor)) return -1;
        for (int rc = 0; rc != MDB_NOTFOUND;) {
            mdb_txn_reset(txn);
            if (mdb_txn_renew(txn) || mdb_cursor_renew(txn, cursor)) return -1;
            MDB_val key = {8, &at}, value;
            rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
            for (int i = 0; rc == 0; i++) {
                if (i == batch) {
                    memcpy(&at, key.mv_data, 8);
                    break;
                }
                uint64_t word;
                memcpy(&word, value.mv_data, 8);
                floor->sum += word;
                ++*found;
                rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
            }
            if (rc && rc != MDB_NOTFOUND) return -1;
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return now() - start;
}

double log_floor_ledger(LogFloor *floor, size_t bytes, int keys, long entries, int batch) {
    char *value = calloc(1, bytes);
    double start = now();
    for (long done = 0; done < entries;) {
        MDB_txn *txn;
        if (mdb_txn_begin(floor->env, 0, 0, &txn)) return -1;
        for (int i = 0; i < batch && done < entries; i++, done++) {
            char name[32];
            snprintf(name, sizeof name, "ledger/%08ld", done % keys);
            memcpy(value, &done, sizeof done);
            MDB_val key = {strlen(name), name}, data = {bytes, value};
            if (mdb_put(txn, floor->ledger, &key, &data, 0)) return -1;
        }
        if (mdb_txn_commit(txn)) return -1;
    }
    free(value);
    return now() - start;
}
