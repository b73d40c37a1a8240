import ApusCore
import ApusTestSupport
import Synchronization

/// A log in memory whose writes wait until the test lets them through, or fail.
final class HeldLog: EventLog {
    enum Mode { case open, held, failing }

    private struct State {
        var mode = Mode.open
        var waiting: [@Sendable () -> Void] = []
        var batches: [Int] = []
    }

    let memory: MemoryLog
    private let state = Mutex(State())

    init(clock: @escaping @Sendable () -> Timestamp = { .zero }) { self.memory = MemoryLog(clock: clock) }

    /// How many appends each batch had that was submitted.
    var batches: [Int] { self.state.withLock { $0.batches } }
    var waitingCount: Int { self.state.withLock { $0.waiting.count } }

    func set(_ mode: Mode) { self.state.withLock { $0.mode = mode } }

    /// Lets the oldest write through that waits.
    func releaseOne() {
        let work = self.state.withLock { $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }
        work?()
    }

    func submit(_ batch: LogBatch, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void) {
        let mode = self.state.withLock { state in
            state.batches.append(batch.appends.count)
            if state.mode == .held { state.waiting.append { self.memory.submit(batch, completion) } }
            return state.mode
        }
        switch mode {
        case .open: self.memory.submit(batch, completion)
        case .held: break
        case .failing: completion(.failure(ApusError(.logFailed, "the test lets no write through")))
        }
    }

    // MARK: passed on

    var identity: UInt64 { self.memory.identity }
    var status: LogStatus { self.memory.status }
    func createTopic(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) {
        try self.memory.createTopic(name, configuration)
    }
    func alterTopic(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) {
        try self.memory.alterTopic(name, configuration)
    }
    func deleteTopic(_ name: TopicName) throws(ApusError) { try self.memory.deleteTopic(name) }
    func topic(_ name: TopicName) -> TopicConfiguration? { self.memory.topic(name) }
    func topics() -> [TopicName] { self.memory.topics() }
    func discard(_ partition: TopicPartition, before offset: Offset) { self.memory.discard(partition, before: offset) }
    func bounds(of partition: TopicPartition) throws(ApusError) -> OffsetBounds {
        try self.memory.bounds(of: partition)
    }
    func offset(of partition: TopicPartition, at time: Timestamp) throws(ApusError) -> Offset {
        try self.memory.offset(of: partition, at: time)
    }
    func read(
        _ partition: TopicPartition, from start: Offset, maxRecords: Int, maxBytes: Int,
        _ body: (Offset, UnsafeRawBufferPointer) -> Bool
    ) throws(ApusError) -> Offset {
        try self.memory.read(partition, from: start, maxRecords: maxRecords, maxBytes: maxBytes, body)
    }
    func records(at places: [RecordPlace], _ body: (Int, UnsafeRawBufferPointer?) -> Void) throws(ApusError) {
        try self.memory.records(at: places, body)
    }
    func follow(_ topic: TopicName, _ growth: @escaping @Sendable (Int, Offset) -> Void) -> FollowToken {
        self.memory.follow(topic, growth)
    }
    func unfollow(_ token: FollowToken) { self.memory.unfollow(token) }
    func ledger(prefix: [UInt8]) throws(ApusError) -> [(key: [UInt8], value: [UInt8])] {
        try self.memory.ledger(prefix: prefix)
    }
    func close() { self.memory.close() }
}
