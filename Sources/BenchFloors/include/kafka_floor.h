#pragma once

// The floor of the log on Kafka: librdkafka alone, batches of messages of all partitions on one queue, one thread, no headers looked at.

// Consumes `records` committed messages of a topic from its start. Returns the seconds from the first message to the last, or a
// negative number when librdkafka fails or 60 seconds pass without a message.
double kafka_floor_consume(const char *bootstrap, const char *topic, int partitions, long records);

// Consumes `records` committed messages of a topic from its start and produces key and value of each, idempotently, to another. Returns
// the seconds from the first message to the last acknowledgement, or a negative number when librdkafka fails.
double kafka_floor_forward(const char *bootstrap, const char *from, const char *to, int partitions, long records);
