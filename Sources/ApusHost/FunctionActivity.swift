internal import ApusCore
internal import ApusEngine

/// What one function did on this shard: totals, where time went, and the last minutes second by second. It lives on across
/// revisions, and is made with a function's first worker, so that functions that never run cost nothing.
final class FunctionActivity {
    let function: ResourceName
    private(set) var counts = ActivityCounts()
    /// The time of its workers, and of what they did not do.
    var meter = WorkerMeter()
    var gaps = IdleGaps()
    /// Of workers that this shard starts by itself.
    var lastStart: WorkerStart?
    var lastEnding: WorkerStart.Ending?
    private var taken = FunctionUsage.Totals()
    private var past: [ActivitySecond] = Array(repeating: ActivitySecond(), count: Limits.Host.activitySeconds)
    /// The second under way, and its end: the look at the clock that every event has had anyway tells them apart.
    private var current = ActivitySecond()
    private var currentEnd = Timestamp.zero

    init(_ function: ResourceName) { self.function = function }

    /// What it used since the last call.
    func takeUsage(now: Timestamp) -> FunctionUsage {
        let totals = FunctionUsage.Totals(self.counts)
        defer { self.taken = totals }
        return FunctionUsage(
            function: self.function, workers: self.meter.take(now: now), totals: totals - self.taken,
            gaps: self.gaps.take())
    }

    /// An attempt ended.
    /// - Parameter isFirst: a later attempt's wait is its backoff, which is no queue.
    @inline(__always)
    func finished(_ timing: AttemptTiming, isFirst: Bool, hasFailed: Bool, now: Timestamp) {
        if isFirst { self.counts.queued.record(timing.queued) }
        self.counts.running.record(timing.running)
        if now >= self.currentEnd { self.beginSecond(now) }
        if hasFailed {
            self.counts.failed += 1
            self.current.failed &+= 1
        } else {
            self.counts.succeeded += 1
            self.current.succeeded &+= 1
        }
    }

    @inline(never)
    private func beginSecond(_ now: Timestamp) {
        let second = now.microseconds / 1_000_000
        self.past[Self.slot(self.current.second)] = self.current
        self.current = ActivitySecond(second: second)
        self.currentEnd = Timestamp(microseconds: (second + 1) * 1_000_000)
    }

    private static func slot(_ second: Int64) -> Int {
        Int(truncatingIfNeeded: second & Int64(Limits.Host.activitySeconds - 1))
    }

    /// The last seconds in no order.
    var seconds: [ActivitySecond] {
        var seconds = self.past
        seconds[Self.slot(self.current.second)] = self.current
        return seconds
    }

    /// A worker became ready.
    func started(in span: TimeSpan) { self.counts.starting.record(span) }

    func deadLettered() { self.counts.deadLettered += 1 }

    func denied(_ report: DenialReport) {
        for denial in report.denials { self.counts.denied(denial.call, denial.count) }
        if report.others > 0 { self.counts.denied(ActivityCounts.otherCalls, report.others) }
    }
}

/// Totals of one function since the start of the server.
public struct ActivityCounts: Sendable {
    public var succeeded: UInt64 = 0
    public var failed: UInt64 = 0
    public var deadLettered: UInt64 = 0
    /// Invocations that found a worker of `reuse: never` ready, and those that waited for its start.
    public var poolHits: UInt64 = 0
    public var poolMisses: UInt64 = 0
    /// What first attempts waited for a worker, starts apart.
    public var queued = LatencyHistogram()
    /// What workers took from their order to being ready.
    public var starting = LatencyHistogram()
    public var running = LatencyHistogram()
    /// What its workers were denied, by call.
    public private(set) var denials: [String: UInt64] = [:]

    public init() {}

    public static let otherCalls = "others"

    public mutating func denied(_ call: String, _ count: some BinaryInteger) {
        let hasRoom = self.denials.count < Limits.Host.denialsPerFunction || self.denials[call] != nil
        self.denials[hasRoom ? call : Self.otherCalls, default: 0] &+= UInt64(count)
    }

    public mutating func add(_ other: ActivityCounts) {
        self.succeeded += other.succeeded
        self.failed += other.failed
        self.deadLettered += other.deadLettered
        self.poolHits += other.poolHits
        self.poolMisses += other.poolMisses
        for (call, count) in other.denials { self.denied(call, count) }
        self.queued.add(other.queued)
        self.starting.add(other.starting)
        self.running.add(other.running)
    }
}

/// Attempts that ended in one second.
public struct ActivitySecond: Sendable, Equatable {
    /// Since 1970.
    public var second: Int64 = 0
    public var succeeded: UInt32 = 0
    public var failed: UInt32 = 0

    public init(second: Int64 = 0, succeeded: UInt32 = 0, failed: UInt32 = 0) {
        self.second = second
        self.succeeded = succeeded
        self.failed = failed
    }
}
