internal import ApusCore

/// Which functions wait for one of the places that a host has for workers, and who is next: who was served least for its weight.
///
/// Each start moves its function's time on by one part of its weight; a function that comes anew begins where the others are.
struct SlotShares {
    private var queue = FairQueue()
    /// Who may take the place that came free, while it is asked.
    var turn: Int32?
    var isEmpty: Bool { self.queue.isEmpty }
    var count: Int { self.queue.count }

    mutating func wait(_ function: Int32, time: Double) { _ = self.queue.insert(function, time: time) }
    mutating func remove(_ function: Int32) { self.queue.remove(function) }
    mutating func popFirst() -> Int32? { self.queue.popFirst() }
    func contains(_ function: Int32) -> Bool { self.queue.contains(function) }
    func advance(_ time: Double, weight: Double) -> Double { self.queue.advance(time, service: 1, weight: weight) }
}
