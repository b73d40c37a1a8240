public import ApusCore

/// What the engine needs to know of one revision of a function. Names, bundles and sandboxes are the host's business.
public struct FunctionPlan: Sendable, Equatable {
    public enum Reuse: Sendable, Hashable {
        /// A worker serves one invocation after the other.
        case function
        /// A worker serves the invocations of one principal, and no other's ever.
        case principal
        /// A worker serves one invocation and is killed; others wait ready for the next ones.
        case never
    }

    public var function: FunctionID
    /// Grows with every deploy; workers of an older one finish what they have and stop.
    public var generation: UInt64
    public var timeout: TimeSpan
    /// Invocations in flight per worker.
    public var concurrency: Int
    /// Nil when the handler takes one event at a time.
    public var batch: BatchPlan?
    public var scale: ScalePlan
    public var triggers: [TriggerPlan]
    public var isPaused: Bool
    /// With `never`, a concurrency of 1 and no batch; its triggers are no tables.
    public var reuse: Reuse
    /// What one worker may take.
    public var memoryBytes: Int

    public init(
        function: FunctionID, generation: UInt64, timeout: TimeSpan = .seconds(30), concurrency: Int = 1,
        batch: BatchPlan? = nil,
        scale: ScalePlan = ScalePlan(), triggers: [TriggerPlan] = [], isPaused: Bool = false,
        reuse: Reuse = .function, memoryBytes: Int = 256 << 20
    ) {
        self.function = function
        self.generation = generation
        self.timeout = timeout
        self.concurrency = concurrency
        self.batch = batch
        self.scale = scale
        self.triggers = triggers
        self.isPaused = isPaused
        self.reuse = reuse
        self.memoryBytes = memoryBytes
    }
}

public struct BatchPlan: Sendable, Hashable {
    public var maxSize: Int
    public var maxWait: TimeSpan
    /// Bytes of the events of one batch: it must fit a frame.
    public var maxBytes: Int

    public init(maxSize: Int, maxWait: TimeSpan, maxBytes: Int = 200 * 1024) {
        self.maxSize = maxSize
        self.maxWait = maxWait
        self.maxBytes = maxBytes
    }
}

public struct ScalePlan: Sendable, Hashable {
    public var min: Int
    public var max: Int
    /// How long a worker may have nothing to do before it is stopped.
    public var idle: TimeSpan
    /// Its part where functions contend for places, beside that of the others.
    public var weight: Double
    /// When workers start, sleep and stop is decided by the ``Pool``, which is told of the demand.
    public var isPooled: Bool

    public init(
        min: Int = 0, max: Int = 8, idle: TimeSpan = .seconds(60), weight: Double = 1, isPooled: Bool = false
    ) {
        self.min = min
        self.max = max
        self.idle = idle
        self.weight = weight
        self.isPooled = isPooled
    }
}

public enum DeliveryOrder: Sendable, Hashable { case key, partition, none }

/// What happens to a delivery whose attempts are used up, or that was rejected.
public enum OnExhausted: Sendable, Hashable {
    /// It becomes a dead letter, appended in one with its settling.
    case deadLetter
    /// It stays, holds back its key or partition, and is tried again every ``RetryPlan/max``.
    case block
    /// It settles and is counted.
    case drop
}

/// What happens to an event whose `expirytime` passes before it could run.
public enum OnExpired: Sendable, Hashable {
    /// It settles as skipped and is counted.
    case skip
    /// It becomes a dead letter with the code `expired`.
    case deadLetter
}

public struct RetryPlan: Sendable, Hashable {
    /// Attempts in all, the first included. 0 has no bound.
    public var attempts: Int
    public var initial: TimeSpan
    public var max: TimeSpan
    /// No attempt after the first begins later than this after the event was appended; nil has no bound.
    public var maxAge: TimeSpan?

    public init(
        attempts: Int = 5, initial: TimeSpan = .milliseconds(200), max: TimeSpan = .seconds(30),
        maxAge: TimeSpan? = nil
    ) {
        self.attempts = attempts
        self.initial = initial
        self.max = max
        self.maxAge = maxAge
    }
}

public struct TriggerPlan: Sendable, Equatable {
    public enum Kind: Sendable, Hashable {
        case topic
        /// Each new worker is fed the topic from its first record; no position is kept.
        case table
    }

    public var trigger: TriggerID
    public var kind: Kind
    public var order: DeliveryOrder
    public var retry: RetryPlan
    public var onExhausted: OnExhausted
    public var onExpired: OnExpired
    /// How long after an event another one of its source and id is a duplicate; nil lets every event run.
    public var dedupWindow: TimeSpan?
    public var isPaused: Bool
    /// Outcomes of this trigger append records (a reply topic, emits): it is not dispatched while the log is short of room.
    public var hasOutputs: Bool
    /// How many deliveries may begin in a second, all partitions together; nil has no bound. Further attempts of a delivery
    /// are not counted.
    public var perSecond: Int?

    public init(
        trigger: TriggerID, kind: Kind = .topic, order: DeliveryOrder = .key, retry: RetryPlan = RetryPlan(),
        onExhausted: OnExhausted = .deadLetter, onExpired: OnExpired = .skip, dedupWindow: TimeSpan? = nil,
        isPaused: Bool = false, hasOutputs: Bool = false, perSecond: Int? = nil
    ) {
        self.trigger = trigger
        self.kind = kind
        self.order = order
        self.retry = retry
        self.onExhausted = onExhausted
        self.onExpired = onExpired
        self.dedupWindow = dedupWindow
        self.isPaused = isPaused
        self.hasOutputs = hasOutputs
        self.perSecond = perSecond
    }
}
