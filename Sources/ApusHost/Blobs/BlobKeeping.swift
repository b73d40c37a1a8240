public import ApusCore

/// Keeps data that is too large for a record, and gives it back. Both from a thread that may wait.
public protocol BlobKeeping: Sendable {
    /// Writes the data of an event for a topic.
    /// - Parameter completion: called once, on a thread of the log's, with the event's block as it goes to the topic.
    func claim(
        _ block: [UInt8], for topic: TopicName, _ completion: @escaping @Sendable (Result<[UInt8], ApusError>) -> Void)
    /// - Throws: `record_expired` when it is gone, what reading the log says.
    func data(_ reference: BlobReference, of topic: TopicName) throws(ApusError) -> [UInt8]
}
