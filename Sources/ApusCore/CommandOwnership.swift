/// Says which partitions of `apus.commands` are decided by this node, where several nodes share a log, and writes what was decided
/// so that nobody who lost a partition can.
public protocol CommandOwnership: AnyObject, Sendable {
    /// Takes part from now on. `changed` is called on a thread of the log's own, one after the other, and must not wait.
    ///
    /// When a partition is gained, nobody who had it before can write any more, and whatever they had begun is decided.
    func start(_ changed: @escaping @Sendable (CommandOwnershipChange) -> Void) throws(ApusError)
    /// Writes as the owner: in one transaction, or nothing. `completion` is called once, from any thread: with `conflict` when the
    /// partition is this node's no more, with what the log says otherwise.
    func submit(
        _ batch: LogBatch, as owned: OwnedCommands,
        _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void)
    /// The next offset of a partition as whoever keeps the log says it, not only as far as this node has heard; reading goes that
    /// far from then on. Waits for the answer.
    func end(of partition: TopicPartition) throws(ApusError) -> Offset
    /// Nothing is gained any more; what was submitted is completed before this returns.
    func stop()
}

/// One time of owning one partition of `apus.commands`.
public struct OwnedCommands: Sendable, Hashable {
    public var partition: Int
    /// Grows with every time that it is gained.
    public var term: UInt64

    public init(partition: Int, term: UInt64) {
        self.partition = partition
        self.term = term
    }
}

public enum CommandOwnershipChange: Sendable, Equatable {
    case gained(OwnedCommands)
    case lost(OwnedCommands)
}
