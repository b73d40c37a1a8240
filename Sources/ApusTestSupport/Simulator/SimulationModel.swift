internal import ApusCore
internal import ApusEngine

/// What must hold for one delivery, kept beside the engine and never asked of it.
struct DeliveryModel {
    /// Failed attempts that the engine knows of, and those that a restart would know of.
    var failed = 0
    var durableFailed = 0
    /// Its outcome is known to this engine: the next of its key may run.
    var isDecided = false
    var isDropped = false
    var isDurablyDropped = false
    /// Outputs or dead letters on the log.
    var outputs = 0
    /// The attempt that runs.
    var running: UInt64?
    /// The tables' ends when it was read.
    var tableEnds: [Offset] = []
    /// In how large a batch it may run, after one that failed as a whole.
    var batchMax = Int.max

    var isDone: Bool { self.outputs > 0 || self.isDurablyDropped }
}

/// One trigger's partition.
struct LaneModel {
    let trigger: Int
    let topic: Int
    let partition: Int
    var deliveries: [Offset: DeliveryModel] = [:]
    var fetchesUnderWay = 0
    /// Deliveries that are to be cancelled, as the log knows them.
    var cancels: Set<Offset> = []

    subscript(offset: Offset) -> DeliveryModel {
        get { self.deliveries[offset] ?? DeliveryModel() }
        set { self.deliveries[offset] = newValue }
    }

    /// The server died: what was not durable is forgotten.
    mutating func restart() {
        self.fetchesUnderWay = 0
        for offset in self.deliveries.keys {
            var delivery = self[offset]
            delivery.failed = delivery.durableFailed
            delivery.isDropped = delivery.isDurablyDropped
            delivery.isDecided = delivery.isDone
            delivery.running = nil
            delivery.tableEnds = []
            delivery.batchMax = .max
            self[offset] = delivery
        }
    }
}

/// A worker process as the simulated host sees it.
struct SimulatedWorker {
    let function: Int
    let generation: UInt64
    let concurrency: Int
    let isBatched: Bool
    /// It may be given one invocation in its life.
    var isOneShot = false
    var hasServed = false
    /// Nothing reaches it any more.
    var isDeaf = false
    var isReady = false
    var isStopping = false
    var isKilled = false
    /// Credits in use.
    var inUse = 0
    var attempts: Set<UInt64> = []
    /// By lane: the table records it took in, and the last it was given.
    var taken: [Int: Set<Offset>] = [:]
    var given: [Int: Offset] = [:]
    var tableBusyUntil = Timestamp.zero
    var exit = false
}

struct SimulatedAttempt {
    let worker: WorkerID
    let work: Work
    /// Which batch, and nothing for a single.
    let batch: Int?
    var isCancelled = false
}

struct SimulatedRequest {
    let function: Int
    let tableEnds: [Offset]
    var isAbandoned = false
}

/// A ledger write under way, with what it will make durable.
struct SimulatedWrite {
    var outputs: [Delivery]
    var entries: [LedgerEntry]
    /// What the model knew when the write was taken, by lane: failed attempts and drops by offset.
    var failed: [Int: [Offset: Int]] = [:]
    var dropped: [Int: Set<Offset>] = [:]
}
