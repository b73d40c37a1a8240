internal import ApusCore

/// Moments by index, the earliest first, with removal by index: O(log n) each.
///
/// For what has a moment of its own and usually ends before it: the deadlines of direct invocations.
struct DeadlineHeap {
    private static let absent: Int32 = -1
    private var heap: [Int32] = []
    private var moments: [Timestamp] = []
    private var places: [Int32] = []

    var first: (index: Int32, moment: Timestamp)? { self.heap.first.map { ($0, self.moments[Int($0)]) } }
    var count: Int { self.heap.count }

    mutating func set(_ index: Int32, _ moment: Timestamp) {
        while self.places.count <= Int(index) {
            self.places.append(Self.absent)
            self.moments.append(.zero)
        }
        self.moments[Int(index)] = moment
        if self.places[Int(index)] == Self.absent {
            self.places[Int(index)] = Int32(self.heap.count)
            self.heap.append(index)
        }
        self.settle(Int(self.places[Int(index)]))
    }

    mutating func remove(_ index: Int32) {
        guard Int(index) < self.places.count, self.places[Int(index)] != Self.absent else { return }
        let place = Int(self.places[Int(index)])
        self.swap(place, self.heap.count - 1)
        self.heap.removeLast()
        self.places[Int(index)] = Self.absent
        if place < self.heap.count { self.settle(place) }
    }

    private func isBefore(_ left: Int, _ right: Int) -> Bool {
        self.moments[Int(self.heap[left])] < self.moments[Int(self.heap[right])]
    }

    private mutating func swap(_ left: Int, _ right: Int) {
        self.heap.swapAt(left, right)
        self.places[Int(self.heap[left])] = Int32(left)
        self.places[Int(self.heap[right])] = Int32(right)
    }

    private mutating func settle(_ place: Int) {
        var at = place
        while at > 0, self.isBefore(at, (at - 1) / 2) {
            self.swap(at, (at - 1) / 2)
            at = (at - 1) / 2
        }
        while true {
            var smallest = at
            if 2 * at + 1 < self.heap.count, self.isBefore(2 * at + 1, smallest) { smallest = 2 * at + 1 }
            if 2 * at + 2 < self.heap.count, self.isBefore(2 * at + 2, smallest) { smallest = 2 * at + 2 }
            guard smallest != at else { return }
            self.swap(at, smallest)
            at = smallest
        }
    }
}
