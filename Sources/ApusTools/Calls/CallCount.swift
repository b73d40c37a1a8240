public import ApusCore

/// How many calls one server let a caller make, and what they cost: what the servers of a cluster tell each other, and what outlives a restart.
public struct CallCount: Sendable, Equatable {
    /// Of UTC, since the beginning of 1970.
    public var day: Int64
    public var today: Int64
    public var running: Int64
    /// What those of the day cost that are over.
    public var spent: Money

    public init(day: Int64, today: Int64, running: Int64, spent: Money = .zero) {
        self.day = day
        self.today = today
        self.running = running
        self.spent = spent
    }
}
