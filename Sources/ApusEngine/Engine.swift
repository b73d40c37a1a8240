public import ApusCore

/// Every decision of one shard, and no I/O: which record is fetched, which delivery runs where and when, what its outcome means,
/// when workers start and stop, what the ledger says.
///
/// `now` is a parameter of every event; the same seed and the same events give the same actions. The host calls, performs what
/// ``takeActions(into:)`` yields, and calls again.
public struct Engine {
    public init(configuration: EngineConfiguration = EngineConfiguration(), seed: UInt64) {
        self.configuration = configuration
        _ = seed
    }

    public let configuration: EngineConfiguration

    // MARK: what is deployed

    /// A new function, or a new generation of one. Workers of older generations drain.
    public mutating func apply(_ plan: FunctionPlan, now: Timestamp) {}
    /// Its workers stop, its waiting requests fail, its triggers are forgotten.
    public mutating func remove(_ function: FunctionID, now: Timestamp) {}
    /// Opens one partition of a trigger at its durable state; `bounds` is what the log holds now. For a table the state is ignored.
    public mutating func open(_ trigger: TriggerID, partition: Int, state: LedgerState, bounds: OffsetBounds, now: Timestamp) {}
    /// No dispatch of triggers with outputs while true.
    public mutating func setLogShort(_ isShort: Bool, now: Timestamp) {}

    // MARK: the log

    public mutating func grew(_ trigger: TriggerID, partition: Int, end: Offset, now: Timestamp) {}
    /// The answer to `.fetch`. `next` is where the following fetch goes on.
    public mutating func fetched(_ trigger: TriggerID, partition: Int, records: [RecordSummary], next: Offset, now: Timestamp) {}
    /// The log could not be read; the engine asks again after a delay.
    public mutating func fetchFailed(_ trigger: TriggerID, partition: Int, now: Timestamp) {}
    /// At dispatch the record was gone (retention or compaction). Superseded records settle as skipped; expired ones become dead letters.
    public mutating func recordGone(_ stream: StreamID, isSuperseded: Bool, now: Timestamp) {}

    // MARK: direct invocations

    public mutating func invoke(_ request: RequestID, function: FunctionID, bytes: Int, deadline: Timestamp?, now: Timestamp) {}
    /// The caller left: cancel its attempt or forget it.
    public mutating func abandon(_ request: RequestID, now: Timestamp) {}

    // MARK: workers

    /// READY came; CREDIT brings what it may take.
    public mutating func workerReady(_ worker: WorkerID, now: Timestamp) {}
    public mutating func credit(_ worker: WorkerID, _ count: Int, now: Timestamp) {}
    public mutating func startFailed(_ worker: WorkerID, _ failure: Failure, now: Timestamp) {}
    /// The process is gone; its attempts fail with `failure`.
    public mutating func workerExited(_ worker: WorkerID, _ failure: Failure, now: Timestamp) {}
    /// An attempt ended. A result returns one credit by itself.
    public mutating func outcome(_ stream: StreamID, _ outcome: AttemptOutcome, now: Timestamp) -> Verdict { .ignore }

    // MARK: the ledger

    /// The outputs of a delivery's outcome are in the pending write: the next ledger write settles it.
    public mutating func written(_ delivery: Delivery) {}
    /// What to write now, in one transaction with the outputs gathered so far. At most one write is under way.
    public mutating func takeLedgerWrites() -> [LedgerEntry] { [] }
    /// The write is durable: what it settled is settled.
    public mutating func ledgerCommitted(now: Timestamp) {}
    /// The write did not happen; the host keeps its outputs and will send them again with the next ``takeLedgerWrites()``.
    public mutating func ledgerFailed(now: Timestamp) {}

    // MARK: time

    /// When ``advance(to:)`` has something to do; nil when never.
    public var nextDue: Timestamp? { nil }
    public mutating func advance(to now: Timestamp) {}

    // MARK: shutdown

    /// Nothing new is dispatched; what runs may finish.
    public mutating func drain(now: Timestamp) {}
    public var attemptsInFlight: Int { 0 }

    // MARK: actions

    /// Moves the actions decided since the last call into `actions`, which keeps its capacity.
    public mutating func takeActions(into actions: inout [EngineAction]) { actions.removeAll(keepingCapacity: true) }
}
