internal import ApusCore
internal import CRDKafka
internal import Synchronization

/// The ledger: the newest record of each key on `apus.ledger`, mirrored in memory. A partition for each number of a share, and one for
/// entries of the log's own, whose keys begin with a zero byte.
///
/// What is here of a share is exact while this node owns it: it was read to the end then, and only this node adds to it.
final class KafkaLedger: Sendable {
    static let name = "apus.ledger"

    enum Own {
        static let identity: [UInt8] = [0] + Array("identity".utf8)
        static let topicPrefix: [UInt8] = [0] + Array("topic/".utf8)
        /// The number of the last transaction under an id: how a lost answer to a commit is found out.
        static func transaction(_ id: String) -> [UInt8] { [0] + Array("transaction/\(id)".utf8) }
        /// Says nothing: it shows that a share is its writer's still.
        static func proof(_ share: Share) -> [UInt8] { [0] + Array("proof/\(share)".utf8) }
        static func topic(_ name: TopicName) -> [UInt8] { self.topicPrefix + Array(name.onLog.utf8) }
    }

    private struct Entry {
        /// Nil for one that was deleted, until its partition is read again.
        var value: [UInt8]?
        var partition: Int
        var offset: Offset
    }

    /// What a share that is worked here has settled and not written yet.
    private struct Expected {
        var term: UInt64
        var values: [[UInt8]: [UInt8]?] = [:]
    }

    private struct Content {
        var entries: [[UInt8]: Entry] = [:]
        var lastStamp = Timestamp.zero
        var expected: [Share: Expected] = [:]

        func value(_ key: [UInt8]) -> [UInt8]? {
            for expected in self.expected.values {
                if let value = expected.values[key] { return value }
            }
            return self.entries[key]?.value
        }
    }

    private let content = Mutex(Content())
    /// What tools of others are to be shown of it.
    let board = PositionBoard()

    /// The partition of what is the log's own.
    static let ownPartition = Share.count

    /// The partition of an entry: what one share owns lies together.
    static func partition(of write: LogBatch.LedgerWrite) -> Int {
        if let share = write.share { return share.number }
        if write.key.first == 0 { return Self.ownPartition }
        return write.key.withUnsafeBytes { Murmur2.partition(of: $0, among: Share.count) }
    }

    subscript(_ key: [UInt8]) -> [UInt8]? { self.content.withLock { $0.value(key) } }

    /// The time of the newest record that was read: what is appended now is no older.
    var lastStamp: Timestamp { self.content.withLock { $0.lastStamp } }

    func entries(prefix: [UInt8]) -> [(key: [UInt8], value: [UInt8])] {
        self.content.withLock { content in
            var found: [[UInt8]: [UInt8]?] = [:]
            for (key, entry) in content.entries where key.first != 0 && key.starts(with: prefix) {
                found[key] = .some(entry.value)
            }
            for expected in content.expected.values {
                for (key, value) in expected.values where key.starts(with: prefix) { found[key] = .some(value) }
            }
            return found.sorted { $0.key.lexicographicallyPrecedes($1.key) }
                .compactMap { key, value in value.map { (key: key, value: $0) } }
        }
    }

    // MARK: what a share settles before its ledger says so

    /// The share is worked here from now on.
    func opens(_ term: ShareTerm) {
        self.content.withLock { $0.expected[term.share] = Expected(term: term.term) }
        self.board.change { $0.opens(term.share) }
    }

    /// It is not: what was not written is nobody's.
    func closes(_ share: Share) {
        self.content.withLock { $0.expected[share] = nil }
        self.board.change { $0.closes(share) }
    }

    /// These are written soon; who asks here sees them already. Of a term that is over nothing changes.
    func expect(_ writes: [LogBatch.LedgerWrite], of term: ShareTerm) {
        self.content.withLock { content in
            guard content.expected[term.share]?.term == term.term else { return }
            for write in writes { content.expected[term.share]?.values[write.key] = .some(write.value) }
        }
    }

    /// - Parameters:
    ///   - share: who wrote them; nothing newer of them waits there.
    ///   - offset: where each of them lies on the log.
    func apply(_ writes: [LogBatch.LedgerWrite], of share: Share? = nil, offset: (Int) -> Offset) {
        if let share { self.board.committed(writes, of: share) }
        self.content.withLock { content in
            for (index, write) in writes.enumerated() {
                if let share { content.expected[share]?.values[write.key] = nil }
                content.entries[write.key] = Entry(
                    value: write.value, partition: Self.partition(of: write), offset: offset(index))
            }
        }
    }

    /// How far a reading of the ledger goes.
    enum Reach {
        /// Whatever was appended so far, waiting until all of it is decided: after a producer was made, so that no transaction of an earlier
        /// owner is open.
        case appended
        /// What is decided by now.
        case decided
    }

    /// Reads partitions of the ledger, in place of what was known of them.
    func load(
        _ partitions: [KafkaPartition], _ catchUp: CatchUp, _ admin: KafkaClient, _ reach: Reach = .appended
    ) throws(KafkaFailure) {
        for partition in partitions {
            let asked = reach == .appended ? admin : try catchUp.client()
            let bounds = try asked.bounds(of: partition.onKafka, partition.number)
            var found = Content()
            var next = bounds.start
            while next < bounds.end {
                let start = next
                let chunk = try catchUp.with(partition, from: start) { (read) throws(KafkaFailure) in
                    try read.chunk(upTo: bounds.end, maxRecords: .max, maxBytes: Limits.Log.groupBytes)
                }
                for index in 0..<chunk.count {
                    let offset = chunk.offset(index)
                    chunk.lend(index) { Self.take($0, partition.number, offset, &found) }
                }
                next = chunk.next
            }
            self.replace(partition.number, by: found, end: bounds.end)
        }
    }

    private static func take(
        _ block: UnsafeRawBufferPointer, _ partition: Int, _ offset: Offset, _ content: inout Content
    ) {
        guard let layout = try? EventLayout(parsing: block.bytes), let key = layout.key else { return }
        content.entries[Array(block[key])] =
            layout.isNull ? nil : Entry(value: Array(block[layout.data]), partition: partition, offset: offset)
        content.lastStamp = max(content.lastStamp, layout.timestamp)
    }

    /// What another thread of this node added behind the end that was read stays.
    private func replace(_ partition: Int, by found: Content, end: Offset) {
        self.content.withLock { content in
            content.entries = content.entries.filter { $0.value.partition != partition || $0.value.offset >= end }
            content.entries.merge(found.entries) { $0.offset > $1.offset ? $0 : $1 }
            content.lastStamp = max(content.lastStamp, found.lastStamp)
        }
    }
}
