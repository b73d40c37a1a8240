/// A deliberate defect of a simulated node, so that tests can show that the simulator would notice one.
package enum ClusterFault: Sendable, CaseIterable {
    case none
    /// Writes what it has settled of a partition that was taken from it.
    case commitsForLost
    /// Works on without making itself the one that may write first.
    case skipsFence
    /// Gives a partition up while its work still runs.
    case forgetsDrain
    /// Writes that something is settled before its output is on the log.
    case settlesFirst
    /// Hands over outputs without a proof that the share is its own still.
    case skipsProof
    /// Gives a partition up while entries that follow their outputs wait.
    case forgetsPending
}

/// What a run of several nodes did, to show that the simulator reaches what it is meant to reach.
package struct ClusterReport: Sendable {
    package var steps = 0
    package var dispatches = 0
    package var outputs = 0
    /// Outputs of at-least-once triggers that came again.
    package var repeats = 0
    package var transactions = 0
    package var takeOvers = 0
    package var lost = 0
    package var drained = 0
    package var fenced = 0
    package var unknownOutcomes = 0
    package var failedCommits = 0
    package var kills = 0
    package var workerCrashes = 0

    package init() {}

    package static func += (left: inout ClusterReport, right: ClusterReport) {
        left.steps += right.steps
        left.dispatches += right.dispatches
        left.outputs += right.outputs
        left.repeats += right.repeats
        left.transactions += right.transactions
        left.takeOvers += right.takeOvers
        left.lost += right.lost
        left.drained += right.drained
        left.fenced += right.fenced
        left.unknownOutcomes += right.unknownOutcomes
        left.failedCommits += right.failedCommits
        left.kills += right.kills
        left.workerCrashes += right.workerCrashes
    }
}
