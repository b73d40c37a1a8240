internal import ApusCore

/// A function as it runs.
struct FunctionState {
    static let noWorker: Int32 = -1

    /// Tells the function from the one that had its slot before.
    var generation: UInt32
    var plan: FunctionPlan
    var triggers: [Int32] = []
    /// Deleted; it lasts until its last worker is gone.
    var isRemoved = false
    /// A worker was asked for although nothing waits; until one is ready or a start has failed.
    var isWarming = false

    // What may run now.
    /// Lanes, and ``requestSource``, that have work which may run; each once.
    var ring = IndexRing()
    /// Work that may run and waits for a worker.
    var ready = 0
    var queue = Requests.Queue()
    var gatherer: BatchGatherer?
    var tables: TableFeed?

    // Workers.
    var pool = WorkerPool()
    var times = WorkTimes()
    var window = DemandWindow()
    /// Its place in the order in which functions get places for workers, where these are short.
    var virtualTime = 0.0
    /// What the ``Pool`` was told, where it starts and stops the workers.
    var told = PoolTold()
    var demand = OneShotDemand()
    /// What is set aside for those of its workers that wait ready to serve one invocation.
    var pooledMemory = 0
    var workers: [Int32] = []
    /// Workers with credit and nothing to do, the last used first: the others become idle for long and stop.
    var idle = WorkerList()
    /// Workers with credit that run something, the last used last.
    var busy = WorkerList()
    /// Attempts in flight; table records are not counted.
    var running = 0
    var deadlines = InFlight.List()

    /// For when timers are set, so that each is set once.
    var timers = FunctionTimers()

    /// The place of direct invocations in ``ring``.
    static let requestSource: Int32 = -2

    /// How many pieces of work one worker takes at a time: a credit is an event, or a batch of them.
    var perWorker: Int { max(1, self.plan.concurrency) * max(1, self.plan.batch?.maxSize ?? 1) }
}

/// What the pool was last told of a function, whether that may be out of date, and what it said.
struct PoolTold {
    var running = 0
    var queued = 0
    /// How much more is expected to be at hand when a start that begins now is over.
    var foreseen = 0
    var isDue = false
    /// What the pool says of the next start.
    var start = Limits.Engine.startPrior
}

/// The earliest timer that is set of each kind a function has one of.
struct FunctionTimers {
    private var deadlines = Timestamp.distantFuture
    private var idle = Timestamp.distantFuture
    private var batch = Timestamp.distantFuture
    private var pool = Timestamp.distantFuture

    subscript(kind: EngineTimer.Kind) -> Timestamp {
        get {
            switch kind {
            case .deadlines: self.deadlines
            case .idle: self.idle
            case .batch: self.batch
            case .pool: self.pool
            default: preconditionFailure("not a timer that a function has one of")
            }
        }
        set {
            switch kind {
            case .deadlines: self.deadlines = newValue
            case .idle: self.idle = newValue
            case .batch: self.batch = newValue
            case .pool: self.pool = newValue
            default: preconditionFailure("not a timer that a function has one of")
            }
        }
    }
}

/// Workers of one function, linked through themselves.
struct WorkerList {
    private(set) var first = FunctionState.noWorker
    private(set) var last = FunctionState.noWorker

    mutating func prepend(_ slot: Int32, _ workers: inout [Worker]) {
        workers[Int(slot)].before = FunctionState.noWorker
        workers[Int(slot)].after = self.first
        if self.first == FunctionState.noWorker { self.last = slot } else { workers[Int(self.first)].before = slot }
        self.first = slot
    }

    mutating func append(_ slot: Int32, _ workers: inout [Worker]) {
        workers[Int(slot)].before = self.last
        workers[Int(slot)].after = FunctionState.noWorker
        if self.last == FunctionState.noWorker { self.first = slot } else { workers[Int(self.last)].after = slot }
        self.last = slot
    }

    mutating func remove(_ slot: Int32, _ workers: inout [Worker]) {
        let (before, after) = (workers[Int(slot)].before, workers[Int(slot)].after)
        if before == FunctionState.noWorker { self.first = after } else { workers[Int(before)].after = after }
        if after == FunctionState.noWorker { self.last = before } else { workers[Int(after)].before = before }
    }
}

/// A worker as the engine sees it.
struct Worker {
    enum Place: UInt8 { case nowhere, idle, busy }

    var generation: UInt64 = 0
    var phase = WorkerPhase.absent
    var function: Int32 = -1
    /// The revision it runs.
    var revision: UInt64 = 0
    /// Credits it holds, and those that what runs on it took: together the function's concurrency at most, whatever it
    /// claims.
    var credits = 0
    var creditsInUse = 0
    /// Attempts that count as use.
    var running = 0
    var attempts = InFlight.List()
    var idleSince = Timestamp.zero
    /// READY and a first CREDIT came.
    var hasCredit = false
    /// Its start waits for files that are not on this machine yet.
    var isWaitingForFiles = false
    /// When it must have given its first credit.
    var startDue = Timestamp.distantFuture
    /// It finished something: the revision works.
    var isProven = false
    /// It serves one invocation.
    var isOneShot = false
    /// Its first credit is being matched with what waited for it.
    var isFresh = false
    /// What the pool was told runs in it, and the uses since.
    var toldRunning = 0
    var uses = 0
    var place = Place.nowhere
    var before = FunctionState.noWorker
    var after = FunctionState.noWorker
    var feed: WorkerFeed?
    /// Whose invocations it serves, where each principal has workers of its own; nil until its first.
    var owner: UInt64?
}
