internal import ApusCore

/// The attempts of one worker by their stream: open addressing, O(1), without a hash of strength, since the streams are
/// ours.
struct AttemptTable {
    /// Slots without an attempt hold ``Attempt/none``, whose stream is 0.
    private var slots: [Attempt] = Array(repeating: .none, count: 8)
    private(set) var count = 0

    var isEmpty: Bool { self.count == 0 }

    private func home(_ stream: UInt64) -> Int {
        Int(truncatingIfNeeded: (stream &* 0x9E37_79B9_7F4A_7C15) >> 32) & (self.slots.count - 1)
    }

    /// Where the attempt is, until the table changes.
    func index(of stream: UInt64) -> Int? {
        guard stream != 0 else { return nil }
        var slot = self.home(stream)
        while self.slots[slot].stream != 0 {
            if self.slots[slot].stream == stream { return slot }
            slot = (slot + 1) & (self.slots.count - 1)
        }
        return nil
    }

    /// The attempt at a place that ``index(of:)`` gave, in place. A coroutine that is not inlined takes memory for each
    /// access.
    @inline(__always)
    subscript(index: Int) -> Attempt {
        @inline(__always) _read { yield self.slots[index] }
        @inline(__always) _modify { yield &self.slots[index] }
    }

    /// - Parameter attempt: its stream is not 0 and not in the table.
    mutating func insert(_ attempt: consuming Attempt) {
        if (self.count + 1) * 2 > self.slots.count { self.grow() }
        var slot = self.home(attempt.stream)
        while self.slots[slot].stream != 0 { slot = (slot + 1) & (self.slots.count - 1) }
        self.slots[slot] = attempt
        self.count += 1
    }

    mutating func remove(at index: Int) -> Attempt {
        var attempt = Attempt.none
        swap(&attempt, &self.slots[index])
        self.count -= 1
        // Later entries of the same run move up, so that no search stops at the hole too early.
        let mask = self.slots.count - 1
        var hole = index
        var slot = (hole + 1) & mask
        while self.slots[slot].stream != 0 {
            let distance = (slot - self.home(self.slots[slot].stream)) & mask
            if distance >= (slot - hole) & mask {
                self.slots.swapAt(hole, slot)
                hole = slot
            }
            slot = (slot + 1) & mask
        }
        return attempt
    }

    /// Empties the table.
    mutating func removeAll() -> [Attempt] {
        let attempts = self.slots.filter { $0.stream != 0 }
        self = AttemptTable()
        return attempts
    }

    /// A copy, in no order: for what is rare.
    var all: [Attempt] { self.slots.filter { $0.stream != 0 } }

    func contains(where predicate: (Attempt) -> Bool) -> Bool { self.slots.contains { $0.stream != 0 && predicate($0) } }

    /// The only attempt, when there is exactly one.
    var only: Attempt? { self.count == 1 ? self.slots.first { $0.stream != 0 } : nil }

    /// Where it is, until the table changes.
    var onlyPlace: Int? { self.count == 1 ? self.slots.firstIndex { $0.stream != 0 } : nil }

    private mutating func grow() {
        let attempts = self.slots.filter { $0.stream != 0 }
        self.slots = Array(repeating: .none, count: self.slots.count * 2)
        self.count = 0
        for attempt in attempts { self.insert(attempt) }
    }
}
