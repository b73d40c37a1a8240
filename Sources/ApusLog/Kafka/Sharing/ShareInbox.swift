internal import ApusCore

/// What waits to be written of one share, in the term in which it was decided. Pure; it lives behind a lock.
struct ShareInbox: Sendable {
    private let bytesMax: Int
    private let batchesMax: Int
    /// Nil while the share is not worked here.
    private(set) var term: UInt64?
    private var waiting: Deque<Submission> = Deque()
    private var bytes = 0

    init(bytesMax: Int, batchesMax: Int) {
        self.bytesMax = bytesMax
        self.batchesMax = batchesMax
    }

    mutating func open(_ term: UInt64) { self.term = term }

    /// - Returns: why it is refused; nil when it waits now.
    mutating func add(_ submission: Submission, _ owner: ShareTerm) -> ApusError? {
        guard self.term == owner.term else {
            return ApusError(.conflict, "another node does the work of the share \(owner.share)")
        }
        // An empty one takes any batch, so that none waits for ever.
        guard
            self.waiting.isEmpty
                || (self.waiting.count < self.batchesMax && self.bytes + submission.bytes <= self.bytesMax)
        else { return ApusError(.overloaded, "too much waits to be written of the share \(owner.share)") }
        self.waiting.append(submission)
        self.bytes += submission.bytes
        return nil
    }

    /// Takes what goes into one transaction.
    mutating func takeGroup() -> [Submission] {
        var group: [Submission] = []
        var fill = GroupFill()
        while let next = self.waiting.first, fill.hasRoom(for: next) {
            _ = self.waiting.popFirst()
            self.bytes -= next.bytes
            fill.add(next)
            group.append(next)
        }
        return group
    }

    /// The share is not worked here any more.
    /// - Returns: what was not written, and never will be.
    mutating func close() -> [Submission] {
        var left: [Submission] = []
        while let next = self.waiting.popFirst() { left.append(next) }
        self.bytes = 0
        self.term = nil
        return left
    }
}
