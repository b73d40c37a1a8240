internal import ApusCore
internal import CRDKafka

/// A batch that may be sent: every append was checked and has its partition.
struct KafkaBatch {
    struct Record {
        var topic: KafkaTopic
        var partition: KafkaPartition
        var layout: EventLayout
        /// It may go before the ledger, outside of a transaction.
        var isPlain: Bool
        /// Where it lies; negative while nobody knows, and when it lies nowhere.
        var offset: Offset = -1
    }

    let submission: Submission
    var records: [Record] = []
    /// Why one of them could not be written; that one is too large says more than any other reason.
    private(set) var failure: (why: KafkaFailure, topic: TopicName)?

    /// Everything that can be wrong with one batch is found here, where it costs no other batch anything.
    init(_ submission: Submission, _ topics: KafkaTopics) throws(ApusError) {
        self.submission = submission
        self.records.reserveCapacity(submission.batch.appends.count)
        var last: KafkaTopic?
        for append in submission.batch.appends {
            let topic = if let last, last.name == append.topic { last } else { try topics.require(append.topic) }
            last = topic
            self.records.append(try Self.record(append, topic))
        }
        for write in submission.batch.ledger { try LogWriter.checkEntry(write) }
    }

    private static func record(_ append: LogBatch.Append, _ topic: KafkaTopic) throws(ApusError) -> Record {
        let layout = try LogWriter.layout(of: append, isCompacted: topic.configuration.isCompacted)
        let number: Int
        if let wanted = append.partition {
            guard topic.partitions.indices.contains(wanted) else {
                throw ApusError(
                    .invalidArgument,
                    "the topic '\(append.topic)' has \(topic.partitions.count) partitions, from 0; there is no partition \(wanted)"
                )
            }
            number = wanted
        } else if topic.partitions.count == 1 {
            number = 0
        } else if let key = layout.key {
            number = append.block.withUnsafeBytes {
                Murmur2.partition(of: UnsafeRawBufferPointer(rebasing: $0[key]), among: topic.partitions.count)
            }
        } else {
            number = topic.nextPartition()
        }
        return Record(
            topic: topic, partition: topic.partitions[number], layout: layout, isPlain: append.outputs == .beforeLedger)
    }

    var hasPlain: Bool { self.records.contains { $0.isPlain } }

    /// Whether some of it takes effect together or not at all.
    var needsTransaction: Bool {
        let batch = self.submission.batch
        return batch.once != nil || !batch.keys.isEmpty || self.records.contains { !$0.isPlain }
            || batch.ledger.contains { $0.outputs == .transaction }
    }

    var isTooLarge: Bool { self.failure?.why.code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE }

    /// Notes what became of one.
    mutating func note(_ record: Int, _ offset: Offset, _ failure: KafkaFailure?) {
        self.records[record].offset = failure == nil ? offset : -1
        guard let failure, !self.isTooLarge else { return }
        if self.failure == nil || failure.code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE {
            self.failure = (failure, self.records[record].topic.name)
        }
    }

    /// It is tried again: what was outside of the transaction stays where it is.
    mutating func undone() {
        self.failure = nil
        for record in self.records.indices where !self.records[record].isPlain { self.records[record].offset = -1 }
    }
}
