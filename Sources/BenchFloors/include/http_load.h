#ifndef APUS_BENCH_HTTP_LOAD_H
#define APUS_BENCH_HTTP_LOAD_H

#include <stddef.h>
#include <stdint.h>

/// Sends the same request over and over on each of several connections of 127.0.0.1, one in flight on each, from one thread.
///
/// Returns the seconds that `count` answers took, or a negative number when a connection failed or an answer had another status than
/// 2xx; `problem` then says why. `pause` is how many
/// microseconds lie between an answer and the next request, for one connection. `times` gets the nanoseconds from writing a request to having its whole answer, one for each.
double http_load(uint16_t port, const char *request, size_t request_bytes, int connections, int count, unsigned pause,
                 uint64_t *times, char *problem, size_t problem_bytes);

#endif
