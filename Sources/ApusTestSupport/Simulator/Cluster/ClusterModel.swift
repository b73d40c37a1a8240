internal import ApusCore
internal import ApusEngine

/// What became of one delivery on the log of the cluster.
struct ClusterDelivery {
    /// Replies and dead letters.
    var outputs = 0
    var isDropped = false
    /// When its first output came, and at which version of its share's ledger it was settled.
    var landedAt = Timestamp.zero
    var settledAt: Int?

    var hasOutcome: Bool { self.outputs > 0 || self.isDropped }
}

/// One trigger's partition.
struct ClusterLane {
    let trigger: Int
    let topic: Int
    let partition: Int
    let share: Int
    var deliveries: [Offset: ClusterDelivery] = [:]
    /// What the log holds of it.
    var state = LedgerState(watermark: 0)

    subscript(offset: Offset) -> ClusterDelivery {
        get { self.deliveries[offset] ?? ClusterDelivery() }
        set { self.deliveries[offset] = newValue }
    }
}

/// A record that the outcome of a delivery leaves: its reply or its dead letter.
struct ClusterOutput {
    var delivery: Delivery
    var lane: Int
    var isLetter: Bool
}

/// What one share's transaction holds.
struct ShareTransaction {
    /// The version of the ledger that its writer knows.
    var basedOn: Int
    var entries: [LedgerEntry] = []
    var outputs: [ClusterOutput] = []
    var dropped: [(lane: Int, offset: Offset)] = []
}

/// A share's transactional id and its partition of the ledger, as the brokers have them.
struct SimulatedShareLog {
    var epoch = 0
    var open: ShareTransaction?
    var openedAt = Timestamp.zero
    /// Transactions committed.
    var version = 0
    /// The encoded state by lane.
    var states: [Int: [UInt8]] = [:]
    var takenOverAt = Timestamp.zero
    var isTakenOver = false
}

/// The group of nodes as its coordinator has it.
struct SimulatedGroup {
    struct Member {
        var life: Int
        var heardAt: Timestamp
    }

    struct Holder {
        var node: Int
        var revokedAt: Timestamp?
    }

    var members: [Int: Member] = [:]
    var holders: [Holder?]
}

/// What the coordinator tells a node.
enum GroupMessage {
    case assigned(Int)
    case revoked(Int)
    /// It was put out: its shares may be others' already.
    case lost
}

struct ClusterRequest {
    enum Kind {
        case initialise
        case read
        case send(ShareTransaction)
        case commit
        /// What goes outside of the transaction, beside what will be in it.
        case produce(ClusterWrite)
    }

    var node: Int
    var life: Int
    var share: Int
    /// Of the machine that asks: what an earlier beginning asked for is too late.
    var term: UInt64
    var epoch: Int
    var sentAt: Timestamp
    var kind: Kind
}

enum ClusterAnswer {
    case initialised(epoch: Int)
    case ledger(version: Int, states: [Int: [UInt8]])
    case sent
    case committed
    /// Nothing of it is on the log.
    case aborted
    case fenced
    case unknown
    case produced
    case notProduced
}
