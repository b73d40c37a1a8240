internal import ApusCore
internal import Synchronization

/// Until when anything may wait for the cluster: for as long as its own bound says, until the log ends. Clients and threads of one log share it.
final class KafkaEnding: Sendable {
    private let deadline = Atomic<Int64>(.max)

    /// From now on no wait goes beyond that. One that was said before and is nearer stays.
    func begin(within milliseconds: Int64) {
        let asked = LogWriter.monotonicMilliseconds() + milliseconds
        _ = self.deadline.min(asked, ordering: .relaxed)
    }

    /// The moment at which a wait ends that may go on until then.
    func until(_ deadline: Int64) -> Int64 { min(deadline, self.deadline.load(ordering: .relaxed)) }

    /// What is left of so long; at least a millisecond, since librdkafka takes less for "for ever".
    func left(of milliseconds: Int32) -> Int32 {
        let now = LogWriter.monotonicMilliseconds()
        return Int32(clamping: max(1, self.until(now + Int64(milliseconds)) - now))
    }

    func isOver(by milliseconds: Int64 = 0) -> Bool {
        let deadline = self.deadline.load(ordering: .relaxed)
        return deadline != .max && LogWriter.monotonicMilliseconds() >= deadline + milliseconds
    }
}
