internal import ApusCore

/// The part of a durable state that lies above what has been read since the restart.
///
/// Reading moves along it once, so that each question costs O(1) amortised.
struct RestoredLedger {
    private var settled: [Range<Offset>]
    private var pending: [LedgerState.Pending]
    /// How many ranges reading has passed.
    private(set) var nextSettled = 0
    private var nextPending = 0
    /// Offsets that were unsettled and are below the first record there is.
    let lostCount: Int64
    /// Those of them that had failed before: what is known of them is enough for a dead letter.
    let lostPending: [LedgerState.Pending]

    init(_ state: LedgerState, start: Offset) {
        self.settled = state.settled
        self.pending = state.pending
        guard start > state.watermark else {
            self.lostCount = 0
            self.lostPending = []
            return
        }
        var lost = start - state.watermark
        for range in state.settled where range.lowerBound < start {
            lost -= min(range.upperBound, start) - range.lowerBound
        }
        self.lostPending = state.pending.filter { $0.offset < start }
        self.lostCount = lost
        self.pending.removeAll { $0.offset < start }
    }

    /// Whether it was settled before the restart. Offsets are asked for in ascending order.
    mutating func isSettled(_ offset: Offset) -> Bool {
        while self.nextSettled < self.settled.count, self.settled[self.nextSettled].upperBound <= offset {
            self.nextSettled += 1
        }
        return self.nextSettled < self.settled.count && self.settled[self.nextSettled].contains(offset)
    }

    /// Whether it was settled before the restart, for any offset in any order.
    func holdsSettled(_ offset: Offset) -> Bool { self.settled.contains { $0.contains(offset) } }

    /// The first delivery from `offset` on that failed before the restart. Offsets are asked for in ascending order.
    mutating func nextPending(from offset: Offset) -> LedgerState.Pending? {
        while self.nextPending < self.pending.count, self.pending[self.nextPending].offset < offset {
            self.nextPending += 1
        }
        return self.nextPending < self.pending.count ? self.pending[self.nextPending] : nil
    }

    /// What is known of a delivery that failed before the restart. Offsets are asked for in ascending order.
    mutating func pending(_ offset: Offset) -> LedgerState.Pending? {
        guard let pending = self.nextPending(from: offset), pending.offset == offset else { return nil }
        return pending
    }

    /// The first offset from `offset` on that was not settled before the restart.
    mutating func skip(from offset: Offset) -> Offset {
        self.isSettled(offset) ? self.settled[self.nextSettled].upperBound : offset
    }

    /// Adds what has not been read yet to the state of what has.
    ///
    /// Reading never stops inside a settled range, so no range of the rest begins below the read position.
    func appendRest(to state: inout LedgerState, position: Offset) {
        for range in self.settled[self.nextSettled...] {
            if let last = state.settled.last, range.lowerBound <= last.upperBound {
                if range.upperBound > last.upperBound {
                    state.settled[state.settled.count - 1] = last.lowerBound..<range.upperBound
                }
            } else if range.upperBound > state.watermark {
                state.settled.append(range)
            }
        }
        for pending in self.pending[self.nextPending...] where pending.offset >= position {
            state.pending.append(pending)
        }
    }
}
