import ApusCore
import ApusTestSupport
import Synchronization

/// A log in memory whose writes of outcomes fail as often as a test asks, as they do on a full disk, and in which a
/// test can let something happen just before records are read for their dispatch.
final class FlakyLog: ForwardingLog {
    let forwarded: any EventLog
    private let failures = Mutex(0)

    init(clock: @escaping @Sendable () -> Timestamp) { self.forwarded = MemoryLog(clock: clock) }

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
        guard mustFail else { return self.forwarded.submit(batch, completion) }
        completion(.failure(ApusError(.logFull, "the disk is full")))
    }

    func records(at places: [RecordPlace], _ body: (Int, UnsafeRawBufferPointer?) -> Void) throws(ApusError) {
        self.beforeDispatch.withLock { $0 }?(places)
        try self.forwarded.records(at: places, body)
    }
    func recordsAtHand(
        _ places: [RecordPlace], _ body: (Int, UnsafeRawBufferPointer?) -> Void
    ) throws(ApusError) -> [Int] {
        try self.records(at: places, body)
        return []
    }
}
