internal import ApusCore
internal import Glibc
internal import Synchronization

/// A log whose input topic seems empty until it is opened, so that a worker can be ready before the first record is read, and that
/// counts the replies that became durable. Everything else is the log behind it.
final class EndToEndLog: EventLog {
    private struct State {
        var isOpen = false
        var growths: [@Sendable (Int, Offset) -> Void] = []
        var replies = 0
        var target = 0
        var end = 0.0
    }

    private let base: any EventLog
    private let input: TopicName
    private let output: TopicName
    private let state = Mutex(State())
    private let arrived = BenchSignal()
    /// What the last reply held, for who sends one event at a time.
    private let last = Mutex<[UInt8]>([])

    init(_ base: any EventLog, input: TopicName, output: TopicName) {
        self.base = base
        self.input = input
        self.output = output
    }

    /// Lets the records of the input be seen.
    /// - Returns: when that was.
    func open() throws(ApusError) -> Double {
        let growths = self.state.withLock { state in
            state.isOpen = true
            return state.growths
        }
        let partitions = self.base.topic(self.input)?.partitions ?? 0
        var ends: [Offset] = []
        for partition in 0..<partitions {
            ends.append(try self.base.bounds(of: TopicPartition(self.input, partition)).end)
        }
        let start = seconds()
        for growth in growths { for partition in ends.indices { growth(partition, ends[partition]) } }
        return start
    }

    /// Waits until so many more replies are durable.
    /// - Returns: when the last of them was.
    func wait(for replies: Int) throws -> Double {
        let isThere = self.state.withLock { state in
            state.target += replies
            return state.replies >= state.target
        }
        if !isThere, !self.arrived.wait(seconds: 120) {
            throw BenchFailure(
                "\(self.state.withLock { $0.replies }) replies came of \(self.state.withLock { $0.target })")
        }
        return self.state.withLock { $0.end }
    }

    var lastReply: [UInt8] { self.last.withLock { $0 } }

    private func noted(_ replies: Int, _ last: [UInt8]?) {
        if let last { self.last.withLock { $0 = last } }
        let isLast = self.state.withLock { state in
            let before = state.replies
            state.replies += replies
            state.end = seconds()
            return before < state.target && state.replies >= state.target
        }
        if isLast { self.arrived.raise() }
    }

    // MARK: what is different

    func submit(_ batch: LogBatch, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void) {
        let output = self.output
        let replies = batch.appends.reduce(0) { $0 + ($1.topic == output ? 1 : 0) }
        let last = replies == 1 ? batch.appends.last?.block : nil
        self.base.submit(batch) { result in
            if replies > 0, case .success = result { self.noted(replies, last) }
            completion(result)
        }
    }

    func bounds(of partition: TopicPartition) throws(ApusError) -> OffsetBounds {
        let bounds = try self.base.bounds(of: partition)
        guard partition.topic == self.input, !self.state.withLock({ $0.isOpen }) else { return bounds }
        return OffsetBounds(start: bounds.start, end: bounds.start)
    }

    func follow(_ topic: TopicName, _ growth: @escaping @Sendable (Int, Offset) -> Void) -> FollowToken {
        guard topic == self.input else { return self.base.follow(topic, growth) }
        self.state.withLock { $0.growths.append(growth) }
        return self.base.follow(topic) { partition, end in
            if self.state.withLock({ $0.isOpen }) { growth(partition, end) }
        }
    }

    // MARK: what is not

    var identity: UInt64 { self.base.identity }
    var status: LogStatus { self.base.status }
    func records(at places: [RecordPlace], _ body: (Int, UnsafeRawBufferPointer?) -> Void) throws(ApusError) {
        try self.base.records(at: places, body)
    }
    func recordsAtHand(_ places: [RecordPlace], _ body: (Int, UnsafeRawBufferPointer?) -> Void) throws(ApusError)
        -> [Int]
    {
        try self.base.recordsAtHand(places, body)
    }
    func read(
        _ partition: TopicPartition, from start: Offset, maxRecords: Int, maxBytes: Int,
        _ body: (Offset, UnsafeRawBufferPointer) -> Bool
    ) throws(ApusError) -> Offset {
        try self.base.read(partition, from: start, maxRecords: maxRecords, maxBytes: maxBytes, body)
    }
    func isInMemory(_ partition: TopicPartition, from start: Offset) -> Bool {
        self.base.isInMemory(partition, from: start)
    }
    func topic(_ name: TopicName) -> TopicConfiguration? { self.base.topic(name) }
    func topics() -> [TopicName] { self.base.topics() }
    func discard(_ partition: TopicPartition, before offset: Offset) { self.base.discard(partition, before: offset) }
    func unfollow(_ token: FollowToken) { self.base.unfollow(token) }
    func close() { self.base.close() }
    func createTopic(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) {
        try self.base.createTopic(name, configuration)
    }
    func alterTopic(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) {
        try self.base.alterTopic(name, configuration)
    }
    func deleteTopic(_ name: TopicName) throws(ApusError) { try self.base.deleteTopic(name) }
    func offset(of partition: TopicPartition, at time: Timestamp) throws(ApusError) -> Offset {
        try self.base.offset(of: partition, at: time)
    }
    func ledger(prefix: [UInt8]) throws(ApusError) -> [(key: [UInt8], value: [UInt8])] {
        try self.base.ledger(prefix: prefix)
    }
}
