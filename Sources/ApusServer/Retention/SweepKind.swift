/// What grows and is swept: everything but topics, whose retention is the log's own.
enum SweepKind: String, Sendable, Hashable, CaseIterable {
    /// Unpacked sources that no revision names.
    case bundles
    /// Dependency layers that no revision names.
    case layers
    /// Files of weights that no deployed revision names.
    case weights
    /// Bundles that no revision names, on a log that servers share.
    case logBundles = "log-bundles"
    /// What interrupted uploads and removals left.
    case uploads
    /// What queries know of dead letters that the log has no more.
    case deadLetters = "dead-letters"
    /// What was decided about dead letters that are gone.
    case fates
    /// What queries know of printed lines that are too old.
    case logs
    /// States of asynchronous invocations that ended long ago.
    case invocations
    /// What queries know of use and cost long ago.
    case usage
    /// Approvals whose time is over.
    case approvals
    /// What agents did, and is older than that is kept.
    case audit
}

/// What one step of a sweep did, or found to do.
struct SweepStep: Sendable, Equatable {
    var removed = 0
    /// Of the disk; 0 where that is not known.
    var removedBytes: Int64 = 0
    /// What is left.
    var kept = 0
    var keptBytes: Int64 = 0
    /// Another step has something to do.
    var hasMore = false
}

/// What is known of one kind, for metrics and answers.
struct SweepStatus: Sendable, Equatable {
    /// Nil before the first sweep.
    var lastSweep: Int64?
    var removed = 0
    var removedBytes: Int64 = 0
    var kept = 0
    var keptBytes: Int64 = 0
    var failures = 0
    /// Of the last sweep.
    var failure: String?
}
