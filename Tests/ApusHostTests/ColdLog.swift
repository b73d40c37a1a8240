import ApusCore
import ApusTestSupport
import Glibc
import Synchronization

/// A log in memory that says of none of its records that it is at hand, as one on a cluster does of what lies far behind.
final class ColdLog: EventLog {
    private struct State {
        var isHeld = false
        var waitedFor = 0
    }

    private let inner: MemoryLog
    private let state = Mutex(State())
    /// Whether the calling thread is one that must not wait.
    private let mustNotWait: Mutex<@Sendable () -> Bool> = Mutex({ false })

    init(clock: @escaping @Sendable () -> Timestamp) { self.inner = MemoryLog(clock: clock) }

    func mustNotWait(where isThere: @escaping @Sendable () -> Bool) { self.mustNotWait.withLock { $0 = isThere } }
    /// Reads of single records wait until it is let go.
    func hold() { self.state.withLock { $0.isHeld = true } }
    func letGo() { self.state.withLock { $0.isHeld = false } }
    /// Reads that a thread made which must not wait.
    var waitedFor: Int { self.state.withLock { $0.waitedFor } }

    private func note() {
        let isWrong = self.mustNotWait.withLock { $0 }()
        if isWrong { self.state.withLock { $0.waitedFor += 1 } }
    }

    func records(at places: [RecordPlace], _ body: (Int, UnsafeRawBufferPointer?) -> Void) throws(ApusError) {
        self.note()
        while self.state.withLock({ $0.isHeld }) { sched_yield() }
        try self.inner.records(at: places, body)
    }
    func recordsAtHand(
        _ places: [RecordPlace], _ body: (Int, UnsafeRawBufferPointer?) -> Void
    ) throws(ApusError) -> [Int] { Array(places.indices) }
    func isInMemory(_ partition: TopicPartition, from start: Offset) -> Bool { false }
    func read(
        _ partition: TopicPartition, from start: Offset, maxRecords: Int, maxBytes: Int,
        _ body: (Offset, UnsafeRawBufferPointer) -> Bool
    ) throws(ApusError) -> Offset {
        self.note()
        return try self.inner.read(partition, from: start, maxRecords: maxRecords, maxBytes: maxBytes, body)
    }

    func submit(_ batch: LogBatch, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void) {
        self.inner.submit(batch, completion)
    }
    var identity: UInt64 { self.inner.identity }
    var status: LogStatus { self.inner.status }
    func topic(_ name: TopicName) -> TopicConfiguration? { self.inner.topic(name) }
    func topics() -> [TopicName] { self.inner.topics() }
    func discard(_ partition: TopicPartition, before offset: Offset) { self.inner.discard(partition, before: offset) }
    func createTopic(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) {
        try self.inner.createTopic(name, configuration)
    }
    func alterTopic(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) {
        try self.inner.alterTopic(name, configuration)
    }
    func deleteTopic(_ name: TopicName) throws(ApusError) { try self.inner.deleteTopic(name) }
    func bounds(of partition: TopicPartition) throws(ApusError) -> OffsetBounds { try self.inner.bounds(of: partition) }
    func offset(of partition: TopicPartition, at time: Timestamp) throws(ApusError) -> Offset {
        try self.inner.offset(of: partition, at: time)
    }
    func follow(_ topic: TopicName, _ growth: @escaping @Sendable (Int, Offset) -> Void) -> FollowToken {
        self.inner.follow(topic, growth)
    }
    func unfollow(_ token: FollowToken) { self.inner.unfollow(token) }
    func ledger(prefix: [UInt8]) throws(ApusError) -> [(key: [UInt8], value: [UInt8])] {
        try self.inner.ledger(prefix: prefix)
    }
    func close() { self.inner.close() }
}
