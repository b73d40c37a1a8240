public import ApusCore
internal import CLMDB
internal import Glibc

/// Makes a new log of the parts of a copy: offsets, ends and entries as they were, indexes built again, an identity of its own.
///
/// Used by one thread: topics first, then entries and records, then ``finish()``. Without that the folder holds no log worth
/// opening: whoever made it removes it.
public final class LogRestore {
    private let environment: Environment
    private let tables: LogTables
    private let copiedIdentity: UInt64
    private var transaction: WriteTransaction?
    private var unwritten = 0
    private var nextTable: UInt32 = 0
    private var topics: [(copied: LogCopyTopic, partitions: [Partition])] = []
    /// Records that are there now.
    public private(set) var records = 0

    /// - Parameters:
    ///   - directory: a folder without a log.
    ///   - identity: of the log that was copied.
    /// - Throws: `data_directory_invalid`, `disk_full`, `log_failed`.
    public init(directory: String, configuration: EmbeddedLogConfiguration, identity: UInt64) throws(ApusError) {
        let path = "\(directory)/\(EmbeddedLog.fileName)"
        guard access(path, F_OK) != 0 else {
            throw ApusError(.dataDirectoryInvalid, "there is an event log at \(path) already: restore into an empty folder")
        }
        do throws(LMDBFailure) {
            self.environment = try Environment(
                path: path, mapBytes: configuration.mapBytes, tables: configuration.tables + LogTables.fixedCount,
                readers: configuration.readers, syncsCommits: false)
        } catch { throw error.apusError(path: path, diskAvailable: .max) }
        do throws(LMDBFailure) {
            let transaction = try WriteTransaction(self.environment)
            self.tables = try LogTables(transaction)
            try self.tables.set("format", LogTables.format, transaction)
            try self.tables.set("identity", UInt64.random(in: 1...UInt64.max), transaction)
            try transaction.commit()
        } catch { throw error.apusError(path: path, diskAvailable: self.environment.diskAvailable) }
        self.copiedIdentity = identity
    }

    deinit { self.close() }

    /// The next topic of the copy.
    /// - Throws: `backup_invalid` for one that no log could hold.
    public func add(_ topic: LogCopyTopic) throws(ApusError) {
        guard topic.partitions.count == topic.configuration.partitions,
            (1...Limits.partitionsPerTopic).contains(topic.partitions.count),
            topic.partitions.allSatisfy({ 0 <= $0.bounds.start && $0.bounds.start <= $0.bounds.end }),
            !self.topics.contains(where: { $0.copied.name == topic.name })
        else { throw Self.invalid("the topic '\(topic.name)' contradicts itself") }
        try self.write { (transaction) throws(LMDBFailure) in
            var partitions: [Partition] = []
            for (number, copied) in topic.partitions.enumerated() {
                let records = try self.makeTable(.records, transaction)
                let index = topic.configuration.isCompacted ? try self.makeTable(.index, transaction) : nil
                var state = PartitionState()
                state.start = copied.bounds.start
                state.end = copied.bounds.end
                state.lastTimestamp = copied.lastTimestamp.microseconds
                partitions.append(
                    Partition(topic: topic.name, number: number, records: records, index: index, state: state))
            }
            let record = TopicRecord(
                configuration: topic.configuration, tables: partitions.map { $0.records.identifier },
                indexes: partitions.compactMap { $0.index?.identifier })
            try transaction.put(self.tables.topics, Array(topic.name.onLog.utf8), record.encoded)
            self.topics.append((topic, partitions))
        }
    }

    /// - Throws: `backup_invalid` for a table or an entry that no log could hold.
    public func add(_ entries: LogCopyEntries) throws(ApusError) {
        guard entries.table == "ledger" else { throw Self.invalid("there is no table '\(entries.table)'") }
        for entry in entries.entries {
            guard (1...Limits.Log.ledgerKeyBytes).contains(entry.key.count),
                entry.value.count <= Limits.Log.ledgerValueBytes
            else { throw Self.invalid("an entry of the ledger is too large") }
            try self.write { (transaction) throws(LMDBFailure) in
                try transaction.put(self.tables.ledger, entry.key, entry.value)
            }
            self.unwritten += entry.key.count + entry.value.count
        }
        try self.commitIfLarge()
    }

    /// The next record of a partition, by the topic's place in the copy.
    public func add(topic: Int, partition: Int, _ offset: Offset, _ block: [UInt8]) throws(ApusError) {
        guard self.topics.indices.contains(topic), self.topics[topic].partitions.indices.contains(partition) else {
            throw Self.invalid("a record is of a partition that is not in it")
        }
        let place = self.topics[topic].partitions[partition]
        // Until the end `working.start` is where the next record may be.
        guard offset >= place.working.start, offset < place.working.end, block.count <= Limits.recordBytes,
            let layout = try? EventLayout(parsing: block.span.bytes), layout.data.count == layout.dataCount,
            layout.key != nil || place.index == nil
        else { throw Self.invalid("the record \(place.topic)/\(partition)/\(offset) cannot be") }
        let block = RestoredRecord(block, layout).marked(
            "\(hexadecimal(self.copiedIdentity))-\(place.topic)-\(partition)-\(offset)")
        try self.write { (transaction) throws(LMDBFailure) in
            if let index = place.index { try self.index(block, offset, in: index, of: place, transaction) }
            let bytes = try transaction.appendRecord(place.records.handle, offset, count: block.count)
            block.withUnsafeBytes { if let base = $0.baseAddress { bytes.copyMemory(from: base, byteCount: $0.count) } }
        }
        place.working.start = offset + 1
        place.working.bytes += Int64(block.count)
        self.records += 1
        self.unwritten += block.count
        try self.commitIfLarge()
    }

    /// Writes the rest and brings all of it to the disk.
    public func finish() throws(ApusError) {
        for (copied, partitions) in self.topics {
            for (number, partition) in partitions.enumerated() {
                partition.working.start = copied.partitions[number].bounds.start
                try self.write { (transaction) throws(LMDBFailure) in
                    try transaction.put(
                        self.tables.states, integer: Int(partition.records.identifier), partition.working.encoded)
                }
            }
        }
        try self.write { (transaction) throws(LMDBFailure) in
            try self.tables.set("nextTable", self.nextTable, transaction)
        }
        try self.commit()
        do throws(LMDBFailure) { try self.environment.sync() } catch { throw self.failure(error) }
        self.close()
        // LMDB's table of readers is made anew at each start.
        unlink("\(self.environment.path)-lock")
    }

    /// Ends without a log. The transaction goes before the environment that it is of.
    public func close() {
        self.transaction = nil
        self.environment.close()
    }

    // MARK: what the above share

    private func index(
        _ block: [UInt8], _ offset: Offset, in index: Table, of partition: Partition,
        _ transaction: borrowing WriteTransaction
    ) throws(LMDBFailure) {
        guard let digest = block.withUnsafeBytes({ LogWriter.digest(of: $0) }) else { return }
        if let known = try transaction.get(index.handle, digest), known.count == 8 {
            let predecessor = Int64(littleEndian: known.loadUnaligned(as: Int64.self))
            if let old = try transaction.record(partition.records.handle, predecessor) {
                partition.working.bytes -= Int64(old.count)
                self.records -= 1
                _ = try transaction.deleteRecord(partition.records.handle, predecessor)
            }
        }
        var place: [UInt8] = []
        place.appendLittleEndian(offset)
        try transaction.put(index.handle, digest, place)
        guard let layout = try? EventLayout(parsing: block.span.bytes), layout.isNull else { return }
        let note = Tombstone(
            time: layout.timestamp.microseconds, table: partition.records.identifier, offset: offset)
        try transaction.put(self.tables.tombstones, note.encoded, digest)
    }

    private func makeTable(_ kind: TableKind, _ transaction: borrowing WriteTransaction) throws(LMDBFailure) -> Table {
        defer { self.nextTable += 1 }
        return try self.tables.open(self.nextTable, kind, transaction, creates: true)
    }

    private func write(_ body: (borrowing WriteTransaction) throws(LMDBFailure) -> Void) throws(ApusError) {
        do throws(LMDBFailure) {
            let transaction =
                if let current = self.transaction.take() { current } else { try WriteTransaction(self.environment) }
            try body(transaction)
            self.transaction = consume transaction
        } catch { throw self.failure(error) }
    }

    private func commitIfLarge() throws(ApusError) {
        if self.unwritten >= Limits.Log.groupBytes { try self.commit() }
    }

    private func commit() throws(ApusError) {
        self.unwritten = 0
        guard let transaction = self.transaction.take() else { return }
        do throws(LMDBFailure) { try transaction.commit() } catch { throw self.failure(error) }
    }

    private func failure(_ failure: LMDBFailure) -> ApusError {
        failure.apusError(path: self.environment.path, diskAvailable: self.environment.diskAvailable)
    }

    static func invalid(_ what: String) -> ApusError {
        ApusError(.backupInvalid, "the backup cannot be restored: \(what); take another one")
    }
}

/// A record on its way into a restored log.
struct RestoredRecord {
    private let block: [UInt8]
    private let layout: EventLayout

    init(_ block: [UInt8], _ layout: EventLayout) {
        self.block = block
        self.layout = layout
    }

    /// A dead letter keeps the id that it had: what was decided about it names that, and so may people.
    func marked(_ id: String) -> [UInt8] {
        guard self.isDeadLetter, var event = try? EventBlock.decode(self.block.span.bytes),
            !event.attributes.contains(where: { $0.name == DeadLetterHeader.restoredID })
        else { return self.block }
        event.attributes.append(Attribute(DeadLetterHeader.restoredID, id, kind: .header))
        // A record has room for its id before it has any for a stack trace.
        if EventBlock.attributesSize(event.attributes) > Limits.attributesBytes
            || event.attributes.count > Limits.attributesPerEvent
        {
            event.attributes.removeAll { $0.name == DeadLetterHeader.detail }
        }
        guard EventBlock.attributesSize(event.attributes) <= Limits.attributesBytes,
            EventBlock.size(of: event) <= Limits.recordBytes
        else { return self.block }
        return EventBlock.encode(event)
    }

    /// Whether any attribute is one of a dead letter's: most records are told apart without being built.
    private var isDeadLetter: Bool {
        let wanted = Array(DeadLetterHeader.code.utf8)
        var index = self.layout.attributes.lowerBound
        let end = self.layout.attributes.upperBound
        while index + 4 <= end {
            let name = index + 4..<min(end, index + 4 + Int(self.block[index]))
            if self.block[name].elementsEqual(wanted) { return true }
            let value = Int(self.block[index + 2]) | Int(self.block[index + 3]) << 8
            index = name.upperBound + value
        }
        return false
    }
}
