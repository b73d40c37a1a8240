internal import ApusCore

/// The attempts in flight, by stream.
///
/// A stream names a slot and the slot's generation, so that an answer that comes late finds that its attempt is gone.
/// Slots lie in a flat array. Each attempt stands in the list of its worker and in one list by time: the deadlines of
/// its function, in which all attempts have the same timeout and arrive in order, or, cancelled, the list of those
/// whose worker is killed next.
struct InFlight {
    static let none: Int32 = -1
    private static let indexBits: UInt64 = 24
    private static let indexMask: UInt64 = (1 << 24) - 1
    /// Attempts in flight at one time: what the stream's number has room for.
    static let capacity = 1 << 24

    enum State: UInt8 {
        case free
        /// Its outcome counts. Next: `expired`, `cancelled`, `abandoned`, `free`.
        case running
        /// Past its deadline: it has failed, but its delivery waits until the worker answers or is gone. Next:
        /// `cancelled`, `free`.
        case expired
        /// As `expired`, but its delivery is given up for good. Next: `free`.
        case cancelled
        /// Nobody waits for it any more; it holds its credit until the worker answers. Next: `expired`, `free`.
        case abandoned
    }

    enum Work {
        case delivery(lane: Int32, laneGeneration: UInt32, slot: Int32)
        case request(Int32)
        case tableRecord(table: Int32, offset: Offset)
        case nothing
    }

    struct Attempt {
        var generation: UInt64 = 0
        var work = Work.nothing
        var deadline = Timestamp.zero
        var worker = InFlight.none
        var function = InFlight.none
        var batch = InFlight.none
        var workerBefore = InFlight.none
        var workerAfter = InFlight.none
        var timeBefore = InFlight.none
        var timeAfter = InFlight.none
        var state = State.free
        /// Takes no credit and does not count as use.
        var isTableRecord = false
    }

    /// A list of attempts; its head is kept by whoever owns the list.
    struct List {
        var first = InFlight.none
        var last = InFlight.none

        /// Keeps the list in the order of deadlines. With one timeout per function that is its end; a redeploy with a
        /// shorter one walks back over what the longer one left.
        fileprivate mutating func insert(_ slot: Int32, _ attempts: inout [Attempt]) {
            var before = self.last
            while before != InFlight.none, attempts[Int(before)].deadline > attempts[Int(slot)].deadline {
                before = attempts[Int(before)].timeBefore
            }
            let after = before == InFlight.none ? self.first : attempts[Int(before)].timeAfter
            attempts[Int(slot)].timeBefore = before
            attempts[Int(slot)].timeAfter = after
            if before == InFlight.none { self.first = slot } else { attempts[Int(before)].timeAfter = slot }
            if after == InFlight.none { self.last = slot } else { attempts[Int(after)].timeBefore = slot }
        }

        fileprivate mutating func remove(_ slot: Int32, _ attempts: inout [Attempt]) {
            let (before, after) = (attempts[Int(slot)].timeBefore, attempts[Int(slot)].timeAfter)
            if before == InFlight.none { self.first = after } else { attempts[Int(before)].timeAfter = after }
            if after == InFlight.none { self.last = before } else { attempts[Int(after)].timeBefore = before }
        }
    }

    private(set) var attempts: [Attempt] = []
    private var firstFree = InFlight.none
    private(set) var count = 0
    /// Cancelled attempts in the order in which their worker's grace ends.
    private(set) var cancelled = List()

    subscript(slot: Int32) -> Attempt { self.attempts[Int(slot)] }

    func stream(_ slot: Int32) -> StreamID {
        StreamID(rawValue: self.attempts[Int(slot)].generation << Self.indexBits | UInt64(slot))
    }

    /// The attempt's slot, or nil when it is over.
    func find(_ stream: StreamID) -> Int32? {
        let index = Int(stream.rawValue & Self.indexMask)
        guard index < self.attempts.count, self.attempts[index].state != .free,
            self.attempts[index].generation == stream.rawValue >> Self.indexBits
        else { return nil }
        return Int32(index)
    }

    mutating func begin(
        _ work: Work, worker: Int32, function: Int32, batch: Int32, deadline: Timestamp, workerList: inout List,
        deadlines: inout List
    ) -> Int32 {
        let slot = self.allocate()
        var attempt = Attempt()
        // Generations start at 1: stream 0 is the session's.
        attempt.generation = self.attempts[Int(slot)].generation + 1
        attempt.work = work
        attempt.deadline = deadline
        attempt.worker = worker
        attempt.function = function
        attempt.batch = batch
        attempt.state = .running
        if case .tableRecord = work { attempt.isTableRecord = true }
        attempt.workerBefore = workerList.last
        self.attempts[Int(slot)] = attempt
        if workerList.last == Self.none {
            workerList.first = slot
        } else {
            self.attempts[Int(workerList.last)].workerAfter = slot
        }
        workerList.last = slot
        deadlines.insert(slot, &self.attempts)
        self.count += 1
        return slot
    }

    private mutating func allocate() -> Int32 {
        guard self.firstFree != Self.none else {
            precondition(
                self.attempts.count < Self.capacity, "attempts in flight are bounded by the credits of workers")
            self.attempts.append(Attempt())
            return Int32(self.attempts.count - 1)
        }
        let slot = self.firstFree
        self.firstFree = self.attempts[Int(slot)].timeAfter
        return slot
    }

    /// The attempt's deadline passed, or it was cancelled: from here on `killAt` counts.
    mutating func expire(_ slot: Int32, as state: State = .expired, killAt: Timestamp, deadlines: inout List) {
        deadlines.remove(slot, &self.attempts)
        self.attempts[Int(slot)].state = state
        self.attempts[Int(slot)].deadline = killAt
        self.cancelled.insert(slot, &self.attempts)
    }

    /// What its deadline ended already is not to be tried again either.
    mutating func giveUpExpired(_ slot: Int32) { self.attempts[Int(slot)].state = .cancelled }

    /// Its worker was killed: nothing more is due until its exit.
    mutating func forgetGrace(_ slot: Int32) {
        self.cancelled.remove(slot, &self.attempts)
        self.attempts[Int(slot)].deadline = .distantFuture
        self.cancelled.insert(slot, &self.attempts)
    }

    /// Nobody waits for its outcome; its deadline goes on.
    mutating func abandon(_ slot: Int32) {
        self.attempts[Int(slot)].work = .nothing
        if self.attempts[Int(slot)].state == .running { self.attempts[Int(slot)].state = .abandoned }
    }

    /// The attempt is over: its stream means nothing from here on.
    mutating func end(_ slot: Int32, workerList: inout List, deadlines: inout List) {
        let attempt = self.attempts[Int(slot)]
        if attempt.state == .expired || attempt.state == .cancelled {
            self.cancelled.remove(slot, &self.attempts)
        } else {
            deadlines.remove(slot, &self.attempts)
        }
        if attempt.workerBefore == Self.none {
            workerList.first = attempt.workerAfter
        } else {
            self.attempts[Int(attempt.workerBefore)].workerAfter = attempt.workerAfter
        }
        if attempt.workerAfter == Self.none {
            workerList.last = attempt.workerBefore
        } else {
            self.attempts[Int(attempt.workerAfter)].workerBefore = attempt.workerBefore
        }
        self.attempts[Int(slot)].state = .free
        self.attempts[Int(slot)].work = .nothing
        self.attempts[Int(slot)].timeAfter = self.firstFree
        self.firstFree = slot
        self.count -= 1
    }
}
