internal import ApusCore

/// The direct invocations that wait or run: first in, first out per function, each with a deadline.
struct Requests {
    static let none: Int32 = -1

    enum State: UInt8 {
        case free
        /// In its function's queue. Next: `running`, `free`.
        case waiting
        /// In an attempt. Next: `free`.
        case running
    }

    struct Request {
        var id = RequestID(rawValue: 0)
        var deadline = Timestamp.zero
        var tableMark: UInt64 = 0
        /// Whose it is, where each principal has workers of its own; 0 is nobody's.
        var owner: UInt64 = 0
        var bytes: Int32 = 0
        var function = Requests.none
        /// While running.
        var attempt = Requests.none
        var before = Requests.none
        var after = Requests.none
        var state = State.free
    }

    /// The queue of one function.
    struct Queue {
        var first = Requests.none
        var last = Requests.none
        var count = 0
        var bytes = 0
    }

    private var requests: [Request] = []
    private var slots = IndexTable()
    private var deadlines = DeadlineHeap()
    private var firstFree = Requests.none

    var count: Int { self.slots.count }
    var nextDeadline: (slot: Int32, moment: Timestamp)? { self.deadlines.first.map { ($0.index, $0.moment) } }

    subscript(slot: Int32) -> Request { self.requests[Int(slot)] }
    func find(_ id: RequestID) -> Int32? { self.slots[id.rawValue] }

    @discardableResult
    mutating func enqueue(_ request: Request, queue: inout Queue) -> Int32 {
        let slot: Int32
        if self.firstFree == Self.none {
            slot = Int32(self.requests.count)
            self.requests.append(Request())
        } else {
            slot = self.firstFree
            self.firstFree = self.requests[Int(slot)].after
        }
        var request = request
        request.state = .waiting
        request.before = queue.last
        request.after = Self.none
        self.requests[Int(slot)] = request
        if queue.last == Self.none { queue.first = slot } else { self.requests[Int(queue.last)].after = slot }
        queue.last = slot
        queue.count += 1
        queue.bytes += Int(request.bytes)
        self.slots.set(request.id.rawValue, slot)
        self.deadlines.set(slot, request.deadline)
        return slot
    }

    /// The one that has waited longest; it runs from here on.
    mutating func take(queue: inout Queue) -> Int32? {
        guard queue.first != Self.none else { return nil }
        let slot = queue.first
        self.take(slot, queue: &queue)
        return slot
    }

    /// One that waits, wherever it stands in the queue.
    mutating func take(_ slot: Int32, queue: inout Queue) {
        self.unlink(slot, queue: &queue)
        self.requests[Int(slot)].state = .running
    }

    /// Its attempt did not begin after all: it is the next again.
    mutating func giveBack(_ slot: Int32, queue: inout Queue) {
        self.requests[Int(slot)].state = .waiting
        self.requests[Int(slot)].attempt = Self.none
        self.requests[Int(slot)].before = Self.none
        self.requests[Int(slot)].after = queue.first
        if queue.first == Self.none { queue.last = slot } else { self.requests[Int(queue.first)].before = slot }
        queue.first = slot
        queue.count += 1
        queue.bytes += Int(self.requests[Int(slot)].bytes)
    }

    mutating func began(_ slot: Int32, attempt: Int32) { self.requests[Int(slot)].attempt = attempt }

    /// It is answered or given up.
    mutating func end(_ slot: Int32, queue: inout Queue) {
        if self.requests[Int(slot)].state == .waiting { self.unlink(slot, queue: &queue) }
        self.slots.remove(self.requests[Int(slot)].id.rawValue)
        self.deadlines.remove(slot)
        self.requests[Int(slot)] = Request()
        self.requests[Int(slot)].after = self.firstFree
        self.firstFree = slot
    }

    private mutating func unlink(_ slot: Int32, queue: inout Queue) {
        let request = self.requests[Int(slot)]
        if request.before == Self.none {
            queue.first = request.after
        } else {
            self.requests[Int(request.before)].after = request.after
        }
        if request.after == Self.none {
            queue.last = request.before
        } else {
            self.requests[Int(request.after)].before = request.before
        }
        queue.count -= 1
        queue.bytes -= Int(request.bytes)
    }
}
