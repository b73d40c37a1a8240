/// A run that broke a promise of the engine. Printing it gives one line that repeats the run.
package struct SimulationFailure: Error, CustomStringConvertible {
    package let seed: UInt64
    package let step: Int
    package let message: String
    /// What repeats the run.
    package let command: String

    package var description: String { "\(self.message) (step \(self.step); repeat with: \(self.command))" }
}

/// What a run did, to show that the simulator reaches what it is meant to reach.
package struct SimulationReport: Sendable {
    package var steps = 0
    package var dispatches = 0
    package var outputs = 0
    package var failedAttempts = 0
    package var crashes = 0
    package var restarts = 0
    package var failedWrites = 0
    package var kills = 0
    /// Invocations that were given a worker of their own.
    package var oneShots = 0
    package var tableRecords = 0
    package var answeredRequests = 0
    package var cancellations = 0
    /// Attempts that failed with their batch.
    package var splits = 0
    /// Attempts that never began.
    package var unsent = 0
    /// Deliveries that were skipped because their event came before.
    package var duplicates = 0
    /// Outputs that had to wait for a topic.
    package var refusedOutputs = 0

    package init() {}

    package static func += (left: inout SimulationReport, right: SimulationReport) {
        left.steps += right.steps
        left.dispatches += right.dispatches
        left.outputs += right.outputs
        left.failedAttempts += right.failedAttempts
        left.crashes += right.crashes
        left.restarts += right.restarts
        left.failedWrites += right.failedWrites
        left.kills += right.kills
        left.oneShots += right.oneShots
        left.tableRecords += right.tableRecords
        left.answeredRequests += right.answeredRequests
        left.cancellations += right.cancellations
        left.splits += right.splits
        left.unsent += right.unsent
        left.duplicates += right.duplicates
        left.refusedOutputs += right.refusedOutputs
    }
}
