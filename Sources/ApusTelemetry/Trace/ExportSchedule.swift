public import ApusCore

/// When a batch of spans is sent, sent again, or given up. It decides; the exporter sends.
public struct ExportSchedule: Sendable {
    /// What a receiver said to a batch.
    public enum Answer: Sendable, Equatable {
        case accepted
        /// It may take the same batch later; it may say when.
        case busy(retryAfter: TimeSpan?)
        /// It will never take this batch.
        case refused
    }

    public enum Action: Sendable, Equatable {
        /// The batch is done with: take the next.
        case next
        /// The batch is lost: count it and take the next.
        case drop
        /// Send the same batch again, not before that time.
        case again(Timestamp)
    }

    /// Attempts at the batch that were answered with ``Answer/busy(retryAfter:)``.
    private(set) var failures = 0

    public init() {}

    public mutating func answered(_ answer: Answer, now: Timestamp) -> Action {
        switch answer {
        case .accepted:
            self.failures = 0
            return .next
        case .refused:
            self.failures = 0
            return .drop
        case .busy(let asked):
            self.failures += 1
            guard self.failures < Limits.Telemetry.exportAttempts else {
                self.failures = 0
                return .drop
            }
            let first = Limits.Telemetry.exportBackoff.microseconds
            let doubled = TimeSpan(microseconds: first << Int64(min(self.failures - 1, 20)))
            let wait = max(asked ?? .zero, doubled)
            return .again(now + min(wait, Limits.Telemetry.exportBackoffMax))
        }
    }
}
