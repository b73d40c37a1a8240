internal import ApusCore
internal import CRDKafka
internal import Synchronization

/// The ledger: the newest record of each key on `apus.ledger`, mirrored in memory. Entries of the log's own begin with a zero byte.
final class KafkaLedger: Sendable {
    static let name = "apus.ledger"

    enum Own {
        static let identity: [UInt8] = [0] + Array("identity".utf8)
        static let topicPrefix: [UInt8] = [0] + Array("topic/".utf8)
        /// The number of the last transaction under an id: how a lost answer to a commit is found out.
        static func transaction(_ id: String) -> [UInt8] { [0] + Array("transaction/\(id)".utf8) }
        static func topic(_ name: TopicName) -> [UInt8] { self.topicPrefix + Array(name.onLog.utf8) }
    }

    private struct Content {
        var entries: [[UInt8]: [UInt8]] = [:]
        var lastStamp = Timestamp.zero
    }

    private let content = Mutex(Content())

    /// The partition of a key: what one share owns lies together.
    static func partition(of key: [UInt8]) -> Int {
        key.first == 0 ? 0 : key.withUnsafeBytes { Murmur2.partition(of: $0, among: Limits.Kafka.shares) }
    }

    subscript(_ key: [UInt8]) -> [UInt8]? { self.content.withLock { $0.entries[key] } }

    /// The time of the newest record that was read: what is appended now is no older.
    var lastStamp: Timestamp { self.content.withLock { $0.lastStamp } }

    func entries(prefix: [UInt8]) -> [(key: [UInt8], value: [UInt8])] {
        self.content.withLock { content in
            content.entries.filter { $0.key.first != 0 && $0.key.starts(with: prefix) }
                .sorted { $0.key.lexicographicallyPrecedes($1.key) }
                .map { (key: $0.key, value: $0.value) }
        }
    }

    func apply(_ writes: [LogBatch.LedgerWrite]) {
        self.content.withLock { content in
            for write in writes { content.entries[write.key] = write.value }
        }
    }

    /// Reads the ledger to its end, in place of what was known: after a producer was made, so that no transaction of another is open.
    func load(_ partitions: [KafkaPartition], _ catchUp: CatchUp, _ admin: KafkaClient) throws(KafkaFailure) {
        var found = Content()
        for partition in partitions {
            // What is on the log at all, not only what is committed: reading waits until all of it is decided.
            let bounds = try admin.bounds(of: partition.onKafka, partition.number)
            var next = bounds.start
            while next < bounds.end {
                let start = next
                let chunk = try catchUp.with(partition, from: start) { (read) throws(KafkaFailure) in
                    try read.chunk(upTo: bounds.end, maxRecords: .max, maxBytes: Limits.Log.groupBytes)
                }
                for index in 0..<chunk.count { chunk.lend(index) { Self.take($0, &found) } }
                next = chunk.next
            }
        }
        self.content.withLock { [found] in $0 = found }
    }

    private static func take(_ block: UnsafeRawBufferPointer, _ content: inout Content) {
        guard let layout = try? EventLayout(parsing: block.bytes), let key = layout.key else { return }
        content.entries[Array(block[key])] = layout.isNull ? nil : Array(block[layout.data])
        content.lastStamp = max(content.lastStamp, layout.timestamp)
    }
}
