internal import ApusCore

/// One partition of one trigger: its ledger, its order, and how far it is read.
struct Lane {
    enum Fetch: UInt8 {
        /// No read is under way. Next: `underWay`.
        case idle
        /// Asked for. Next: `idle` with the answer, `resting` when it failed.
        case underWay
        /// Waits before it is asked again. Next: `idle`.
        case resting
    }

    enum Dirt: UInt8 {
        /// The durable state is the one in memory, as far as outcomes go.
        case clean
        /// Records were skipped since the last write, nothing else.
        case lazy
        /// To be part of the next write.
        case dirty
    }

    /// Tells the lane from the one that had its slot before.
    var generation: UInt32
    var trigger: Int32
    var function: Int32
    var partition: Int
    /// Whose ledger is written together with its own.
    var group: Int = 0
    var ledger: Ledger
    var keys = KeyOrder()
    /// Of a trigger that skips repetitions.
    var seen = SeenEvents()
    /// What the write under way lets the log remember.
    var remembering: [RememberedEvent] = []
    /// The next offset the log will give.
    var end: Offset
    var fetch = Fetch.idle
    var dirt = Dirt.clean
    /// Its deliveries may not be dispatched now: a pause, or the log is short of room.
    var isHeld: Bool
    /// It goes to another owner: nothing more of it is read or dispatched.
    var isLeaving = false
    /// The last read failed.
    var isReadFailing = false
    /// Stands in its function's ring.
    var isQueued = false
}

/// Names a lane for later: stale once the slot is another's.
struct LaneReference {
    var lane: Int32
    var generation: UInt32
}
