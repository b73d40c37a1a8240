#pragma once
#include <stddef.h>
#include <stdint.h>

// librdkafka's way of producing a record with headers is variadic, which Swift cannot call. Handles go as plain pointers, so that
// who includes this needs no header of librdkafka's.

/// Queues a record, whose key and value are copied; null pointers are a null key and a null value. The headers are librdkafka's
/// from then on, but for an error. Returns an rd_kafka_resp_err_t.
int apus_kafka_produce(
    void *producer, void *topic, int32_t partition, const void *key, size_t key_bytes, const void *value,
    size_t value_bytes, int64_t timestamp, void *headers, void *opaque);
/// A non-blocking event descriptor, or -errno. Eight bytes written wake whoever polls it.
int apus_kafka_event_descriptor(void);
