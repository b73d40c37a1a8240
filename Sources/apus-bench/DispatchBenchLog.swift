internal import ApusCore
internal import ApusEngine
internal import ApusTestSupport
internal import Glibc
internal import Synchronization

/// An event log in memory whose input topic seems endless: offsets are served from a few thousand blocks, again and
/// again, so that a run of millions of events needs no gigabytes. Everything else is a ``MemoryLog``.
///
/// It also takes the time: each dispatch reads its record here, and each settling arrives here as a ledger write.
final class DispatchBenchLog: EventLog, @unchecked Sendable {
    // SAFETY: `state` is behind its lock; `stamps` is touched by the shard's loop only, and by the bench while that is
    // idle.

    static let input = TopicName(onLog: "bench") ?? .logs
    private static let blockCount = 4_096

    private struct State {
        var end: Offset = 0
        var settled: Offset = 0
        var target: Offset = 0
        var growth: (@Sendable (Int, Offset) -> Void)?
    }

    private let inner: MemoryLog
    private let blocks: [UnsafeRawBufferPointer]
    private let state = Mutex(State())
    private let arrived: UnsafeMutablePointer<sem_t>
    /// When each dispatch read its record, nanoseconds; recorded while the capacity lasts.
    var stamps: [UInt64] = []

    init(clock: @escaping @Sendable () -> Timestamp, bytes: Int, keys: Int) {
        self.inner = MemoryLog(clock: clock)
        self.blocks = (0..<Self.blockCount).map { index in
            let event = Event(
                key: Array("key-\(index % keys)".utf8),
                attributes: [
                    Attribute("id", "event-\(index)"), Attribute("source", "/bench", kind: .uriReference),
                    Attribute("type", "dev.apus.bench"), Attribute("datacontenttype", "application/octet-stream"),
                ],
                data: Array(repeating: UInt8(ascii: "x"), count: bytes), timestamp: clock())
            let block = EventBlock.encode(event)
            let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: block.count, alignment: 16)
            memory.copyBytes(from: block)
            return UnsafeRawBufferPointer(memory)
        }
        self.arrived = .allocate(capacity: 1)
        sem_init(self.arrived, 0, 0)
    }

    deinit {
        for block in self.blocks { block.deallocate() }
        sem_destroy(self.arrived)
        self.arrived.deallocate()
    }

    /// Appends `count` events and waits until all are settled in the ledger.
    func run(_ count: Int) {
        let (growth, end) = self.state.withLock { state in
            state.end += Offset(count)
            state.target = state.end
            return (state.growth, state.end)
        }
        growth?(0, end)
        while sem_wait(self.arrived) != 0 {}
    }

    // MARK: the path of an event

    func records(at places: [RecordPlace], _ body: (Int, UnsafeRawBufferPointer?) -> Void) throws(ApusError) {
        if self.stamps.count < self.stamps.capacity { self.stamps.append(nanoseconds()) }
        for index in places.indices { body(index, self.blocks[Int(places[index].offset) & (Self.blockCount - 1)]) }
    }

    func read(
        _ partition: TopicPartition, from start: Offset, maxRecords: Int, maxBytes: Int,
        _ body: (Offset, UnsafeRawBufferPointer) -> Bool
    ) throws(ApusError) -> Offset {
        let end = min(self.state.withLock { $0.end }, start + Offset(maxRecords))
        for offset in start..<max(start, end) {
            guard body(offset, self.blocks[Int(offset) & (Self.blockCount - 1)]) else { return offset + 1 }
        }
        return max(start, end)
    }

    func submit(_ batch: LogBatch, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void) {
        self.inner.submit(batch, completion)
        guard let value = batch.ledger.last?.value, let ledger = try? LedgerState(decoding: value) else { return }
        let isDone = self.state.withLock { state in
            state.settled = ledger.watermark
            guard state.target > 0, state.settled >= state.target else { return false }
            state.target = 0
            return true
        }
        if isDone { sem_post(self.arrived) }
    }

    func follow(_ topic: TopicName, _ growth: @escaping @Sendable (Int, Offset) -> Void) -> FollowToken {
        self.state.withLock { $0.growth = growth }
        return FollowToken(rawValue: 0)
    }

    func bounds(of partition: TopicPartition) throws(ApusError) -> OffsetBounds {
        OffsetBounds(start: 0, end: self.state.withLock { $0.end })
    }

    // MARK: the rest

    var identity: UInt64 { self.inner.identity }
    var status: LogStatus { self.inner.status }
    func topic(_ name: TopicName) -> TopicConfiguration? { TopicConfiguration() }
    func topics() -> [TopicName] { [Self.input] }
    func discard(_ partition: TopicPartition, before offset: Offset) { self.inner.discard(partition, before: offset) }
    func unfollow(_ token: FollowToken) { self.state.withLock { $0.growth = nil } }
    func close() { self.inner.close() }
    func createTopic(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) {
        try self.inner.createTopic(name, configuration)
    }
    func alterTopic(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) {
        try self.inner.alterTopic(name, configuration)
    }
    func deleteTopic(_ name: TopicName) throws(ApusError) { try self.inner.deleteTopic(name) }
    func offset(of partition: TopicPartition, at time: Timestamp) throws(ApusError) -> Offset { 0 }
    func ledger(prefix: [UInt8]) throws(ApusError) -> [(key: [UInt8], value: [UInt8])] {
        try self.inner.ledger(prefix: prefix)
    }
}

/// The monotonic clock.
func nanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
