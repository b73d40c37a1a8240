#include "kafka_floor.h"

#include <librdkafka/rdkafka.h>
#include <stdint.h>
#include <time.h>

enum { BATCH = 1000 };

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double consume(rd_kafka_queue_t *queue, long records) {
    rd_kafka_message_t *messages[BATCH];
    volatile uint64_t sum = 0;
    double start = 0;
    long found = 0;
    double last = now();
    while (found < records) {
        // A batch is waited for until it is full: wait for little, and take what there is.
        ssize_t count = rd_kafka_consume_batch_queue(queue, 1, messages, BATCH);
        if (count < 0 || (count == 0 && now() - last > 60)) return -1;
        if (count > 0) last = now();
        for (ssize_t index = 0; index < count; index++) {
            if (messages[index]->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
                if (found++ == 0) start = now();
                sum += messages[index]->len > 0 ? ((const uint8_t *)messages[index]->payload)[0] : 0;
            }
            rd_kafka_message_destroy(messages[index]);
        }
    }
    return now() - start;
}

double kafka_floor_consume(const char *bootstrap, const char *topic, int partitions, long records) {
    char error[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, error, sizeof error) != RD_KAFKA_CONF_OK) return -1;
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error);
    if (client == NULL) return -1;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_topic_t *handle = rd_kafka_topic_new(client, topic, NULL);
    double took = 0;
    for (int partition = 0; partition < partitions; partition++)
        if (rd_kafka_consume_start_queue(handle, partition, RD_KAFKA_OFFSET_BEGINNING, queue) != 0) took = -1;
    if (took == 0) took = consume(queue, records);
    for (int partition = 0; partition < partitions; partition++) rd_kafka_consume_stop(handle, partition);
    rd_kafka_topic_destroy(handle);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
    return took;
}

// MARK: consuming and producing

static int produce(rd_kafka_t *producer, rd_kafka_topic_t *topic, const rd_kafka_message_t *message) {
    while (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, message->payload, message->len, message->key,
                            message->key_len, NULL)) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL) return -1;
        rd_kafka_poll(producer, 1);
    }
    return 0;
}

static double forward(rd_kafka_queue_t *queue, rd_kafka_t *producer, rd_kafka_topic_t *to, long records) {
    rd_kafka_message_t *messages[BATCH];
    double start = 0, last = now();
    for (long found = 0; found < records;) {
        ssize_t count = rd_kafka_consume_batch_queue(queue, 1, messages, BATCH);
        if (count < 0 || (count == 0 && now() - last > 60)) return -1;
        if (count > 0) last = now();
        int failure = 0;
        for (ssize_t index = 0; index < count; index++) {
            if (messages[index]->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
                if (found++ == 0) start = now();
                failure = failure || produce(producer, to, messages[index]);
            }
            rd_kafka_message_destroy(messages[index]);
        }
        if (failure) return -1;
        rd_kafka_poll(producer, 0);
    }
    return rd_kafka_flush(producer, 60000) == RD_KAFKA_RESP_ERR_NO_ERROR ? now() - start : -1;
}

static rd_kafka_t *client(rd_kafka_type_t type, const char *bootstrap, const char *const *properties) {
    char error[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    int failure = rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, error, sizeof error) != RD_KAFKA_CONF_OK;
    for (; !failure && *properties; properties += 2)
        failure = rd_kafka_conf_set(conf, properties[0], properties[1], error, sizeof error) != RD_KAFKA_CONF_OK;
    rd_kafka_t *made = failure ? NULL : rd_kafka_new(type, conf, error, sizeof error);
    if (made == NULL) rd_kafka_conf_destroy(conf);
    return made;
}

double kafka_floor_forward(const char *bootstrap, const char *from, const char *to, int partitions, long records) {
    static const char *const none[] = {NULL};
    static const char *const careful[] = {"enable.idempotence", "true", "acks", "all", "partitioner", "murmur2_random", NULL};
    double took = -1;
    rd_kafka_t *consumer = client(RD_KAFKA_CONSUMER, bootstrap, none);
    rd_kafka_t *producer = client(RD_KAFKA_PRODUCER, bootstrap, careful);
    if (consumer != NULL && producer != NULL) {
        rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer);
        rd_kafka_topic_t *source = rd_kafka_topic_new(consumer, from, NULL), *target = rd_kafka_topic_new(producer, to, NULL);
        took = 0;
        for (int partition = 0; partition < partitions; partition++)
            if (rd_kafka_consume_start_queue(source, partition, RD_KAFKA_OFFSET_BEGINNING, queue) != 0) took = -1;
        if (took == 0) took = forward(queue, producer, target, records);
        for (int partition = 0; partition < partitions; partition++) rd_kafka_consume_stop(source, partition);
        rd_kafka_topic_destroy(source);
        rd_kafka_topic_destroy(target);
        rd_kafka_queue_destroy(queue);
    }
    if (consumer != NULL) rd_kafka_destroy(consumer);
    if (producer != NULL) rd_kafka_destroy(producer);
    return took;
}
