internal import ApusCore
internal import CRDKafka
internal import Synchronization

/// One client as a member of a consumer group, from its subscription to its end. The thread of its group alone uses it.
///
/// librdkafka 2.0.2 ends the process when a member is destroyed that its group let in and that was not told its part yet: what
/// `cooperative-sticky` keeps of a member is made with the first part and destroyed with the member, whether it was made or not. So
/// ``end()`` waits for that first part, and a member that is never told is kept for the rest of the process.
final class KafkaMember {
    typealias Rebalance = (
        OpaquePointer, rd_kafka_resp_err_t, UnsafeMutablePointer<rd_kafka_topic_partition_list_t>
    ) -> Void

    let client: KafkaClient
    /// The group told it its part at least once: from here on it may be destroyed.
    private(set) var wasTold = false

    /// - Parameter rebalance: what is done with each part; called inside librdkafka's `consumer_poll` only.
    init(
        _ configuration: KafkaLogConfiguration, _ membership: KafkaGroup.Membership, rebalance: @escaping Rebalance
    ) throws(KafkaFailure) {
        self.client = try KafkaClient(
            configuration,
            .member(
                group: membership.group, node: membership.node, sessionMilliseconds: membership.sessionMilliseconds),
            name: membership.group)
        self.client.context.onRebalance = { [unowned self] client, code, list in
            self.wasTold = true
            rebalance(client, code, list)
        }
        try verify(rd_kafka_poll_set_consumer(self.client.pointer), "take part in \(membership.group)")
        let topics = rd_kafka_topic_partition_list_new(1)
        defer { rd_kafka_topic_partition_list_destroy(topics) }
        rd_kafka_topic_partition_list_add(topics, membership.topic, -1)
        try verify(rd_kafka_subscribe(self.client.pointer, topics), "take part in \(membership.group)")
    }

    /// Has librdkafka write to a descriptor whenever there is something to take.
    func wake(_ descriptor: CInt) {
        let queue = rd_kafka_queue_get_consumer(self.client.pointer)
        defer { rd_kafka_queue_destroy(queue) }
        var one: UInt64 = 1
        rd_kafka_queue_io_event_enable(queue, descriptor, &one, 8)
    }

    /// Takes what came: parts, and messages, which say what is wrong since its topic stays empty.
    /// - Returns: whether there was anything.
    @discardableResult
    func take(within milliseconds: CInt = 0) -> Bool {
        guard let message = rd_kafka_consumer_poll(self.client.pointer, milliseconds) else { return false }
        let text = String(cString: rd_kafka_message_errstr(message))
        self.client.context.observer.log(4, self.client.context.name, "the group: \(text)")
        rd_kafka_message_destroy(message)
        return true
    }

    /// Whether the group let it in. A member that a static name has is let in with the answer that brings its id.
    var wasLetIn: Bool {
        guard let id = rd_kafka_memberid(self.client.pointer) else { return false }
        defer { rd_kafka_mem_free(self.client.pointer, id) }
        return id[0] != 0
    }

    /// Ends the membership without a farewell, so that whoever has its name next has its part back at once. The client goes with the
    /// last reference to it.
    func end() {
        let queue = rd_kafka_queue_get_consumer(self.client.pointer)
        rd_kafka_queue_io_event_enable(queue, -1, nil, 0)
        rd_kafka_queue_destroy(queue)
        // What comes now is nobody's.
        self.client.context.onRebalance = { [unowned self] client, code, list in
            self.wasTold = true
            let error =
                code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS
                ? rd_kafka_incremental_assign(client, list) : rd_kafka_incremental_unassign(client, list)
            if let error { rd_kafka_error_destroy(error) }
        }
        defer { self.client.context.onRebalance = nil }
        if self.wasTold { return }
        if !self.wasLetIn {
            // An answer that lets it in is ignored from here on.
            rd_kafka_unsubscribe(self.client.pointer)
            if !self.wasLetIn { return }
        }
        let deadline = LogWriter.monotonicMilliseconds() + Limits.Kafka.firstPartMilliseconds
        while !self.wasTold, LogWriter.monotonicMilliseconds() < deadline {
            self.take(within: Limits.Kafka.drainStepMilliseconds)
        }
        if !self.wasTold { ParkedMembers.keep(self.client) }
    }
}

/// Members that cannot be destroyed: see ``KafkaMember``. Each costs its threads until the process ends.
enum ParkedMembers {
    private static let clients = Mutex<[KafkaClient]>([])

    static func keep(_ client: KafkaClient) { self.clients.withLock { $0.append(client) } }
    static var count: Int { self.clients.withLock { $0.count } }
    /// So many that none is added: a node that cannot stay in its group stays out of it.
    static var isFull: Bool { self.count >= Limits.Kafka.parkedMembers }
}
