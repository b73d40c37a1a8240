internal import ApusCore

/// Makes a ``LedgerState`` from the unsettled offsets of a partition in ascending order: what lies between them is
/// settled.
struct LedgerStateBuilder {
    private var watermark: Offset?
    private var lastUnsettled: Offset = 0
    private var settled: [Range<Offset>] = []
    private var pending: [LedgerState.Pending] = []

    /// - Parameter afterSettled: something between it and the one before was settled; else a restart finds nothing there, and need not be
    ///   told of each gap that compaction left.
    mutating func unsettled(_ offset: Offset, afterSettled: Bool = true) {
        if self.watermark == nil {
            self.watermark = offset
        } else if afterSettled, self.lastUnsettled + 1 < offset {
            self.settled.append(self.lastUnsettled + 1..<offset)
        }
        self.lastUnsettled = offset
    }

    mutating func pending(_ pending: LedgerState.Pending) { self.pending.append(pending) }

    /// - Parameters:
    ///   - position: every offset below it that was not named is settled.
    ///   - isCut: nothing is said of what lies above the last offset named.
    func state(position: Offset, isCut: Bool) -> LedgerState {
        var state = LedgerState(watermark: self.watermark ?? position, settled: self.settled, pending: self.pending)
        if self.watermark != nil, !isCut, self.lastUnsettled + 1 < position {
            state.settled.append(self.lastUnsettled + 1..<position)
        }
        return state
    }
}
