internal import ApusCore

/// Functions that wait for room on a device, by virtual time: who was served least for its weight is next.
///
/// Each start advances its function's time by what it will hold, by its weight; a function that comes anew begins where the
/// others are, so that it can neither save up nor owe.
struct FairQueue {
    private struct Entry: Comparable {
        var time: Double
        /// Of equals, who waited longer.
        var order: UInt64
        var function: Int32

        static func < (left: Entry, right: Entry) -> Bool {
            left.time != right.time ? left.time < right.time : left.order < right.order
        }
    }

    private var heap = BinaryHeap<Entry>()
    private var waiting: Set<Int32> = []
    private var order: UInt64 = 0
    /// The virtual time of who was served last.
    private var now = 0.0

    var isEmpty: Bool { self.waiting.isEmpty }
    var count: Int { self.waiting.count }
    func contains(_ function: Int32) -> Bool { self.waiting.contains(function) }

    /// - Returns: false when it waits already.
    mutating func insert(_ function: Int32, time: Double) -> Bool {
        guard self.waiting.insert(function).inserted else { return false }
        self.order += 1
        self.heap.insert(Entry(time: max(time, self.now), order: self.order, function: function))
        return true
    }

    mutating func remove(_ function: Int32) { self.waiting.remove(function) }

    /// The next; it leaves the queue.
    mutating func popFirst() -> Int32? {
        while let entry = self.heap.popFirst() {
            guard self.waiting.remove(entry.function) != nil else { continue }
            self.now = max(self.now, entry.time)
            return entry.function
        }
        return nil
    }

    /// Who is next; it waits on.
    mutating func first() -> Int32? {
        while let entry = self.heap.first {
            if self.waiting.contains(entry.function) { return entry.function }
            self.heap.popFirst()
        }
        return nil
    }

    /// How far a function is ahead of another, in seconds of a device by its weight. One that was behind all has not saved that up.
    func lead(of time: Double, before other: Double) -> Double { max(time, self.now) - max(other, self.now) }

    /// A function's time after it was given `service` seconds of a device.
    func advance(_ time: Double, service: Double, weight: Double) -> Double {
        max(time, self.now) + service / max(weight, 0.001)
    }
}
