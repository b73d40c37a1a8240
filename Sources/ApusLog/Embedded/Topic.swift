internal import ApusCore
internal import CLMDB
internal import Synchronization

/// What is stored of a partition beside its records, so that offsets go on when its last record is gone.
struct PartitionState: Equatable {
    var start: Offset = 0
    var end: Offset = 0
    /// Bytes of the records that are there.
    var bytes: Int64 = 0
    /// Of the newest record that ever was.
    var lastTimestamp: Int64 = 0

    init() {}

    init?(parsing bytes: UnsafeRawBufferPointer) {
        guard bytes.count == 32 else { return nil }
        func field(_ index: Int) -> Int64 {
            Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: index * 8, as: Int64.self))
        }
        self.start = field(0)
        self.end = field(1)
        self.bytes = field(2)
        self.lastTimestamp = field(3)
        guard self.start >= 0, self.start <= self.end, self.bytes >= 0 else { return nil }
    }

    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(32)
        for field in [self.start, self.end, self.bytes, self.lastTimestamp] { bytes.appendLittleEndian(field) }
        return bytes
    }
}

/// The two kinds of tables that partitions have. A table of a deleted topic is emptied and used again for a new one of
/// its kind: LMDB cannot close a table safely while others read.
enum TableKind: UInt8 {
    /// Offset to record.
    case records = 0
    /// Digest of a key to the offset of its newest record, for compacted topics.
    case index = 1

    func name(_ identifier: UInt32) -> String {
        let digits = String(identifier, radix: 16)
        return (self == .records ? "r" : "x") + String(repeating: "0", count: 8 - digits.count) + digits
    }

    var flags: CInt { self == .records ? MDB_INTEGERKEY : 0 }
}

struct Table: Equatable {
    var identifier: UInt32
    var kind: TableKind
    var handle: MDB_dbi
}

/// One partition: what readers may know of it, and the writer's notes.
final class Partition: @unchecked Sendable {
    // SAFETY: what readers see is behind a mutex; the notes below it are the writer thread's alone.

    let topic: TopicName
    let number: Int
    let records: Table
    let index: Table?

    /// What is durable. Written by the writer after each commit.
    let start: Atomic<Int64>
    let end: Atomic<Int64>
    /// True before the table can be given to another topic.
    let isDeleted = Atomic<Bool>(false)
    /// Since the log was opened.
    let appendedRecords = Atomic<Int64>(0)
    let appendedBytes = Atomic<Int64>(0)

    // SAFETY: the writer thread's alone.
    var committed: PartitionState
    var working: PartitionState
    var workingBytes: Int64 = 0
    var isTouched = false
    /// No record is older; nil when unknown.
    var oldest: Int64?
    /// Records before it may go.
    var discardsBefore: Offset?

    init(topic: TopicName, number: Int, records: Table, index: Table?, state: PartitionState) {
        self.topic = topic
        self.number = number
        self.records = records
        self.index = index
        self.start = Atomic(state.start)
        self.end = Atomic(state.end)
        self.committed = state
        self.working = state
    }

    /// The writer committed what it noted.
    func publish() {
        self.isTouched = false
        self.appendedRecords.add(self.working.end - self.committed.end, ordering: .relaxed)
        self.appendedBytes.add(self.workingBytes, ordering: .relaxed)
        self.workingBytes = 0
        self.committed = self.working
        self.start.store(self.committed.start, ordering: .releasing)
        self.end.store(self.committed.end, ordering: .releasing)
    }

    /// The transaction was aborted.
    func forget() {
        self.isTouched = false
        self.workingBytes = 0
        self.working = self.committed
        // What was learnt of the oldest record may be of one that is not there after all: the next step of retention
        // looks again.
        self.oldest = self.committed.start < self.committed.end ? 0 : nil
    }
}

/// A topic as it is now; altering makes a new value of it over the same partitions.
final class Topic: @unchecked Sendable {
    // SAFETY: constant but for what is marked as the writer thread's.

    let name: TopicName
    let configuration: TopicConfiguration
    let partitions: [Partition]
    // SAFETY: the writer thread's alone.
    var nextWithoutKey = 0

    init(name: TopicName, configuration: TopicConfiguration, partitions: [Partition]) {
        self.name = name
        self.configuration = configuration
        self.partitions = partitions
    }

    var bytes: Int64 { self.partitions.reduce(0) { $0 + $1.committed.bytes } }
}

/// A topic as it is stored.
///
///     0   u8   version of this form    1  u8  1 compacted    2  u16 0    4  u32  partitions
///     8   i64  retention time, microseconds, -1 none
///     16  i64  retention bytes, -1 none
///     24       u32 table of each partition, then for compacted topics u32 index table of each
struct TopicRecord: Equatable {
    static let headBytes = 24
    static let version: UInt8 = 1

    var configuration: TopicConfiguration
    var tables: [UInt32]
    var indexes: [UInt32]

    init(configuration: TopicConfiguration, tables: [UInt32], indexes: [UInt32]) {
        self.configuration = configuration
        self.tables = tables
        self.indexes = indexes
    }

    /// - Returns: nil when the bytes contradict themselves.
    init?(parsing bytes: [UInt8]) {
        let span = bytes.span.bytes
        guard bytes.count >= Self.headBytes, bytes[0] == Self.version, bytes[1] <= 1 else { return nil }
        let isCompacted = bytes[1] == 1
        let partitions = Int(span.littleEndian(at: 4, as: UInt32.self))
        let time = span.littleEndian(at: 8, as: Int64.self)
        let size = span.littleEndian(at: 16, as: Int64.self)
        guard (1...Limits.partitionsPerTopic).contains(partitions),
            bytes.count == Self.headBytes + 4 * partitions * (isCompacted ? 2 : 1)
        else { return nil }
        let all = (0..<partitions * (isCompacted ? 2 : 1)).map {
            span.littleEndian(at: Self.headBytes + 4 * $0, as: UInt32.self)
        }
        self.configuration = TopicConfiguration(
            partitions: partitions,
            retentionTime: time < 0 ? nil : TimeSpan(microseconds: time),
            retentionBytes: size < 0 ? nil : size,
            isCompacted: isCompacted
        )
        self.tables = Array(all[..<partitions])
        self.indexes = Array(all[partitions...])
    }

    var encoded: [UInt8] {
        var bytes: [UInt8] = [Self.version, self.configuration.isCompacted ? 1 : 0, 0, 0]
        bytes.appendLittleEndian(UInt32(self.configuration.partitions))
        bytes.appendLittleEndian(self.configuration.retentionTime?.microseconds ?? -1)
        bytes.appendLittleEndian(self.configuration.retentionBytes ?? -1)
        for table in self.tables + self.indexes { bytes.appendLittleEndian(table) }
        return bytes
    }
}
