/// Who waits for whom: deliveries of one order key run one after the other, keys never wait for each other.
///
/// Members are slots of the partition's ``Ledger``. Order key 0 stands for no order. A key is here only while a
/// delivery of it is unsettled, so that memory follows the deliveries in flight and not the keys there are.
struct KeyOrder {
    private static let none: Int32 = -1
    /// The last delivery in line of each key.
    private var tails = IndexTable()
    /// By slot: the next delivery of the same key.
    private var followers: [Int32] = []

    /// Keys with deliveries in flight.
    var count: Int { self.tails.count }

    /// - Returns: whether the delivery may run at once; otherwise ``release(_:key:)`` of its predecessor yields it.
    mutating func arrive(_ slot: Int32, key: UInt64) -> Bool {
        guard key != 0 else { return true }
        while self.followers.count <= Int(slot) { self.followers.append(Self.none) }
        self.followers[Int(slot)] = Self.none
        defer { self.tails.set(key, slot) }
        guard let tail = self.tails[key] else { return true }
        self.followers[Int(tail)] = slot
        return false
    }

    /// The delivery at the head of its key is done.
    /// - Returns: the one that may run now.
    mutating func release(_ slot: Int32, key: UInt64) -> Int32? {
        guard key != 0 else { return nil }
        let follower = self.followers[Int(slot)]
        guard follower == Self.none else { return follower }
        self.tails.remove(key)
        return nil
    }

    /// Gives back what a burst took, when nothing is left of it.
    mutating func trim() {
        guard self.count == 0 else { return }
        self.tails = IndexTable()
        self.followers = []
    }
}
