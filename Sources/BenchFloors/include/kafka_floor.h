#pragma once

// The floor of the log on Kafka: librdkafka alone, batches of messages of all partitions on one queue, one thread, no headers looked at.

// Consumes `records` committed messages of a topic from its start. Returns the seconds from the first message to the last, or a
// negative number when librdkafka fails or 60 seconds pass without a message.
double kafka_floor_consume(const char *bootstrap, const char *topic, int partitions, long records);
