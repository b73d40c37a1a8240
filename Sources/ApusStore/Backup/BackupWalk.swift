public import ApusCore

/// Makes the parts of a backup, one step of bounded size at a time, from a log's copy and the bundles it needs.
public struct BackupWalk: Sendable {
    private enum Stage {
        case head
        /// The next topic.
        case topics(Int)
        /// The table and its next entry.
        case entries(Int, Int)
        case records(topic: Int, partition: Int, Offset)
        /// The next bundle, its archive and how much of that was given.
        case bundles(Int, [UInt8], Int)
        case end
        case done
    }

    private let copy: any LogCopy
    private let bundles: BundleStore
    private let hashes: [String]
    private let created: Timestamp
    private var stage = Stage.head

    /// - Parameter hashes: the bundles that belong to what is copied; they stay until the walk has ended.
    public init(_ copy: any LogCopy, bundles: BundleStore, hashes: [String], created: Timestamp) {
        self.copy = copy
        self.bundles = bundles
        self.hashes = hashes
        self.created = created
    }

    /// The next part, ``BackupPart/end(_:)`` with no counts when nothing is left; nil after that.
    /// - Throws: what the log or the disk says, or why the log ended the copy.
    public mutating func next() throws(ApusError) -> BackupPart? {
        while true {
            switch self.stage {
            case .head:
                self.stage = .topics(0)
                return .head(BackupHead(created: self.created, log: self.copy.identity))
            case .topics(let index):
                guard index < self.copy.topics.count else {
                    self.stage = .entries(0, 0)
                    continue
                }
                self.stage = .topics(index + 1)
                return .topic(self.copy.topics[index])
            case .entries(let table, let index): if let part = self.entries(table, index) { return part }
            case .records(let topic, let partition, let start):
                if let part = try self.records(topic, partition, start) { return part }
            case .bundles(let index, let archive, let given):
                if let part = try self.bundle(index, archive, given) { return part }
            case .end:
                self.stage = .done
                return .end(BackupCounts())
            case .done: return nil
            }
        }
    }

    private mutating func entries(_ table: Int, _ index: Int) -> BackupPart? {
        guard table < self.copy.entries.count else {
            self.stage = .records(topic: 0, partition: 0, 0)
            return nil
        }
        let all = self.copy.entries[table]
        guard index < all.entries.count else {
            self.stage = .entries(table + 1, 0)
            return nil
        }
        var taken: [(key: [UInt8], value: [UInt8])] = []
        var bytes = 0
        var next = index
        while next < all.entries.count, bytes < Limits.Backup.gatherBytes {
            taken.append(all.entries[next])
            bytes += all.entries[next].key.count + all.entries[next].value.count
            next += 1
        }
        self.stage = .entries(table, next)
        return .entries(LogCopyEntries(table: all.table, entries: taken))
    }

    private mutating func records(_ topic: Int, _ partition: Int, _ start: Offset) throws(ApusError) -> BackupPart? {
        guard topic < self.copy.topics.count else {
            self.stage = .bundles(0, [], 0)
            return nil
        }
        guard partition < self.copy.topics[topic].partitions.count else {
            self.stage = .records(topic: topic + 1, partition: 0, 0)
            return nil
        }
        var records: [(offset: Offset, block: [UInt8])] = []
        let next = try self.copy.read(
            topic: topic, partition: partition, from: start, maxBytes: Limits.Backup.gatherBytes
        ) { offset, bytes in records.append((offset, Array(bytes))) }
        if next >= self.copy.topics[topic].partitions[partition].bounds.end {
            self.copy.release(topic: topic, partition: partition)
            self.stage = .records(topic: topic, partition: partition + 1, 0)
        } else {
            self.stage = .records(topic: topic, partition: partition, next)
        }
        return records.isEmpty ? nil : .records(topic: topic, partition: partition, records)
    }

    private mutating func bundle(_ index: Int, _ archive: [UInt8], _ given: Int) throws(ApusError) -> BackupPart? {
        guard index < self.hashes.count else {
            self.stage = .end
            return nil
        }
        if archive.isEmpty {
            // An archive has an end at least, and so is never empty.
            self.stage = .bundles(index, try self.bundles.archive(self.hashes[index]), 0)
            return nil
        }
        let piece = Array(archive[given..<min(archive.count, given + Limits.Backup.gatherBytes)])
        let isLast = given + piece.count == archive.count
        self.stage = isLast ? .bundles(index + 1, [], 0) : .bundles(index, archive, given + piece.count)
        return .bundle(hash: self.hashes[index], isLast: isLast, piece)
    }
}
