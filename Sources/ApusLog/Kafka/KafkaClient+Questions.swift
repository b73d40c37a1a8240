internal import ApusCore
internal import CRDKafka
internal import Glibc

/// Questions that one answer of the cluster settles. Each blocks for at most ``Limits/Kafka/requestMilliseconds``.
extension KafkaClient {
    /// The first offset and the next one; for a client that reads committed records, the end of what is committed.
    func bounds(of topic: String, _ partition: Int) throws(KafkaFailure) -> OffsetBounds {
        var low: Int64 = 0
        var high: Int64 = 0
        try self.asking("ask for the ends of \(topic)/\(partition)") { client in
            rd_kafka_query_watermark_offsets(
                client, topic, Int32(partition), &low, &high, self.requestMilliseconds)
        }
        return OffsetBounds(start: low, end: high)
    }

    /// The first offset whose time in milliseconds is not before `time`; nil when there is none.
    func offset(of topic: String, _ partition: Int, at milliseconds: Int64) throws(KafkaFailure) -> Offset? {
        let list = rd_kafka_topic_partition_list_new(1)
        defer { rd_kafka_topic_partition_list_destroy(list) }
        guard let entry = rd_kafka_topic_partition_list_add(list, topic, Int32(partition)) else { return nil }
        try self.asking("ask for a time in \(topic)/\(partition)") { client in
            entry.pointee.offset = milliseconds
            let code = rd_kafka_offsets_for_times(client, list, self.requestMilliseconds)
            return code == RD_KAFKA_RESP_ERR_NO_ERROR ? entry.pointee.err : code
        }
        // Negative: behind the last record.
        return entry.pointee.offset >= 0 ? entry.pointee.offset : nil
    }

    /// Partitions by topic, of one topic or of all that the cluster shows this client. A topic with a partition that
    /// has no leader counts none, as it cannot be used yet.
    func partitions(of topic: String? = nil) throws(KafkaFailure) -> [String: Int] {
        let handle = if let topic { try self.topic(topic) } else { OpaquePointer?.none }
        var metadata: UnsafePointer<rd_kafka_metadata>?
        try verify(
            rd_kafka_metadata(self.pointer, topic == nil ? 1 : 0, handle, &metadata, self.requestMilliseconds),
            "ask for topics")
        guard let metadata else { return [:] }
        defer { rd_kafka_metadata_destroy(metadata) }
        var found: [String: Int] = [:]
        for index in 0..<Int(metadata.pointee.topic_cnt) {
            let entry = metadata.pointee.topics[index]
            if entry.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART { continue }
            let count = entry.err == RD_KAFKA_RESP_ERR_NO_ERROR ? Int(entry.partition_cnt) : 0
            let led = (0..<count).count { entry.partitions[$0].leader >= 0 }
            found[String(cString: entry.topic)] = led == count ? count : 0
        }
        return found
    }

    /// How many members a group has; none for one that nobody knows.
    func members(of group: String) throws(KafkaFailure) -> Int {
        var list: UnsafePointer<rd_kafka_group_list>?
        try verify(
            rd_kafka_list_groups(self.pointer, group, &list, self.requestMilliseconds), "ask for the members of \(group)")
        guard let list else { return 0 }
        defer { rd_kafka_group_list_destroy(list) }
        var members = 0
        for index in 0..<Int(list.pointee.group_cnt) {
            let found = list.pointee.groups[index]
            try verify(found.err, "ask for the members of \(group)")
            members += Int(found.member_cnt)
        }
        return members
    }

    /// The name that the cluster gave itself when it was made.
    func clusterID() -> String? {
        guard let name = rd_kafka_clusterid(self.pointer, self.requestMilliseconds) else { return nil }
        defer { rd_kafka_mem_free(self.pointer, name) }
        return String(cString: name)
    }

    /// Asks again while the cluster is busy with itself: electing a leader, or telling its nodes of a new topic.
    private func asking(_ stage: String, _ ask: (OpaquePointer) -> rd_kafka_resp_err_t) throws(KafkaFailure) {
        let start = LogWriter.monotonicMilliseconds()
        while true {
            let code = ask(self.pointer)
            if code == RD_KAFKA_RESP_ERR_NO_ERROR { return }
            let waits: Int64
            switch code {
            case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
                RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE,
                RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH,
                RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__NODE_UPDATE:
                waits = Int64(Limits.Kafka.requestMilliseconds)
            // A node that has not heard of a new topic says the same as one that knows it is gone.
            case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
                waits = Limits.Kafka.newTopicMilliseconds
            default: waits = 0
            }
            guard LogWriter.monotonicMilliseconds() - start < waits, !self.ending.isOver() else { throw KafkaFailure(code, stage) }
            usleep(Limits.Kafka.settleStepMilliseconds * 1_000)
        }
    }
}
