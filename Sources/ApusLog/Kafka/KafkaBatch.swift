internal import ApusCore

/// A batch that may be sent: every append was checked and has its partition.
struct KafkaBatch {
    struct Record {
        var topic: KafkaTopic
        var partition: KafkaPartition
        var layout: EventLayout
    }

    let submission: Submission
    var records: [Record] = []

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
        return Record(topic: topic, partition: topic.partitions[number], layout: layout)
    }
}
