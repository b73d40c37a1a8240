internal import ApusCore
internal import CRDKafka
internal import Glibc

/// Offsets that groups committed, asked for and set without being a member. Many groups at a time: the answers come in any order.
struct GroupOffsets {
    /// What one group has, or is to have.
    struct Group {
        var name: String
        var places: [Place]
    }

    struct Place: Equatable {
        var topic: String
        var partition: Int
        /// Negative for none.
        var offset: Offset = -1
        /// What whoever committed it noted beside it.
        var note = ""
    }

    /// What became of one group: what it has now, or why the cluster does not say.
    typealias Answer = Result<[Place], KafkaFailure>

    let client: KafkaClient

    /// What each group committed in the partitions that it was asked for; without an offset where it committed nothing.
    func committed(_ groups: [Group]) throws(KafkaFailure) -> [Answer] {
        try self.perform(groups, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, "ask for positions of") {
            group, list, options, queue in
            var order: OpaquePointer? = rd_kafka_ListConsumerGroupOffsets_new(group.name, list)
            rd_kafka_ListConsumerGroupOffsets(self.client.pointer, &order, 1, options, queue)
            rd_kafka_ListConsumerGroupOffsets_destroy(order)
        } results: {
            rd_kafka_ListConsumerGroupOffsets_result_groups(rd_kafka_event_ListConsumerGroupOffsets_result($0), &$1)
        }
    }

    func set(_ groups: [Group]) throws(KafkaFailure) -> [Answer] {
        try self.perform(groups, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, "show positions of") {
            group, list, options, queue in
            var order: OpaquePointer? = rd_kafka_AlterConsumerGroupOffsets_new(group.name, list)
            rd_kafka_AlterConsumerGroupOffsets(self.client.pointer, &order, 1, options, queue)
            rd_kafka_AlterConsumerGroupOffsets_destroy(order)
        } results: {
            rd_kafka_AlterConsumerGroupOffsets_result_groups(rd_kafka_event_AlterConsumerGroupOffsets_result($0), &$1)
        }
    }

    /// Takes them away. A group of which nothing is left goes by itself.
    func remove(_ groups: [Group]) throws(KafkaFailure) -> [Answer] {
        try self.perform(groups, RD_KAFKA_ADMIN_OP_DELETECONSUMERGROUPOFFSETS, "take away positions of") {
            group, list, options, queue in
            var order: OpaquePointer? = rd_kafka_DeleteConsumerGroupOffsets_new(group.name, list)
            rd_kafka_DeleteConsumerGroupOffsets(self.client.pointer, &order, 1, options, queue)
            rd_kafka_DeleteConsumerGroupOffsets_destroy(order)
        } results: {
            rd_kafka_DeleteConsumerGroupOffsets_result_groups(rd_kafka_event_DeleteConsumerGroupOffsets_result($0), &$1)
        }
    }

    // MARK: asking

    private typealias Send = (
        Group, UnsafeMutablePointer<rd_kafka_topic_partition_list_t>, OpaquePointer?, OpaquePointer?
    ) -> Void
    private typealias Results = (OpaquePointer, inout Int) -> UnsafeMutablePointer<OpaquePointer?>?

    /// - Throws: what asking again later may mend: nobody answers, or a coordinator moves.
    private func perform(
        _ groups: [Group], _ operation: rd_kafka_admin_op_t, _ stage: String, send: Send, results: Results
    ) throws(KafkaFailure) -> [Answer] {
        var answers: [Answer] = groups.map { .success($0.places) }
        let queue = rd_kafka_queue_new(self.client.pointer)
        defer { rd_kafka_queue_destroy(queue) }
        let deadline = LogWriter.monotonicMilliseconds() + Int64(self.client.requestMilliseconds)
        var (sent, answered) = (0, 0)
        while answered < groups.count {
            while sent < groups.count, sent - answered < Limits.Kafka.groupsAtOnce {
                self.send(groups[sent], sent, operation, queue, send)
                sent += 1
            }
            let left = deadline - LogWriter.monotonicMilliseconds()
            guard left > 0, let event = rd_kafka_queue_poll(queue, Int32(clamping: left)) else {
                throw KafkaFailure(
                    RD_KAFKA_RESP_ERR__TIMED_OUT, "\(stage) \(groups.count) groups",
                    self.client.context.error ?? "no answer")
            }
            defer { rd_kafka_event_destroy(event) }
            answered += 1
            let index = Int(bitPattern: rd_kafka_event_opaque(event)) - 1
            guard groups.indices.contains(index) else { continue }
            do throws(KafkaFailure) {
                answers[index] = .success(
                    try Self.places(event, groups[index], "\(stage) \(groups[index].name)", results))
            } catch {
                if error.isPassing { throw error }
                answers[index] = .failure(error)
            }
        }
        return answers
    }

    private func send(
        _ group: Group, _ index: Int, _ operation: rd_kafka_admin_op_t, _ queue: OpaquePointer?, _ send: Send
    ) {
        let options = rd_kafka_AdminOptions_new(self.client.pointer, operation)
        defer { rd_kafka_AdminOptions_destroy(options) }
        var bytes = [CChar](repeating: 0, count: 256)
        _ = rd_kafka_AdminOptions_set_request_timeout(options, self.client.requestMilliseconds, &bytes, bytes.count)
        rd_kafka_AdminOptions_set_opaque(options, UnsafeMutableRawPointer(bitPattern: index + 1))
        let list = rd_kafka_topic_partition_list_new(Int32(group.places.count))
        defer { rd_kafka_topic_partition_list_destroy(list) }
        guard let list else { return }
        for place in group.places {
            guard let entry = rd_kafka_topic_partition_list_add(list, place.topic, Int32(place.partition)) else {
                continue
            }
            guard place.offset >= 0 else { continue }
            entry.pointee.offset = place.offset
            // The list frees it.
            guard let note = strdup(place.note) else { continue }
            entry.pointee.metadata = UnsafeMutableRawPointer(note)
            entry.pointee.metadata_size = strlen(note)
        }
        send(group, list, options, queue)
    }

    /// What the cluster says of a group, in the order in which it was asked.
    private static func places(
        _ event: OpaquePointer, _ asked: Group, _ stage: String, _ results: Results
    ) throws(KafkaFailure) -> [Place] {
        let code = rd_kafka_event_error(event)
        guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
            throw KafkaFailure(code, stage, rd_kafka_event_error_string(event).map { String(cString: $0) })
        }
        var count = 0
        guard let result = results(event, &count)?[0], count > 0 else {
            throw KafkaFailure(RD_KAFKA_RESP_ERR__BAD_MSG, stage)
        }
        if let error = rd_kafka_group_result_error(result) {
            throw KafkaFailure(rd_kafka_error_code(error), stage, String(cString: rd_kafka_error_string(error)))
        }
        var places = asked.places.map { Place(topic: $0.topic, partition: $0.partition) }
        guard let list = rd_kafka_group_result_partitions(result) else { return places }
        for index in 0..<Int(list.pointee.cnt) {
            let entry = list.pointee.elems[index]
            // One of a topic that is gone is nobody's.
            if entry.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART { continue }
            try verify(entry.err, stage)
            let topic = String(cString: entry.topic)
            guard
                let place = places.firstIndex(where: { $0.topic == topic && $0.partition == Int(entry.partition) })
            else { continue }
            places[place].offset = entry.offset
            guard let note = entry.metadata, entry.metadata_size > 0 else { continue }
            places[place].note = String(
                decoding: UnsafeRawBufferPointer(start: note, count: entry.metadata_size), as: UTF8.self)
        }
        return places
    }
}

extension KafkaFailure {
    /// Asking again a while later may bring an answer.
    var isPassing: Bool {
        [
            RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, RD_KAFKA_RESP_ERR__TRANSPORT,
            RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, RD_KAFKA_RESP_ERR__WAIT_COORD, RD_KAFKA_RESP_ERR__DESTROY,
            RD_KAFKA_RESP_ERR__RESOLVE, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
            RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
            RD_KAFKA_RESP_ERR_NOT_COORDINATOR, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        ].contains(self.code)
    }
}
