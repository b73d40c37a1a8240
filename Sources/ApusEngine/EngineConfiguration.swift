public import ApusCore

/// Bounds of the engine, each with the reason for its default.
public struct EngineConfiguration: Sendable, Equatable {
    /// Unsettled deliveries per trigger and partition: what may be read ahead, run, wait for a retry or for the log.
    public var unsettledPerPartition = 4_096
    /// Direct invocations that may wait for a worker, per function; above it callers get `overloaded`.
    public var waitingRequestsPerFunction = 1_024
    /// Bytes of their events that may wait, per function; one event always may.
    public var waitingBytesPerFunction = 64 << 20
    /// Workers that may be there at one time, leaving ones included: what the host has places for. Where they are all taken, functions
    /// get them by their weights.
    public var workers = Int.max
    /// How long a cancelled attempt may go on before its worker is killed.
    public var cancelGrace: TimeSpan = .seconds(2)
    /// How long a worker may take from its launch to READY.
    public var startTimeout: TimeSpan = .seconds(30)
    /// How long a draining worker may take.
    public var stopGrace: TimeSpan = .seconds(5)
    /// Delay before a start is tried again after failures in a row: doubled from `startBackoff` up to `startBackoffMax`.
    public var startBackoff: TimeSpan = .milliseconds(200)
    public var startBackoffMax: TimeSpan = .seconds(30)
    /// Table records under way to one worker.
    public var tableWindow = 64

    /// Memory that workers which wait ready to serve one invocation may take together, by their functions' bounds. What
    /// finds no room is started when it is needed.
    public var pooledMemory = 4 << 30

    public init() {}
}
