/// The ledger's writes of one group of lanes: one is under way at most.
struct LedgerWriting {
    var dirtyLanes: [LaneReference] = []
    var committingLanes: [LaneReference] = []
    var isWriting = false
    /// `.ledgerDirty` was said and the host has not come yet.
    var isSignalled = false
    /// A write failed; the next is not asked for before a delay.
    var isResting = false
}
