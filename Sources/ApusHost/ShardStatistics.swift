public import ApusCore

/// What one shard has counted since its start; read by value on the loop.
public struct ShardStatistics: Sendable {
    public var dispatched: UInt64 = 0
    public var succeeded: UInt64 = 0
    public var failed: UInt64 = 0
    public var retried: UInt64 = 0
    public var deadLettered: UInt64 = 0
    public var dropped: UInt64 = 0
    /// Records that were gone when their turn came.
    public var recordsGone: UInt64 = 0
    public var requests: UInt64 = 0
    public var emitted: UInt64 = 0
    public var replies: UInt64 = 0
    public var commits: UInt64 = 0
    public var commitsFailed: UInt64 = 0
    public var bytesToWorkers: UInt64 = 0
    public var bytesFromWorkers: UInt64 = 0
    public var workersStarted: UInt64 = 0
    public var workersExited: UInt64 = 0
    public var startsFailed: UInt64 = 0
    public var protocolErrors: UInt64 = 0
    public var logLines: UInt64 = 0
    public var logLinesDropped: UInt64 = 0
    public var turns: UInt64 = 0

    /// From a record's append to its dispatch.
    public var queued = LatencyHistogram()
    /// From an attempt's dispatch to its outcome.
    public var running = LatencyHistogram()
    /// From the first outcome of a write to its durability.
    public var committing = LatencyHistogram()

    public init() {}
}

/// Counts of durations in buckets that double: bucket n holds what took less than 2^n microseconds and fits no smaller
/// one.
public struct LatencyHistogram: Sendable {
    public static let bucketCount = 40
    private var counts = InlineArray<40, UInt64>(repeating: 0)
    public private(set) var count: UInt64 = 0
    public private(set) var sum = TimeSpan.zero

    public init() {}

    public var buckets: [UInt64] { self.counts.indices.map { self.counts[$0] } }

    public mutating func record(_ span: TimeSpan) {
        let microseconds = max(span.microseconds, 0)
        let bucket = min(64 - UInt64(microseconds).leadingZeroBitCount, Self.bucketCount - 1)
        self.counts[bucket] += 1
        self.count += 1
        self.sum.microseconds &+= microseconds
    }
}
