internal import ApusCore
internal import ApusEngine
internal import ApusLog

/// One server of the cluster: the real engine, its workers, and its shares.
struct ClusterNode {
    enum State { case running, paused, dead }

    struct Worker {
        let function: Int
        let isBatched: Bool
        let concurrency: Int
        var isKilled = false
        var attempts: Set<UInt64> = []
    }

    struct Attempt {
        let worker: WorkerID
        let delivery: Delivery
        /// Of its share, when it began.
        let term: UInt64
    }

    var life = 0
    var state = State.dead
    var isStopping = false
    var engine: Engine
    var workers: [WorkerID: Worker] = [:]
    var attempts: [UInt64: Attempt] = [:]
    var shares: [ClusterShare]
    /// What comes for it while it is stopped.
    var held: [ClusterSimulator.Event] = []
    /// The coordinator's messages keep their order.
    var mailDue = Timestamp.zero
}

/// A share as its node sees it: the real machine, and what its thread and its producer hold.
struct ClusterShare {
    var machine = Ownership()
    /// The producer's; nil without one.
    var epoch: Int?
    /// Transactions of the share that this node knows of.
    var version = 0
    var openedAt = Timestamp.zero
    /// What was read, until the machine says to work.
    var read: [Int: [UInt8]] = [:]
    /// Its lanes are open in the engine.
    var isOpen = false
    /// What goes with the next write, and the write under way.
    var outputs: [ClusterOutput] = []
    var dropped: [(lane: Int, offset: Offset)] = []
    var write: ClusterWrite?
    var isTakeScheduled = false
    /// What followed its outputs and is settled for the engine: the real machine of it, by lane.
    var pending = PendingLedger<Int, LedgerEntry>(proof: ClusterTimes.proof)
    /// Deliveries that were dropped and that `pending` settles.
    var pendingDropped: [(lane: Int, offset: Offset)] = []
    /// Those of the transaction under way.
    var droppedUnderWay: [(lane: Int, offset: Offset)] = []
    /// A transaction is under way.
    var isBusy = false
    /// It holds nothing of the write under way: what is pending, or nothing, to show that the share is this node's still.
    var isProof = false
    /// It waits to be told that nothing runs any more.
    var isDraining = false
    /// When it must have let go.
    var drainUntil: Timestamp?
    /// Only in a node with a defect: it is another's, and yet is written.
    var isStolen = false
}

/// A write of a share's ledger under way, with what goes with it.
struct ClusterWrite {
    /// From a proof that the share is this node's, over the outputs outside of transactions, to the transaction.
    enum Stage { case proving, producing, transacting }

    var stage = Stage.proving
    /// Outputs outside of the transaction.
    var plain: [ClusterOutput] = []
    var entries: [LedgerEntry] = []
    var outputs: [ClusterOutput] = []
    var dropped: [(lane: Int, offset: Offset)] = []
    /// Those of writes before that the ledger does not say yet.
    var droppedBefore: [(lane: Int, offset: Offset)] = []
}
