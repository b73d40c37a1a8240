internal import ApusCore

/// Counts requests that were refused for who made them, and says which of them get a line in the journal: whoever tries tokens
/// by the thousand must not drown what else is written there. A machine.
struct RefusalJournal: Sendable {
    /// Requests without a token that holds.
    private(set) var unauthenticated = 0
    /// Requests whose principal lacks the role.
    private(set) var forbidden = 0
    private var second: Int64 = 0
    private var lines = 0
    private var omitted = 0

    enum Action: Equatable {
        /// - Parameter omitted: how many before it got no line.
        case write(omitted: Int)
        case none
    }

    mutating func refused(_ code: ErrorCode, now: Timestamp) -> Action {
        if code == .unauthenticated { self.unauthenticated += 1 } else { self.forbidden += 1 }
        let second = now.milliseconds / 1_000
        if second != self.second {
            self.second = second
            self.lines = 0
        }
        guard self.lines < Limits.Access.journalLinesPerSecond else {
            self.omitted += 1
            return .none
        }
        self.lines += 1
        defer { self.omitted = 0 }
        return .write(omitted: self.omitted)
    }
}
