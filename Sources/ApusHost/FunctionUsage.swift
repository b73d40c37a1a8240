public import ApusCore
public import ApusEngine

/// What one function used on one shard in a stretch of time.
public struct FunctionUsage: Sendable {
    /// What adds up from the start of the server on.
    public struct Totals: Sendable, Hashable {
        public var succeeded: Int64 = 0
        public var failed: Int64 = 0
        /// Microseconds of attempts that ended.
        public var running: Int64 = 0
        public var starts: Int64 = 0
        /// Microseconds that starts took.
        public var starting: Int64 = 0

        public init() {}

        init(_ counts: ActivityCounts) {
            self.succeeded = Int64(clamping: counts.succeeded)
            self.failed = Int64(clamping: counts.failed)
            self.running = counts.running.sum.microseconds
            self.starts = Int64(clamping: counts.starting.count)
            self.starting = counts.starting.sum.microseconds
        }

        static func - (left: Totals, right: Totals) -> Totals {
            var rest = left
            rest.succeeded -= right.succeeded
            rest.failed -= right.failed
            rest.running -= right.running
            rest.starts -= right.starts
            rest.starting -= right.starting
            return rest
        }
    }

    public var function: ResourceName
    public var workers: WorkerUsage
    public var totals: Totals
    public var gaps: IdleGaps.Seen

    public init(function: ResourceName, workers: WorkerUsage, totals: Totals, gaps: IdleGaps.Seen) {
        self.function = function
        self.workers = workers
        self.totals = totals
        self.gaps = gaps
    }

    public var isEmpty: Bool { self.workers.isEmpty && self.totals == Totals() && self.gaps.isEmpty }
}

extension Shard {
    /// What functions used since the last call; those that used nothing are left out.
    public func takeUsage() -> [FunctionUsage] {
        let now = self.now
        var all = self.activities.values.map { $0.takeUsage(now: now) }
        all += self.leftActivities.map { $0.takeUsage(now: now) }
        self.leftActivities.removeAll { $0.meter.workers == 0 }
        return all.filter { !$0.isEmpty }
    }
}
