internal import ApusCore
internal import CLMDB

/// The tables that every log has, and what stands in them.
struct LogTables {
    static let fixedCount = 9
    /// Grows when an older server could misread what is written.
    static let format: UInt32 = 2

    /// `format`, `identity`, `nextTable`.
    let meta: MDB_dbi
    /// Name to ``TopicRecord``.
    let topics: MDB_dbi
    let ledger: MDB_dbi
    /// Table of records to ``PartitionState``.
    let states: MDB_dbi
    /// Table to ``SpareState`` and ``TableKind``: tables of deleted topics.
    let spares: MDB_dbi
    /// ``Tombstone`` to the digest of its key.
    let tombstones: MDB_dbi
    /// ``Superseded``, with nothing of interest as value.
    let superseded: MDB_dbi
    /// Digest to ``KnownKey``.
    let keys: MDB_dbi
    /// ``KeyTime``, with nothing of interest as value.
    let keyTimes: MDB_dbi

    enum SpareState: UInt8 {
        /// Still holds records of its topic.
        case emptying = 0
        /// Can be given to a new topic.
        case empty = 1
    }

    init(_ transaction: borrowing WriteTransaction) throws(LMDBFailure) {
        self.meta = try transaction.openTable("meta", flags: MDB_CREATE)
        self.topics = try transaction.openTable("topics", flags: MDB_CREATE)
        self.ledger = try transaction.openTable("ledger", flags: MDB_CREATE)
        self.states = try transaction.openTable("states", flags: MDB_CREATE | MDB_INTEGERKEY)
        self.spares = try transaction.openTable("spares", flags: MDB_CREATE | MDB_INTEGERKEY)
        self.tombstones = try transaction.openTable("tombstones", flags: MDB_CREATE)
        self.superseded = try transaction.openTable("superseded", flags: MDB_CREATE)
        // A server that does not know them passes them over, which is what it did before there were any.
        self.keys = try transaction.openTable("keys", flags: MDB_CREATE)
        self.keyTimes = try transaction.openTable("keyTimes", flags: MDB_CREATE)
    }

    /// Whether nothing was ever written to the file.
    static func isNew(_ transaction: borrowing WriteTransaction) throws(LMDBFailure) -> Bool {
        var main = MDB_dbi()
        try check(mdb_dbi_open(transaction.handle, nil, 0, &main), "open the list of tables")
        return try transaction.size(of: main).entries == 0
    }

    /// The format of a file with tables in it; nil when it is no log.
    static func format(_ transaction: borrowing WriteTransaction) throws(LMDBFailure) -> UInt32? {
        do throws(LMDBFailure) {
            let meta = try transaction.openTable("meta", flags: 0)
            guard let bytes = try transaction.get(meta, Array("format".utf8)), bytes.count == 4 else { return nil }
            return UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self))
        } catch {
            guard error.code == MDB_NOTFOUND else { throw error }
            return nil
        }
    }

    func integer<Integer: FixedWidthInteger & BitwiseCopyable>(
        _ name: String, as type: Integer.Type, _ transaction: borrowing WriteTransaction
    ) throws(LMDBFailure) -> Integer? {
        guard let bytes = try transaction.get(self.meta, Array(name.utf8)), bytes.count == MemoryLayout<Integer>.size
        else { return nil }
        return Integer(littleEndian: bytes.loadUnaligned(as: Integer.self))
    }

    func set(_ name: String, _ value: some FixedWidthInteger, _ transaction: borrowing WriteTransaction)
        throws(LMDBFailure)
    {
        var bytes: [UInt8] = []
        bytes.appendLittleEndian(value)
        try transaction.put(self.meta, Array(name.utf8), bytes)
    }

    func setSpare(_ table: Table, _ state: SpareState, _ transaction: borrowing WriteTransaction) throws(LMDBFailure) {
        try transaction.put(self.spares, integer: Int(table.identifier), [state.rawValue, table.kind.rawValue])
    }
}

/// A tombstone that waits for its end, in the order of its time.
struct Tombstone: Equatable {
    static let byteCount = 20

    var time: Int64
    var table: UInt32
    var offset: Offset

    init(time: Int64, table: UInt32, offset: Offset) {
        self.time = time
        self.table = table
        self.offset = offset
    }

    init?(parsing bytes: UnsafeRawBufferPointer) {
        guard bytes.count == Self.byteCount else { return nil }
        self.time = Int64(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: Int64.self))
        self.table = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        self.offset = Int64(bigEndian: bytes.loadUnaligned(fromByteOffset: 12, as: Int64.self))
    }

    /// Big-endian, so that the order of the bytes is the order of time.
    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        bytes.appendLittleEndian(self.time.byteSwapped)
        bytes.appendLittleEndian(self.table.byteSwapped)
        bytes.appendLittleEndian(self.offset.byteSwapped)
        return bytes
    }
}

/// What a start finds on the log.
struct OpenedTopics {
    var identity: UInt64 = 0
    let directory = TopicDirectory()
    /// The newest time on the log.
    var lastStamp: Int64 = 0
    var nextTable: UInt32 = 0
    var emptying: [Table] = []
    var empty: [Table] = []
    /// The time of the oldest tombstone.
    var oldestTombstone: Int64?
    /// When the first key is forgotten, and how many there are.
    var oldestKey: Int64?
    var keys = 0
}

extension LogTables {
    /// Opens every table and reads what is known of each. A log whose parts contradict each other is damaged.
    func load(_ transaction: borrowing WriteTransaction) throws(LMDBFailure) -> OpenedTopics {
        var opened = OpenedTopics()
        guard let identity = try self.integer("identity", as: UInt64.self, transaction),
            let nextTable = try self.integer("nextTable", as: UInt32.self, transaction)
        else { throw LMDBFailure(MDB_CORRUPTED, "read the log's identity") }
        opened.identity = identity
        opened.nextTable = nextTable

        var records: [(TopicName, TopicRecord)] = []
        var isDamaged = false
        try transaction.forEach(self.topics) { key, value in
            guard let name = TopicName(onLog: String(decoding: key, as: UTF8.self)),
                let record = TopicRecord(parsing: Array(value))
            else {
                isDamaged = true
                return false
            }
            records.append((name, record))
            return true
        }
        var spares: [(UInt32, SpareState, TableKind)] = []
        try transaction.forEach(self.spares) { key, value in
            guard key.count == 8, value.count == 2, let state = SpareState(rawValue: value[0]),
                let kind = TableKind(rawValue: value[1])
            else {
                isDamaged = true
                return false
            }
            spares.append((UInt32(truncatingIfNeeded: key.loadUnaligned(as: UInt64.self)), state, kind))
            return true
        }
        try transaction.forEach(self.tombstones) { key, _ in
            opened.oldestTombstone = Tombstone(parsing: key)?.time
            return false
        }
        try transaction.forEach(self.keyTimes) { key, _ in
            opened.oldestKey = KeyTime(parsing: key)?.keptUntil
            return false
        }
        opened.keys = try transaction.size(of: self.keys).entries
        if isDamaged { throw LMDBFailure(MDB_CORRUPTED, "read the list of topics") }
        for (name, record) in records {
            let topic = try self.load(name, record, transaction)
            opened.lastStamp = topic.partitions.reduce(opened.lastStamp) { max($0, $1.committed.lastTimestamp) }
            opened.directory.set(topic)
        }
        for (identifier, state, kind) in spares {
            let table = try self.open(identifier, kind, transaction, creates: false)
            if state == .emptying { opened.emptying.append(table) } else { opened.empty.append(table) }
        }
        return opened
    }

    private func load(_ name: TopicName, _ record: TopicRecord, _ transaction: borrowing WriteTransaction)
        throws(LMDBFailure) -> Topic
    {
        var partitions: [Partition] = []
        for number in record.tables.indices {
            let table = try self.open(record.tables[number], .records, transaction, creates: false)
            let index =
                record.configuration.isCompacted
                ? try self.open(record.indexes[number], .index, transaction, creates: false) : nil
            guard let bytes = try transaction.record(self.states, Int64(table.identifier)),
                let state = PartitionState(parsing: bytes)
            else {
                throw LMDBFailure(MDB_CORRUPTED, "read the state of \(name)/\(number)")
            }
            let partition = Partition(topic: name, number: number, records: table, index: index, state: state)
            try transaction.forEach(table.handle) { _, value in
                if value.count >= 8 { partition.oldest = Int64(littleEndian: value.loadUnaligned(as: Int64.self)) }
                return false
            }
            partitions.append(partition)
        }
        return Topic(name: name, configuration: record.configuration, partitions: partitions)
    }

    func open(
        _ identifier: UInt32, _ kind: TableKind, _ transaction: borrowing WriteTransaction, creates: Bool
    ) throws(LMDBFailure) -> Table {
        do throws(LMDBFailure) {
            let handle = try transaction.openTable(
                kind.name(identifier), flags: kind.flags | (creates ? MDB_CREATE : 0))
            return Table(identifier: identifier, kind: kind, handle: handle)
        } catch {
            // A table that the list of topics names must be there.
            throw error.code == MDB_NOTFOUND ? LMDBFailure(MDB_CORRUPTED, error.stage) : error
        }
    }
}
