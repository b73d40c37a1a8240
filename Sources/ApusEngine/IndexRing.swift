/// A first-in first-out queue of indices in one flat ring.
///
/// The sources of a function (its partitions, its requests) stand in one while they have work that may run: each gives
/// one piece of work and goes to the back, so that a hot partition cannot starve another.
struct IndexRing {
    private var storage: [Int32] = []
    private var head = 0
    private(set) var count = 0

    var isEmpty: Bool { self.count == 0 }

    mutating func append(_ index: Int32) {
        if self.count == self.storage.count { self.grow() }
        self.storage[(self.head + self.count) & (self.storage.count - 1)] = index
        self.count += 1
    }

    mutating func popFirst() -> Int32? {
        guard self.count > 0 else { return nil }
        let index = self.storage[self.head]
        self.head = (self.head + 1) & (self.storage.count - 1)
        self.count -= 1
        return index
    }

    /// Takes one out, wherever it stands. O(n), for what changes rarely.
    mutating func remove(_ index: Int32) {
        for _ in 0..<self.count {
            guard let first = self.popFirst() else { return }
            if first != index { self.append(first) }
        }
    }

    mutating func removeAll() {
        self.head = 0
        self.count = 0
    }

    private mutating func grow() {
        let (storage, head, count) = (self.storage, self.head, self.count)
        self.storage = (0..<max(8, count * 2)).map { $0 < count ? storage[(head + $0) & (storage.count - 1)] : 0 }
        self.head = 0
    }
}
