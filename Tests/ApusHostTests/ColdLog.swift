import ApusCore
import ApusTestSupport
import Glibc
import Synchronization

/// A log in memory that says of none of its records that it is at hand, as one on a cluster does of what lies far behind.
final class ColdLog: ForwardingLog {
    private struct State {
        var isHeld = false
        var waitedFor = 0
    }

    let forwarded: any EventLog
    private let state = Mutex(State())
    /// Whether the calling thread is one that must not wait.
    private let mustNotWait: Mutex<@Sendable () -> Bool> = Mutex({ false })

    init(clock: @escaping @Sendable () -> Timestamp) { self.forwarded = MemoryLog(clock: clock) }

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
        try self.forwarded.records(at: places, body)
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
        return try self.forwarded.read(partition, from: start, maxRecords: maxRecords, maxBytes: maxBytes, body)
    }
}
