public import ApusCore

/// What a backup is made of, in this order: the head, topics, entries, records, bundles, the end.
public enum BackupPart: Sendable {
    case head(BackupHead)
    case topic(LogCopyTopic)
    case entries(LogCopyEntries)
    /// Of one partition, ascending.
    case records(topic: Int, partition: Int, [(offset: Offset, block: [UInt8])])
    /// A piece of a bundle's archive; pieces of one bundle follow each other.
    case bundle(hash: String, isLast: Bool, [UInt8])
    /// Nothing is missing.
    case end(BackupCounts)
    /// The server gave up: what came before is of no use.
    case failure(ApusError)
}

/// What a backup says of itself at its beginning.
public struct BackupHead: Sendable, Equatable {
    public var created: Timestamp
    /// The identity of the log that was copied.
    public var log: UInt64

    public init(created: Timestamp, log: UInt64) {
        self.created = created
        self.log = log
    }
}

/// What a backup holds, counted by whoever wrote it and again by whoever reads it.
public struct BackupCounts: Sendable, Equatable {
    public var topics = 0
    public var entries = 0
    public var records = 0
    public var bundles = 0
    /// Of records and bundles.
    public var bytes = 0

    public init() {}

    mutating func add(_ part: BackupPart) {
        switch part {
        case .topic: self.topics += 1
        case .entries(let entries): self.entries += entries.entries.count
        case .records(_, _, let records):
            self.records += records.count
            self.bytes += records.reduce(0) { $0 + $1.block.count }
        case .bundle(_, let isLast, let bytes):
            self.bundles += isLast ? 1 : 0
            self.bytes += bytes.count
        case .head, .end, .failure: break
        }
    }
}
