public import ApusCore

/// Where the records of one partition went that were written again elsewhere, in their order.
///
/// Neighbours that stayed neighbours are one run, so that a partition without gaps takes a few bytes.
public struct OffsetMap: Sendable, Equatable {
    private struct Run: Sendable, Equatable {
        var old: Offset
        var new: Offset
        var count: Offset
    }

    private var runs: [Run] = []

    public init() {}

    /// Where the next record would go.
    public var end: Offset { self.runs.last.map { $0.new + $0.count } ?? 0 }

    /// The next record. Both of its offsets are above those of all before it.
    public mutating func note(_ old: Offset, wentTo new: Offset) {
        if let last = self.runs.last, old == last.old + last.count, new == last.new + last.count {
            self.runs[self.runs.count - 1].count += 1
        } else {
            self.runs.append(Run(old: old, new: new, count: 1))
        }
    }

    /// Where a record went; nil for one that was not there.
    public func place(of old: Offset) -> Offset? {
        let index = self.firstRun(endingAfter: old)
        guard index < self.runs.count, self.runs[index].old <= old else { return nil }
        return self.runs[index].new + (old - self.runs[index].old)
    }

    /// Where the first record at or after an offset went; the end when there is none.
    public func position(of old: Offset) -> Offset {
        let index = self.firstRun(endingAfter: old)
        guard index < self.runs.count else { return self.end }
        return self.runs[index].new + max(0, old - self.runs[index].old)
    }

    private func firstRun(endingAfter old: Offset) -> Int {
        var (low, high) = (0, self.runs.count)
        while low < high {
            let middle = (low + high) / 2
            if self.runs[middle].old + self.runs[middle].count > old { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
