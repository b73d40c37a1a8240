internal import ApusCore

/// A moment at which the engine has something to do. Stale ones are recognised by their generation and do nothing.
struct EngineTimer: Comparable {
    enum Kind: UInt8 {
        /// The first deadline of a function's attempts.
        case deadlines
        /// A delivery's next attempt is due; `detail` is its slot.
        case retry
        case batch
        case idle
        /// A start may be tried again.
        case pool
        /// A worker should have been ready.
        case startTimeout
        /// A worker should have left.
        case stopTimeout
        case fetch
        /// Deliveries of a paced trigger may begin again; `index` is the trigger, `generation` its id.
        case pace
        /// `index` is a function, `detail` the place in its tables.
        case tableFetch
        case lazySettle
        case ledgerRetry
    }

    var due: Timestamp
    var kind: Kind
    var index: Int32 = 0
    var detail: Int32 = 0
    var generation: UInt64 = 0

    static func < (left: EngineTimer, right: EngineTimer) -> Bool { left.due < right.due }
}
