#define _GNU_SOURCE
#include "kafka.h"

#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <sys/eventfd.h>

int apus_kafka_produce(
    void *producer, void *topic, int32_t partition, const void *key, size_t key_bytes, const void *value,
    size_t value_bytes, int64_t timestamp, void *headers, void *opaque) {
    return rd_kafka_producev(
        producer, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(partition), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY(key, key_bytes), RD_KAFKA_V_VALUE((void *)value, value_bytes), RD_KAFKA_V_TIMESTAMP(timestamp),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(opaque), RD_KAFKA_V_END);
}

int apus_kafka_event_descriptor(void) {
    int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}
