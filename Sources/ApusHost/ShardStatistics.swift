/// What one shard has counted since its start; read by value on the loop.
public struct ShardStatistics: Sendable {
    public var dispatched: UInt64 = 0
    public var succeeded: UInt64 = 0
    public var failed: UInt64 = 0
    public var retried: UInt64 = 0
    /// Attempts whose worker was gone before anything was written to it: they go back to where they waited.
    public var unsent: UInt64 = 0
    public var deadLettered: UInt64 = 0
    public var dropped: UInt64 = 0
    /// Records that were gone when their turn came.
    public var recordsGone: UInt64 = 0
    /// Records that were not in memory when their turn came, and were fetched first.
    public var recordsAwaited: UInt64 = 0
    /// Records that a trigger's filter did not take.
    public var filtered: UInt64 = 0
    /// Records for which an expression in a trigger's filter failed.
    public var filterErrors: UInt64 = 0
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
    public var egress = EgressCounts()
    /// Workers of which nobody counted what they were denied.
    public var unaudited: UInt64 = 0

    /// From the first outcome of a write to its durability.
    public var committing = LatencyHistogram()
    /// From the order for a worker to its HELLO: sandbox and interpreter.
    public var launching = LatencyHistogram()
    /// From HELLO to READY: the function's own code.
    public var loading = LatencyHistogram()
    /// Traces that found no room among those that are open.
    public var tracesDropped: UInt64 = 0

    public init() {}
}
