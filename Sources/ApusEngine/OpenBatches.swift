/// How many items of each batch in flight have no result yet: the last one returns the batch's credit.
struct OpenBatches {
    private var remaining: [Int32] = []
    private var sizes: [Int32] = []
    private var free: [Int32] = []

    mutating func open(_ count: Int) -> Int32 {
        if let batch = self.free.popLast() {
            self.remaining[Int(batch)] = Int32(count)
            self.sizes[Int(batch)] = Int32(count)
            return batch
        }
        self.remaining.append(Int32(count))
        self.sizes.append(Int32(count))
        return Int32(self.remaining.count - 1)
    }

    /// How many events it was opened with. Asked while it is open.
    func size(_ batch: Int32) -> Int { Int(self.sizes[Int(batch)]) }

    /// - Returns: whether it was the last item.
    mutating func itemEnded(_ batch: Int32) -> Bool {
        self.remaining[Int(batch)] -= 1
        guard self.remaining[Int(batch)] == 0 else { return false }
        self.free.append(batch)
        return true
    }
}
