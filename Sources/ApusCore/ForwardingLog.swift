/// An event log in front of another: everything is passed on but what it says otherwise. What logs come to be asked later belongs
/// here too: the answers of ``EventLog`` for logs that know nothing of it would be wrong.
public protocol ForwardingLog: EventLog {
    var forwarded: any EventLog { get }
}

extension ForwardingLog {
    public var identity: UInt64 { self.forwarded.identity }
    public var status: LogStatus { self.forwarded.status }
    public var sharing: (any WorkSharing)? { self.forwarded.sharing }
    public var positions: (any GroupPositions)? { self.forwarded.positions }
    public func end(within span: TimeSpan) { self.forwarded.end(within: span) }
    public func close() { self.forwarded.close() }

    // MARK: topics

    public func createTopic(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) {
        try self.forwarded.createTopic(name, configuration)
    }
    public func alterTopic(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) {
        try self.forwarded.alterTopic(name, configuration)
    }
    public func deleteTopic(_ name: TopicName) throws(ApusError) { try self.forwarded.deleteTopic(name) }
    public func topic(_ name: TopicName) -> TopicConfiguration? { self.forwarded.topic(name) }
    public func topics() -> [TopicName] { self.forwarded.topics() }
    public func lookForTopics() { self.forwarded.lookForTopics() }
    public func appended() -> [TopicAppended] { self.forwarded.appended() }
    public func discard(_ partition: TopicPartition, before offset: Offset) {
        self.forwarded.discard(partition, before: offset)
    }

    // MARK: writing

    public func submit(_ batch: LogBatch, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void) {
        self.forwarded.submit(batch, completion)
    }

    // MARK: reading

    public func bounds(of partition: TopicPartition) throws(ApusError) -> OffsetBounds {
        try self.forwarded.bounds(of: partition)
    }
    public func offset(of partition: TopicPartition, at time: Timestamp) throws(ApusError) -> Offset {
        try self.forwarded.offset(of: partition, at: time)
    }
    public func read(
        _ partition: TopicPartition, from start: Offset, maxRecords: Int, maxBytes: Int,
        _ body: (Offset, UnsafeRawBufferPointer) -> Bool
    ) throws(ApusError) -> Offset {
        try self.forwarded.read(partition, from: start, maxRecords: maxRecords, maxBytes: maxBytes, body)
    }
    public func records(at places: [RecordPlace], _ body: (Int, UnsafeRawBufferPointer?) -> Void) throws(ApusError) {
        try self.forwarded.records(at: places, body)
    }
    public func recordsAtHand(
        _ places: [RecordPlace], _ body: (Int, UnsafeRawBufferPointer?) -> Void
    ) throws(ApusError) -> [Int] {
        try self.forwarded.recordsAtHand(places, body)
    }
    public func newest(of key: [UInt8], in partition: TopicPartition) throws(ApusError) -> Offset? {
        try self.forwarded.newest(of: key, in: partition)
    }
    public func isInMemory(_ partition: TopicPartition, from start: Offset) -> Bool {
        self.forwarded.isInMemory(partition, from: start)
    }
    public func follow(_ topic: TopicName, _ growth: @escaping @Sendable (_ partition: Int, _ end: Offset) -> Void)
        -> FollowToken
    { self.forwarded.follow(topic, growth) }
    public func unfollow(_ token: FollowToken) { self.forwarded.unfollow(token) }
    public func narrow(_ token: FollowToken, without partitions: Set<Int>) {
        self.forwarded.narrow(token, without: partitions)
    }

    // MARK: ledger and keys

    public func ledger(prefix: [UInt8]) throws(ApusError) -> [(key: [UInt8], value: [UInt8])] {
        try self.forwarded.ledger(prefix: prefix)
    }
    public var remembersKeys: Bool { self.forwarded.remembersKeys }
    public func remembered(_ keys: [[UInt8]]) throws(ApusError) -> [[UInt8]?] { try self.forwarded.remembered(keys) }
    public var rebuildsKeys: Bool { self.forwarded.rebuildsKeys }
    public func remember(_ keys: [LogBatch.KeyWrite]) throws(ApusError) { try self.forwarded.remember(keys) }
}
