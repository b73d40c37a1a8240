public import ApusCore

/// The durable state of one trigger's partition: everything a restart needs to know.
public struct LedgerState: Sendable, Equatable {
    /// A delivery above the watermark that failed and waits for its next attempt.
    public struct Pending: Sendable, Equatable {
        public var offset: Offset
        public var attempts: Int
        public var nextDue: Timestamp

        public init(offset: Offset, attempts: Int, nextDue: Timestamp) {
            self.offset = offset
            self.attempts = attempts
            self.nextDue = nextDue
        }
    }

    /// Every offset below it is settled.
    public var watermark: Offset
    /// Settled offsets above the watermark, ascending, disjoint, not adjacent.
    public var settled: [Range<Offset>]
    /// Ascending by offset.
    public var pending: [Pending]

    public init(watermark: Offset, settled: [Range<Offset>] = [], pending: [Pending] = []) {
        self.watermark = watermark
        self.settled = settled
        self.pending = pending
    }
}
