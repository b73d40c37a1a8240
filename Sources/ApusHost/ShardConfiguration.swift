public import ApusCore
public import ApusEngine
public import ApusTelemetry

/// What a shard is given beside its loop, its log and its launcher.
public struct ShardConfiguration {
    public var engine: EngineConfiguration
    /// Of the engine's jitter; the same seed and the same events give the same decisions.
    public var seed: UInt64
    /// Runs work on a thread that may wait for pages of the log, or for the cluster it is on; false when it takes no more now. Without
    /// it, old records are read on the loop as well.
    public var readAhead: ((@escaping @Sendable () -> Void) -> Bool)?
    public var logSink: LogSink
    /// Opens a function's secrets for a worker that starts. Throws `secret_unavailable` or `secret_not_found`.
    public var secrets: (HostFunction) throws(ApusError) -> WorkerSecrets
    /// Opens the secrets that a function's requests are given on their way out.
    public var injections: (HostFunction) throws(ApusError) -> WorkerSecrets = ShardConfiguration.noSecrets
    /// Gives workers their way out; without it a function with one does not start.
    public var egress: (any EgressDirecting)?
    /// Keeps data that is too large for a record; without it such data is refused.
    public var blobs: (any BlobKeeping)?
    /// Tells the pool of functions whose workers it starts and stops; on the loop.
    public var pool: (@Sendable (PoolMessage) -> Void)?
    /// Takes the spans of traces that are recorded; nil passes traces on and records none.
    public var tracer: Tracer?
    /// Called when a worker becomes ready: its function and how long its start took.
    public var onReady: (ResourceName, TimeSpan) -> Void
    /// Called when a start failed, with the failure that its caller sees.
    public var onStartFailed: (ResourceName, Failure) -> Void
    /// Called when terminal states of accepted invocations are durable: their function and how many.
    public var onInvocationsEnded: (ResourceName, Int) -> Void
    /// Called when an attempt of an accepted invocation is over: its function, who asked for it, and how long it ran.
    public var onInvocationAttempt: (ResourceName, String, TimeSpan) -> Void = { _, _, _ in }
    /// Why questions of an accepted invocation cannot be asked, JSON as a worker sends them; what its caller can be asked comes with them.
    public var refusalOfQuestions: ([UInt8], String) -> Failure? = { _, _ in
        Failure(.notYetSupported, "nobody can be asked here")
    }
    /// Why an invocation that its caller's person was asked about may not begin: reads the answer, JSON. Nil where it may.
    public var refusalOfApproval: ([UInt8]) -> Failure? = { _ in Failure(.notYetSupported, "nobody can be asked here") }
    /// What became of an approval that an invocation waits for.
    public var approval: (String) -> HeldApproval = { _ in .waiting }
    /// Called when an invocation begins because of an approval: it is used up.
    public var onApprovalUsed: (String) -> Void = { _ in }
    /// Hands the call of a tool to whoever waits for the accepted invocation that makes it; false where nobody does.
    public var passCall: (String, FunctionCall) -> Bool = { _, _ in false }
    /// Called when nothing is left to be done of a replay: its function, what the engine calls it, and its number.
    public var onReplayComplete: (ResourceName, UInt64) -> Void = { _, _ in }
    /// How long nodes of the class that a function had may take to let go of it.
    public var classWait = TimeSpan.milliseconds(Limits.Host.classWaitMilliseconds)
    /// How long what runs of a function that changes its class, or of a subscription that somebody moved, may take to end.
    public var classDrain = TimeSpan.milliseconds(Limits.Host.classDrainMilliseconds)
    /// A line for the server's journal.
    public var note: (String) -> Void = { _ in }
    /// After a dispatch of the only attempt in flight, the CPU is given away and the worker's pipe looked at so often
    /// before the loop waits for it; 0 never.
    public var yields: Int

    public init(
        engine: EngineConfiguration = EngineConfiguration(), seed: UInt64 = 1,
        readAhead: ((@escaping @Sendable () -> Void) -> Bool)? = nil, logSink: @escaping LogSink = { _ in },
        secrets: @escaping (HostFunction) throws(ApusError) -> WorkerSecrets = ShardConfiguration.noSecrets,
        tracer: Tracer? = nil,
        onReady: @escaping (ResourceName, TimeSpan) -> Void = { _, _ in },
        onStartFailed: @escaping (ResourceName, Failure) -> Void = { _, _ in },
        onInvocationsEnded: @escaping (ResourceName, Int) -> Void = { _, _ in }, yields: Int = 1
    ) {
        self.engine = engine
        self.seed = seed
        self.readAhead = readAhead
        self.logSink = logSink
        self.secrets = secrets
        self.tracer = tracer
        self.onReady = onReady
        self.onStartFailed = onStartFailed
        self.onInvocationsEnded = onInvocationsEnded
        self.yields = yields
    }

    /// For a shard whose functions have none.
    public static func noSecrets(_ function: HostFunction) throws(ApusError) -> WorkerSecrets {
        throw ApusError(.secretUnavailable, "this host keeps no secrets for '\(function.name)'")
    }
}
