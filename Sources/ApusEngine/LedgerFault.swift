/// A deliberate defect of the ledger, so that tests can show that they would notice one. Nothing outside of tests sets
/// it.
package enum LedgerFault: Sendable, CaseIterable {
    case none
    /// Writes a watermark past deliveries that are not finished.
    case commitsPastUnfinished
    /// Writes no settled ranges, so that a restart runs settled deliveries again.
    case forgetsSettledRanges
    /// Writes no pending deliveries, so that a restart forgets how often they failed.
    case losesAttempts
    /// Lets deliveries of one key run side by side.
    case ignoresKeyOrder
}
