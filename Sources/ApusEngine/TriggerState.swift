internal import ApusCore

/// A trigger as it runs.
struct TriggerState {
    var plan: TriggerPlan
    var function: Int32
    /// Of a trigger whose plan bounds its deliveries by time.
    var pace: Pace?
    /// The lanes by partition; -1 where none is open. For a table, the places in the function's ``TableFeed``.
    var lanes: [Int32] = []
    var counters = TriggerCounters()
    /// What it puts out goes to a topic that is not there.
    var isRefused = false

    var schedule: RetrySchedule { RetrySchedule(plan: self.plan.retry) }

    init(plan: TriggerPlan, function: Int32) {
        self.plan = plan
        self.function = function
        self.pace = plan.perSecond.map { Pace(perSecond: $0) }
    }

    func lane(_ partition: Int) -> Int32? {
        guard partition >= 0, partition < self.lanes.count, self.lanes[partition] >= 0 else { return nil }
        return self.lanes[partition]
    }
}

/// What happened to a trigger's deliveries since the start of the engine.
public struct TriggerCounters: Sendable, Equatable {
    /// Settled by an outcome and durable.
    public var settled: Int64 = 0
    /// The filter did not match.
    public var skipped: Int64 = 0
    /// A newer record of the same key took its place before it could run.
    public var superseded: Int64 = 0
    /// Retention took the record before it could run.
    public var expired: Int64 = 0
    /// Its `expirytime` passed before it could run.
    public var overdue: Int64 = 0
    /// No event that a handler could be given.
    public var poison: Int64 = 0
    /// Another event of its source and id came before it, within the trigger's window.
    public var duplicates: Int64 = 0
    /// Attempts that failed with their batch and count for none of its events.
    public var batchesSplit: Int64 = 0
    /// Gone before they were read: retention took them.
    public var lost: Int64 = 0
    public var attemptsFailed: Int64 = 0
    public var deadLetters: Int64 = 0
    public var dropped: Int64 = 0

    public init() {}
}
