internal import ApusCore
internal import CRDKafka

/// Changes of topics. Each call blocks until the controller has answered.
struct KafkaAdmin {
    let client: KafkaClient

    func create(_ topic: String, partitions: Int, replicas: Int?, _ settings: [(String, String)])
        throws(KafkaFailure)
    {
        let stage = "make the topic \(topic)"
        var bytes = [CChar](repeating: 0, count: 512)
        guard
            let order = rd_kafka_NewTopic_new(topic, Int32(partitions), Int32(replicas ?? -1), &bytes, bytes.count)
        else {
            throw KafkaFailure(RD_KAFKA_RESP_ERR__INVALID_ARG, stage, text(of: bytes))
        }
        defer { rd_kafka_NewTopic_destroy(order) }
        for (name, value) in settings { try verify(rd_kafka_NewTopic_set_config(order, name, value), stage) }
        try self.perform(RD_KAFKA_ADMIN_OP_CREATETOPICS, stage) { options, queue in
            var orders: [OpaquePointer?] = [order]
            rd_kafka_CreateTopics(self.client.pointer, &orders, 1, options, queue)
        } answer: { event throws(KafkaFailure) in
            var count = 0
            try Self.check(
                rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count), count, stage)
        }
    }

    func delete(_ topic: String) throws(KafkaFailure) {
        let stage = "delete the topic \(topic)"
        let order = rd_kafka_DeleteTopic_new(topic)
        defer { rd_kafka_DeleteTopic_destroy(order) }
        try self.perform(RD_KAFKA_ADMIN_OP_DELETETOPICS, stage) { options, queue in
            var orders: [OpaquePointer?] = [order]
            rd_kafka_DeleteTopics(self.client.pointer, &orders, 1, options, queue)
        } answer: { event throws(KafkaFailure) in
            var count = 0
            try Self.check(
                rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count), count, stage)
        }
    }

    /// - Parameter partitions: how many there are to be, all together.
    func grow(_ topic: String, to partitions: Int) throws(KafkaFailure) {
        let stage = "add partitions to \(topic)"
        var bytes = [CChar](repeating: 0, count: 512)
        guard let order = rd_kafka_NewPartitions_new(topic, partitions, &bytes, bytes.count) else {
            throw KafkaFailure(RD_KAFKA_RESP_ERR__INVALID_ARG, stage, text(of: bytes))
        }
        defer { rd_kafka_NewPartitions_destroy(order) }
        try self.perform(RD_KAFKA_ADMIN_OP_CREATEPARTITIONS, stage) { options, queue in
            var orders: [OpaquePointer?] = [order]
            rd_kafka_CreatePartitions(self.client.pointer, &orders, 1, options, queue)
        } answer: { event throws(KafkaFailure) in
            var count = 0
            let results = rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event), &count)
            try Self.check(results, count, stage)
        }
    }

    /// Replaces all settings of a topic: what is not named goes back to the cluster's default.
    func alter(_ topic: String, _ settings: [(String, String)]) throws(KafkaFailure) {
        let stage = "change the settings of \(topic)"
        let resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic)
        defer { rd_kafka_ConfigResource_destroy(resource) }
        for (name, value) in settings { try verify(rd_kafka_ConfigResource_set_config(resource, name, value), stage) }
        try self.perform(RD_KAFKA_ADMIN_OP_ALTERCONFIGS, stage) { options, queue in
            var orders: [OpaquePointer?] = [resource]
            rd_kafka_AlterConfigs(self.client.pointer, &orders, 1, options, queue)
        } answer: { event throws(KafkaFailure) in
            var count = 0
            let results = rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(event), &count)
            for index in 0..<count { try Self.check(results?[index], stage) }
        }
    }

    /// The settings of topics, by topic and name.
    func settings(of topics: [String]) throws(KafkaFailure) -> [String: [String: String]] {
        guard !topics.isEmpty else { return [:] }
        let stage = "ask for the settings of topics"
        var orders: [OpaquePointer?] = topics.map { rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, $0) }
        defer { for order in orders { rd_kafka_ConfigResource_destroy(order) } }
        var found: [String: [String: String]] = [:]
        try self.perform(RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, stage) { options, queue in
            rd_kafka_DescribeConfigs(self.client.pointer, &orders, orders.count, options, queue)
        } answer: { event throws(KafkaFailure) in
            var count = 0
            let results = rd_kafka_DescribeConfigs_result_resources(
                rd_kafka_event_DescribeConfigs_result(event), &count)
            for index in 0..<count {
                guard let resource = results?[index] else { continue }
                // A topic that went meanwhile has none.
                guard rd_kafka_ConfigResource_error(resource) == RD_KAFKA_RESP_ERR_NO_ERROR else { continue }
                found[String(cString: rd_kafka_ConfigResource_name(resource))] = Self.entries(of: resource)
            }
        }
        return found
    }

    /// Lets records before the offsets go. Those of a compacted topic stay, as Kafka has it.
    func deleteRecords(before offsets: [(topic: String, partition: Int, offset: Offset)]) throws(KafkaFailure) {
        let stage = "delete records"
        let list = rd_kafka_topic_partition_list_new(Int32(offsets.count))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        for place in offsets {
            rd_kafka_topic_partition_list_add(list, place.topic, Int32(place.partition))?.pointee.offset = place.offset
        }
        let order = rd_kafka_DeleteRecords_new(list)
        defer { rd_kafka_DeleteRecords_destroy(order) }
        try self.perform(RD_KAFKA_ADMIN_OP_DELETERECORDS, stage) { options, queue in
            var orders: [OpaquePointer?] = [order]
            rd_kafka_DeleteRecords(self.client.pointer, &orders, 1, options, queue)
        } answer: { event throws(KafkaFailure) in
            guard let results = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event)) else {
                return
            }
            for index in 0..<Int(results.pointee.cnt) { try verify(results.pointee.elems[index].err, stage) }
        }
    }

    // MARK: helpers

    private static func entries(of resource: OpaquePointer) -> [String: String] {
        var entries: [String: String] = [:]
        var count = 0
        let found = rd_kafka_ConfigResource_configs(resource, &count)
        for index in 0..<count {
            guard let entry = found?[index], let name = rd_kafka_ConfigEntry_name(entry),
                let value = rd_kafka_ConfigEntry_value(entry)
            else { continue }
            entries[String(cString: name)] = String(cString: value)
        }
        return entries
    }

    /// Sends a request and waits for its one answer.
    private func perform(
        _ operation: rd_kafka_admin_op_t, _ stage: String, _ send: (OpaquePointer?, OpaquePointer?) -> Void,
        answer: (OpaquePointer) throws(KafkaFailure) -> Void
    ) throws(KafkaFailure) {
        let options = rd_kafka_AdminOptions_new(self.client.pointer, operation)
        defer { rd_kafka_AdminOptions_destroy(options) }
        var bytes = [CChar](repeating: 0, count: 256)
        let timeout = self.client.requestMilliseconds
        _ = rd_kafka_AdminOptions_set_request_timeout(options, timeout, &bytes, bytes.count)
        if [
            RD_KAFKA_ADMIN_OP_CREATETOPICS, RD_KAFKA_ADMIN_OP_DELETETOPICS, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS,
            RD_KAFKA_ADMIN_OP_DELETERECORDS,
        ].contains(operation) {
            _ = rd_kafka_AdminOptions_set_operation_timeout(options, timeout, &bytes, bytes.count)
        }
        let queue = rd_kafka_queue_new(self.client.pointer)
        defer { rd_kafka_queue_destroy(queue) }
        send(options, queue)
        guard let event = rd_kafka_queue_poll(queue, timeout + 1_000) else {
            let why = self.client.context.error ?? "no answer"
            throw KafkaFailure(RD_KAFKA_RESP_ERR__TIMED_OUT, stage, why)
        }
        defer { rd_kafka_event_destroy(event) }
        let code = rd_kafka_event_error(event)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaFailure(code, stage, rd_kafka_event_error_string(event).map { String(cString: $0) })
        }
        try answer(event)
    }

    private static func check(
        _ results: UnsafeMutablePointer<OpaquePointer?>?, _ count: Int, _ stage: String
    ) throws(KafkaFailure) {
        for index in 0..<count {
            guard let result = results?[index] else { continue }
            let code = rd_kafka_topic_result_error(result)
            guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
                throw KafkaFailure(code, stage, rd_kafka_topic_result_error_string(result).map { String(cString: $0) })
            }
        }
    }

    private static func check(_ resource: OpaquePointer?, _ stage: String) throws(KafkaFailure) {
        guard let resource else { return }
        let code = rd_kafka_ConfigResource_error(resource)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaFailure(code, stage, rd_kafka_ConfigResource_error_string(resource).map { String(cString: $0) })
        }
    }
}
