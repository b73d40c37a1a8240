import ApusCore
import ApusTestSupport
import Synchronization

/// A log in memory whose writes wait until the test lets them through, or fail.
final class HeldLog: ForwardingLog {
    enum Mode { case open, held, failing }

    private struct State {
        var mode = Mode.open
        var waiting: [@Sendable (ApusError?) -> Void] = []
        var batches: [Int] = []
    }

    let memory: MemoryLog
    var forwarded: any EventLog { self.memory }
    private let state = Mutex(State())

    init(clock: @escaping @Sendable () -> Timestamp = { .zero }) { self.memory = MemoryLog(clock: clock) }

    /// How many appends each batch had that was submitted.
    var batches: [Int] { self.state.withLock { $0.batches } }
    var waitingCount: Int { self.state.withLock { $0.waiting.count } }

    func set(_ mode: Mode) { self.state.withLock { $0.mode = mode } }

    /// Lets the oldest write through that waits, or fails it.
    func releaseOne(failing error: ApusError? = nil) {
        let work = self.state.withLock { $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }
        work?(error)
    }

    func submit(_ batch: LogBatch, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void) {
        let mode = self.state.withLock { state in
            state.batches.append(batch.appends.count)
            if state.mode == .held {
                state.waiting.append { error in
                    if let error { completion(.failure(error)) } else { self.memory.submit(batch, completion) }
                }
            }
            return state.mode
        }
        switch mode {
        case .open: self.memory.submit(batch, completion)
        case .held: break
        case .failing: completion(.failure(ApusError(.logFailed, "the test lets no write through")))
        }
    }
}
