internal import ApusCore

/// What a node does with the partitions of a group that it owns.
///
/// ``load(_:_:)`` and ``work(_:_:)`` run on a thread of the partition's own; the announcements on the group's, in the order of what
/// happened, and must not wait.
protocol PartitionOwner: AnyObject, Sendable {
    /// Its transactional id was taken over a moment ago: nothing of an earlier owner becomes visible any more. Reads what that one left.
    func load(_ partition: Int, _ transactions: KafkaTransactions) throws(KafkaFailure)
    /// Does what there is to do, in transactions. Called after each ``OwnedPartitions/wake(_:)``, and every
    /// ``Limits/Kafka/ownerTickMilliseconds``, while the partition is worked.
    /// - Throws: whatever makes what is known doubtful. The partition is begun anew: taken over, read, worked.
    func work(_ partition: Int, _ transactions: KafkaTransactions) throws(KafkaTransactions.Trouble)
    /// In how many milliseconds it has work at the latest that nobody wakes it for.
    func wait(_ partition: Int) -> Int
    /// Writes what waits for company: the partition is let go, or the server ends.
    func flush(_ partition: Int, _ transactions: KafkaTransactions) throws(KafkaTransactions.Trouble)

    /// - Parameter term: tells this beginning from earlier ones.
    func working(_ partition: Int, term: UInt64)
    /// It goes to another node: what runs may end until then. ``OwnedPartitions/drained(_:)`` ends the wait.
    func draining(_ partition: Int, until: Timestamp)
    /// Nothing is decided for it here any more: what has not been committed by now never will be.
    func stopped(_ partition: Int)
}

/// Owners that write everything at once.
extension PartitionOwner {
    func wait(_ partition: Int) -> Int { Limits.Kafka.ownerTickMilliseconds }
    func flush(_ partition: Int, _ transactions: KafkaTransactions) throws(KafkaTransactions.Trouble) {}
}
