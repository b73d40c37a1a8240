internal import ApusCore

/// The attempts of one worker by their stream: open addressing, O(1), without a hash of strength, since the streams are ours.
struct AttemptTable {
    /// 0 is no attempt's stream.
    private var keys: [UInt64] = Array(repeating: 0, count: 8)
    private var values: [Attempt?] = Array(repeating: nil, count: 8)
    private(set) var count = 0

    var isEmpty: Bool { self.count == 0 }

    private func home(_ stream: UInt64) -> Int {
        Int(truncatingIfNeeded: (stream &* 0x9E37_79B9_7F4A_7C15) >> 32) & (self.keys.count - 1)
    }

    /// Where the attempt is, until the table changes.
    func index(of stream: UInt64) -> Int? {
        guard stream != 0 else { return nil }
        var slot = self.home(stream)
        while self.keys[slot] != 0 {
            if self.keys[slot] == stream { return slot }
            slot = (slot + 1) & (self.keys.count - 1)
        }
        return nil
    }

    /// The attempt at a place that ``index(of:)`` gave.
    subscript(index: Int) -> Attempt {
        get {
            guard let attempt = self.values[index] else { preconditionFailure("an index names an attempt") }
            return attempt
        }
        set { self.values[index] = newValue }
    }

    /// - Parameter attempt: its stream is not 0 and not in the table.
    mutating func insert(_ attempt: Attempt) {
        if (self.count + 1) * 2 > self.keys.count { self.grow() }
        var slot = self.home(attempt.stream)
        while self.keys[slot] != 0 { slot = (slot + 1) & (self.keys.count - 1) }
        self.keys[slot] = attempt.stream
        self.values[slot] = attempt
        self.count += 1
    }

    mutating func remove(at index: Int) -> Attempt {
        guard let attempt = self.values[index] else { preconditionFailure("an index names an attempt") }
        self.count -= 1
        // Later entries of the same run move up, so that no search stops at the hole too early.
        let mask = self.keys.count - 1
        var hole = index
        var slot = (hole + 1) & mask
        while self.keys[slot] != 0 {
            let distance = (slot - self.home(self.keys[slot])) & mask
            if distance >= (slot - hole) & mask {
                self.keys[hole] = self.keys[slot]
                self.values[hole] = self.values[slot]
                hole = slot
            }
            slot = (slot + 1) & mask
        }
        self.keys[hole] = 0
        self.values[hole] = nil
        return attempt
    }

    /// Empties the table.
    mutating func removeAll() -> [Attempt] {
        let attempts = self.values.compactMap { $0 }
        self = AttemptTable()
        return attempts
    }

    /// The only attempt, when there is exactly one.
    var only: Attempt? {
        guard self.count == 1 else { return nil }
        return self.values.lazy.compactMap { $0 }.first
    }

    private mutating func grow() {
        let attempts = self.values.compactMap { $0 }
        self.keys = Array(repeating: 0, count: self.keys.count * 2)
        self.values = Array(repeating: nil, count: self.keys.count)
        self.count = 0
        for attempt in attempts { self.insert(attempt) }
    }
}
