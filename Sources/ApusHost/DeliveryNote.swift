public import ApusCore
public import ApusEngine
public import ApusTelemetry

/// How far a delivery or a direct invocation came.
public enum DeliveryState: String, Sendable, CaseIterable {
    /// An attempt is under way. To any other.
    case running
    /// An attempt failed and another follows. To any other.
    case retrying
    case succeeded
    /// Its caller was answered with a failure.
    case failed
    case deadLettered
    /// Given up on without a dead letter, as its trigger says.
    case dropped
    /// Its caller left.
    case cancelled
}

/// One attempt as people are shown it.
public struct AttemptNote: Sendable, Equatable {
    public var number = 0
    public var worker = WorkerID(rawValue: 0)
    public var dispatchedAt = Timestamp.zero
    /// Zero while it runs.
    public var endedAt = Timestamp.zero
    public var timing = AttemptTiming()
    /// Nil when it succeeded.
    public var code: ErrorCode?

    public init() {}
}

/// A recent delivery or direct invocation. Of one size, but for a failure's message: names and the event are looked up when
/// somebody asks.
struct DeliveryNote {
    var sequence: UInt64 = 0
    let function: FunctionState
    /// Nil for a direct invocation.
    let trigger: TriggerState?
    var partition = 0
    var offset: Offset = -1
    var invocation: InvocationID
    var trace: TraceID?
    var state = DeliveryState.running
    var arrivedAt = Timestamp.zero
    var settledAt = Timestamp.zero
    var committing: TimeSpan?
    /// All of them; the last are in ``last``.
    var attempts = 0
    private var last = InlineArray<4, AttemptNote>(repeating: AttemptNote())
    private var kept = 0
    /// Of the last failure.
    var message = ""

    init(function: FunctionState, trigger: TriggerState?, invocation: InvocationID) {
        self.function = function
        self.trigger = trigger
        self.invocation = invocation
    }

    mutating func add(_ attempt: AttemptNote) {
        self.attempts = max(self.attempts + 1, attempt.number)
        if self.kept == self.last.count {
            for index in 1..<self.last.count { self.last[index - 1] = self.last[index] }
            self.kept -= 1
        }
        self.last[self.kept] = attempt
        self.kept += 1
    }

    var lastAttempts: [AttemptNote] { (0..<self.kept).map { self.last[$0] } }

    mutating func fail(_ failure: Failure) { self.message = clipped(failure.message, to: Limits.Host.noteBytes) }

    func snapshot() -> DeliverySnapshot {
        DeliverySnapshot(
            invocation: self.invocation, function: self.function.function.name,
            revision: self.function.function.revision,
            trigger: self.trigger?.trigger.name,
            place: self.trigger.map { $0.place(self.partition, self.offset) }, trace: self.trace,
            state: self.state, arrivedAt: self.arrivedAt, settledAt: self.settledAt, committing: self.committing,
            attempts: self.attempts, lastAttempts: self.lastAttempts, message: self.message)
    }
}

/// A recent delivery or direct invocation, by value.
public struct DeliverySnapshot: Sendable, Equatable {
    public var invocation: InvocationID
    public var function: ResourceName
    public var revision: String
    /// Nil for a direct invocation.
    public var trigger: String?
    /// Where its event lies on the log.
    public var place: RecordPlace?
    /// Of a trace that is recorded.
    public var trace: TraceID?
    public var state: DeliveryState
    public var arrivedAt: Timestamp
    /// Zero until it is settled.
    public var settledAt: Timestamp
    public var committing: TimeSpan?
    public var attempts: Int
    /// The last of them, oldest first.
    public var lastAttempts: [AttemptNote]
    /// Of the last failure; empty without one.
    public var message: String
}
