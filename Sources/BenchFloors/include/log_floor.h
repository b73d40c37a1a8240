#pragma once
#include <stddef.h>

// The floor of the event log: LMDB alone, one table per partition, one thread, no copies beyond LMDB's own.

typedef struct LogFloor LogFloor;

// Opens a new file. Returns null when LMDB fails.
LogFloor *log_floor_open(const char *path, int partitions, int is_synced);
void log_floor_close(LogFloor *floor);

// Each returns the seconds it took, or a negative number when LMDB fails.
// Appends `records` records of `bytes` bytes, `batch` to a commit, to the partitions in turn.
double log_floor_append(LogFloor *floor, const void *record, size_t bytes, long records, int batch);
// Reads all records in order, `batch` to a read transaction, and the first eight bytes of each.
double log_floor_read(LogFloor *floor, int batch, long *found);
// Replaces entries of `bytes` bytes under `keys` keys, `batch` to a commit.
double log_floor_ledger(LogFloor *floor, size_t bytes, int keys, long entries, int batch);
