public import ApusCore

/// One record as the engine sees it: where it is, whose order it follows, how large it is. Never its bytes.
public struct RecordSummary: Sendable, Equatable {
    public var offset: Offset
    /// A hash of the key; 0 for none. Two keys of one hash wait for each other, which harms nobody.
    public var keyHash: UInt64
    public var bytes: Int
    /// False when the trigger's filter does not match: settled as skipped, without an attempt.
    public var isMatch: Bool
    /// When the log took it; zero when that is not known.
    public var appended: Timestamp
    /// Its `expirytime`.
    public var expires: Timestamp
    /// Whose repetition it may be; nil where nobody asks.
    public var identity: EventIdentity?
    /// The log remembers an event of this identity that lies elsewhere: settled as skipped, without an attempt.
    public var isDuplicate: Bool
    /// It is no event that a handler could be given: a dead letter holds its bytes, without an attempt.
    public var isPoison: Bool
    /// Its first attempt that fails is its last, whatever its trigger says, unless the handler itself asks for another.
    public var isOnce: Bool
    /// It waits for something else than its turn, until then at most; ``Engine/resume(_:now:)`` lets it run. Zero for what may run at once.
    public var notBefore: Timestamp

    public init(
        offset: Offset, keyHash: UInt64, bytes: Int, isMatch: Bool = true, appended: Timestamp = .zero,
        expires: Timestamp = .distantFuture, identity: EventIdentity? = nil, isDuplicate: Bool = false,
        isPoison: Bool = false, isOnce: Bool = false, notBefore: Timestamp = .zero
    ) {
        self.offset = offset
        self.keyHash = keyHash
        self.bytes = bytes
        self.isMatch = isMatch
        self.appended = appended
        self.expires = expires
        self.identity = identity
        self.isDuplicate = isDuplicate
        self.isPoison = isPoison
        self.isOnce = isOnce
        self.notBefore = notBefore
    }
}

/// One event for one trigger, until settled.
public struct Delivery: Sendable, Hashable {
    public var trigger: TriggerID
    public var partition: Int
    public var offset: Offset

    public init(trigger: TriggerID, partition: Int, offset: Offset) {
        self.trigger = trigger
        self.partition = partition
        self.offset = offset
    }
}

/// What an attempt runs.
public enum Work: Sendable, Hashable {
    case delivery(Delivery)
    case request(RequestID)
    /// A record of a table, to be fed to the worker with the flag `table`.
    case tableRecord(Delivery)
}

public struct Dispatch: Sendable, Equatable {
    public var worker: WorkerID
    public var stream: StreamID
    public var work: Work
    /// From 1.
    public var attempt: Int
    public var deadline: Timestamp

    public init(worker: WorkerID, stream: StreamID, work: Work, attempt: Int, deadline: Timestamp) {
        self.worker = worker
        self.stream = stream
        self.work = work
        self.attempt = attempt
        self.deadline = deadline
    }
}

/// What the engine wants done. The host performs actions after the call that caused them, in order.
public enum EngineAction: Sendable, Equatable {
    /// Read summaries of records of this trigger's partition from `from` on and answer with ``Engine/fetched``.
    case fetch(TriggerID, partition: Int, from: Offset, maxRecords: Int)
    /// Write an INVOKE frame.
    case dispatch(Dispatch)
    /// Write one BATCH frame with these items; all have the same worker.
    case dispatchBatch([Dispatch])
    case start(WorkerID, FunctionID, generation: UInt64)
    /// Send DRAIN, then end the process once it left or after the grace.
    case stop(WorkerID)
    /// Send CANCEL for the attempt.
    case cancel(WorkerID, StreamID)
    /// Kill the process now; ``Engine/workerExited`` follows.
    case kill(WorkerID, reason: KillReason)
    /// Answer a waiting caller with a failure; successes are answered through ``Verdict``.
    case fail(RequestID, Failure)
    /// The caller waits for a worker that is not there yet: about so long.
    case waits(RequestID, TimeSpan)
    /// What runs and what waits of a function whose workers the ``Pool`` starts and stops, since that changed.
    case demand(FunctionID, running: Int, queued: Int)
    /// How much runs in a worker that the ``Pool`` started, since that changed, and how often it was given work meanwhile.
    case occupied(WorkerID, running: Int, uses: Int)
    /// A delivery was given up without an outcome frame (its worker died, its deadline passed, it expired): append its dead letter,
    /// then call ``Engine/written(_:)`` for it.
    case deadLetter(Delivery, attempts: Int, Failure)
    /// Counted and gone.
    case dropped(Delivery, attempts: Int, Failure)
    /// There are ledger changes of a group to write: call ``Engine/takeLedgerWrites(of:)`` when its previous write is done.
    case ledgerDirty(LedgerGroup)
}

public enum KillReason: Sendable, Hashable {
    case deadline, protocolError, tableFailed, stopTimedOut, startTimedOut, removed
    /// It has served the one invocation that it was there for.
    case spent
}

/// Why an attempt failed.
public struct Failure: Sendable, Equatable {
    public var code: ErrorCode
    public var message: String
    public var detail: String
    /// When another try may do better, as far as that is known.
    public var retryAfter: TimeSpan?

    public init(_ code: ErrorCode, _ message: String, detail: String = "", retryAfter: TimeSpan? = nil) {
        self.code = code
        self.message = message
        self.detail = detail
        self.retryAfter = retryAfter
    }
}

/// How an attempt ended, as the host read it from the worker's frame.
public enum AttemptOutcome: Sendable, Equatable {
    case succeeded
    /// `retryAfter` overrides the trigger's backoff for the next attempt.
    case failed(Failure, retryAfter: TimeSpan?)
    /// No further attempt: the handler rejected it, or it is poison.
    case rejected(Failure)
    /// It did not fail and did not end: it goes on with another attempt, then at the latest.
    case postponed(until: Timestamp)
}

/// Whose doing a failure is, as far as the worker knows.
public enum Blame: Sendable, Hashable {
    /// That of the event it was told for.
    case event
    /// One of the batch: which one is not known.
    case batch
}

/// What becomes of an attempt's outcome; the host holds the outcome's bytes and acts on them before it returns to the loop.
public enum Verdict: Sendable, Equatable {
    /// Append the reply and the emitted events to the pending write, then call ``Engine/written(_:)``.
    case publish(Delivery, attempts: Int)
    /// Answer the waiting caller: with the result, or with the failure of the outcome.
    case answer(RequestID)
    /// The delivery is tried again at that time; nothing is written but the ledger.
    case retry(Delivery, attempts: Int, at: Timestamp)
    /// Append a dead letter to the pending write, then call ``Engine/written(_:)``.
    case deadLetter(Delivery, attempts: Int)
    /// Settled, counted.
    case drop(Delivery, attempts: Int)
    /// A table record was taken in.
    case fed
    /// The attempt is no longer known (late, cancelled, of a dead worker): drop the bytes.
    case ignore
}

/// One entry of the ledger to write, and what it holds.
public struct LedgerEntry: Sendable, Equatable {
    public var trigger: TriggerID
    public var partition: Int
    public var state: LedgerState
    /// Events whose repetitions are to be recognised from this write on.
    public var remembered: [RememberedEvent]

    public init(trigger: TriggerID, partition: Int, state: LedgerState, remembered: [RememberedEvent] = []) {
        self.trigger = trigger
        self.partition = partition
        self.state = state
        self.remembered = remembered
    }
}
