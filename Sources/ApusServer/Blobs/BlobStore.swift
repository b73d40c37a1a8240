internal import ApusCore
internal import ApusCrypto
internal import ApusHost

/// Data that is too large for a record, on `apus.blobs`: the claim check.
///
/// A blob lies beside the topic whose events may name it, and as long as they may: see ``retention(_:)``. Nothing counts its users.
struct BlobStore: BlobKeeping {
    private let log: any EventLog

    init(log: any EventLog) { self.log = log }

    func claim(
        _ block: [UInt8], for topic: TopicName, _ completion: @escaping @Sendable (Result<[UInt8], ApusError>) -> Void
    ) {
        do throws(ApusError) {
            let (claimed, appends) = try self.pieces(of: block, for: topic)
            // Before the record that names them: whoever sees that one finds all of them.
            self.log.submit(LogBatch(urgency: .producer, appends: appends)) { result in
                completion(result.map { _ in claimed })
            }
        } catch { completion(.failure(error)) }
    }

    /// The block that refers to its data, and the records that hold it. Hashes it: not on a loop.
    /// - Throws: `event_too_large` for what cannot be kept so, and for a compacted topic.
    func pieces(of block: [UInt8], for topic: TopicName) throws(ApusError) -> (
        block: [UInt8], appends: [LogBatch.Append]
    ) {
        guard let event = try? EventBlock.decode(block.span.bytes), let data = event.data, !data.isEmpty else {
            throw ApusError(.eventTooLarge, "the event has \(block.count) bytes without its data: send less beside it")
        }
        guard data.count <= Limits.Blob.bytes else {
            throw ApusError(
                .eventTooLarge,
                "the event's data has \(data.count) bytes; at most \(Limits.Blob.bytes) are kept: put it elsewhere and send its address"
            )
        }
        guard self.log.topic(topic)?.isCompacted != true else {
            throw ApusError(
                .eventTooLarge,
                "the event has \(block.count) bytes; on the compacted topic '\(topic)', which may keep it for ever, at most "
                    + "\(Limits.eventBytes) are allowed: put the data elsewhere and send its address")
        }
        let reference = BlobReference(hash: Hex.encode(SHA256.hash(data)), size: data.count)
        let claimed = reference.claiming(event)
        try EventBlock.check(claimed)
        return (EventBlock.encode(claimed), reference.appends(data, topic: topic))
    }

    func data(_ reference: BlobReference, of topic: TopicName) throws(ApusError) -> [UInt8] {
        let partition = TopicPartition(.blobs, reference.partition)
        var data: [UInt8] = []
        data.reserveCapacity(reference.size)
        for number in 0..<reference.pieces {
            guard let offset = try self.log.newest(of: reference.key(number, topic: topic), in: partition) else {
                throw Self.gone(reference, topic)
            }
            try self.log.records(at: [RecordPlace(partition, offset)]) { _, block in
                guard let block, let layout = try? EventLayout(parsing: block.bytes) else { return }
                data.append(contentsOf: block[layout.data].prefix(max(0, reference.size - data.count)))
            }
        }
        guard data.count == reference.size else { throw Self.gone(reference, topic) }
        guard Hex.encode(SHA256.hash(data)) == reference.hash else {
            throw ApusError(
                .logDamaged, "the data \(reference.hash) of '\(topic)' on apus.blobs is not what was written there")
        }
        return data
    }

    private static func gone(_ reference: BlobReference, _ topic: TopicName) -> ApusError {
        ApusError(
            .recordExpired,
            "the data \(reference.hash.prefix(12))… of an event on '\(topic)' is not on apus.blobs any more, or never was: retention "
                + "took it, or the event was made by somebody else")
    }

    // MARK: how long

    /// Of `apus.blobs`: as long as a record may name one. An event lies on its topic, then perhaps among dead letters, from where it may
    /// be redriven; nil while any topic keeps its records for ever, or by size alone.
    static func retention(_ log: any EventLog) -> TimeSpan? {
        var longest = TimeSpan.zero
        for name in log.topics() where !name.isControl || name == .dead {
            guard let topic = log.topic(name), !topic.isCompacted else { continue }
            guard let time = topic.retentionTime else { return nil }
            longest = max(longest, time)
        }
        // On its topic, as a dead letter, on its topic again.
        let days = longest.microseconds.multipliedReportingOverflow(by: 3)
        guard !days.overflow else { return nil }
        return TimeSpan(microseconds: days.partialValue + Self.margin.microseconds)
    }

    private static let margin = TimeSpan.seconds(86_400)

    /// Makes the topic, or has it keep blobs as long as the topics there are now need them.
    static func keepTopic(_ log: any EventLog) throws(ApusError) {
        let configuration = TopicConfiguration(
            partitions: Limits.Blob.partitions, retentionTime: Self.retention(log), isCompacted: true)
        if log.topic(.blobs) == nil {
            try log.createTopic(.blobs, configuration)
        } else if log.topic(.blobs) != configuration {
            try log.alterTopic(.blobs, configuration)
        }
    }
}
