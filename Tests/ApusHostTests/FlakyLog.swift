import ApusCore
import ApusTestSupport
import Synchronization

/// A log in memory whose writes of outcomes fail as often as a test asks, as they do on a full disk, and in which a
/// test can let something happen just before records are read for their dispatch.
final class FlakyLog: EventLog {
    private let inner: MemoryLog
    private let failures = Mutex(0)

    init(clock: @escaping @Sendable () -> Timestamp) { self.inner = MemoryLog(clock: clock) }

    private let beforeDispatch = Mutex<(@Sendable ([RecordPlace]) -> Void)?>(nil)

    func beforeDispatch(_ body: @escaping @Sendable ([RecordPlace]) -> Void) {
        self.beforeDispatch.withLock { $0 = body }
    }

    func fail(next count: Int) { self.failures.withLock { $0 = count } }
    var failuresLeft: Int { self.failures.withLock { $0 } }

    func submit(_ batch: LogBatch, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void) {
        let mustFail = self.failures.withLock { failures in
            guard batch.urgency == .settlement, failures > 0 else { return false }
            failures -= 1
            return true
        }
        guard mustFail else { return self.inner.submit(batch, completion) }
        completion(.failure(ApusError(.logFull, "the disk is full")))
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
    func read(
        _ partition: TopicPartition, from start: Offset, maxRecords: Int, maxBytes: Int,
        _ body: (Offset, UnsafeRawBufferPointer) -> Bool
    ) throws(ApusError) -> Offset {
        try self.inner.read(partition, from: start, maxRecords: maxRecords, maxBytes: maxBytes, body)
    }
    func records(at places: [RecordPlace], _ body: (Int, UnsafeRawBufferPointer?) -> Void) throws(ApusError) {
        self.beforeDispatch.withLock { $0 }?(places)
        try self.inner.records(at: places, body)
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
