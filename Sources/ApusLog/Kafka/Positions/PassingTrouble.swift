internal import ApusCore

/// When to tell of something that is tried again and again: a failure that passes by itself is told only once it lasts, and no failure twice before
/// it is over.
///
/// The coordinator of a group moves whenever a broker comes or goes. A line for each look would be noise in every restart of a cluster, and would
/// hide the one that matters.
struct PassingTrouble {
    private enum State {
        case none
        case since(Timestamp)
        case told
    }

    private var state = State.none

    /// - Returns: whether it is to be told now.
    mutating func failed(isPassing: Bool, now: Timestamp) -> Bool {
        switch self.state {
        case .told: return false
        case .none where isPassing:
            self.state = .since(now)
            return false
        case .since(let start) where isPassing && now - start < Limits.Kafka.troubleUntold: return false
        case .none, .since:
            self.state = .told
            return true
        }
    }

    /// - Returns: whether a trouble that was told is over.
    mutating func passed() -> Bool {
        defer { self.state = .none }
        guard case .told = self.state else { return false }
        return true
    }
}
