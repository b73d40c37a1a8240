/// A map from 64-bit numbers to small indices, in two flat arrays: open addressing, linear probing, no tombstones.
///
/// It exists because the paths of an event look up offsets and keys, where a dictionary costs several times as much.
/// Stored indices are never negative.
struct IndexTable {
    private static let empty: Int32 = -1
    private static let initialCapacity = 16

    // Nothing is allocated before the first member: most functions are idle.
    private var keys: [UInt64] = []
    private var values: [Int32] = []
    private var shift: UInt64 = 0
    private(set) var count = 0

    /// Multiplication by the golden ratio spreads neighbouring offsets over the whole table.
    private func home(_ key: UInt64) -> Int { Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) &>> self.shift) }

    subscript(key: UInt64) -> Int32? {
        guard self.count > 0 else { return nil }
        let mask = self.values.count - 1
        var at = self.home(key)
        while self.values[at] != Self.empty {
            if self.keys[at] == key { return self.values[at] }
            at = (at + 1) & mask
        }
        return nil
    }

    mutating func set(_ key: UInt64, _ value: Int32) {
        // Half full at most: probes stay short.
        if (self.count + 1) * 2 > self.values.count { self.grow() }
        let mask = self.values.count - 1
        var at = self.home(key)
        while self.values[at] != Self.empty {
            if self.keys[at] == key {
                self.values[at] = value
                return
            }
            at = (at + 1) & mask
        }
        self.keys[at] = key
        self.values[at] = value
        self.count += 1
    }

    @discardableResult
    mutating func remove(_ key: UInt64) -> Int32? {
        guard self.count > 0 else { return nil }
        let mask = self.values.count - 1
        var at = self.home(key)
        while self.values[at] != Self.empty {
            if self.keys[at] == key {
                let value = self.values[at]
                self.close(at, mask)
                self.count -= 1
                return value
            }
            at = (at + 1) & mask
        }
        return nil
    }

    /// Moves later members of the probe chain into the gap, so that look-ups need no tombstones.
    private mutating func close(_ gap: Int, _ mask: Int) {
        var gap = gap
        var at = (gap + 1) & mask
        while self.values[at] != Self.empty {
            let distance = (at &- self.home(self.keys[at])) & mask
            if distance >= (at &- gap) & mask {
                self.keys[gap] = self.keys[at]
                self.values[gap] = self.values[at]
                gap = at
            }
            at = (at + 1) & mask
        }
        self.values[gap] = Self.empty
    }

    private mutating func grow() {
        let (keys, values) = (self.keys, self.values)
        let capacity = max(Self.initialCapacity, keys.count * 2)
        self.keys = Array(repeating: 0, count: capacity)
        self.values = Array(repeating: Self.empty, count: capacity)
        self.shift = UInt64(64 - capacity.trailingZeroBitCount)
        self.count = 0
        for index in keys.indices where values[index] != Self.empty { self.set(keys[index], values[index]) }
    }
}
