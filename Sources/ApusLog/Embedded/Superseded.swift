internal import ApusCore
internal import CLMDB

/// A record that a newer one of its key replaced while a copy needed it: deleted once that is over. The note is durable, so that a
/// crash in the middle leaves nothing behind for ever.
struct Superseded: Equatable {
    static let byteCount = 12

    var table: UInt32
    var offset: Offset

    init(table: UInt32, offset: Offset) {
        self.table = table
        self.offset = offset
    }

    init?(parsing bytes: UnsafeRawBufferPointer) {
        guard bytes.count == Self.byteCount else { return nil }
        self.table = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt32.self))
        self.offset = Int64(bigEndian: bytes.loadUnaligned(fromByteOffset: 4, as: Int64.self))
    }

    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        bytes.appendLittleEndian(self.table.byteSwapped)
        bytes.appendLittleEndian(self.offset.byteSwapped)
        return bytes
    }
}

extension LogWriter {
    /// Deletes a predecessor, or notes it when a copy still needs it.
    func dismiss(_ predecessor: Offset, of partition: Partition, _ transaction: borrowing WriteTransaction)
        throws(LMDBFailure)
    {
        if let hold = self.hold, hold.keeps(partition.records.identifier, predecessor) {
            let note = Superseded(table: partition.records.identifier, offset: predecessor)
            try transaction.put(self.tables.superseded, note.encoded, [0])
            return
        }
        guard let old = try transaction.record(partition.records.handle, predecessor) else { return }
        partition.working.bytes -= Int64(old.count)
        _ = try transaction.deleteRecord(partition.records.handle, predecessor)
    }

    /// Deletes what copies made the log keep, a bounded step of it.
    /// - Returns: whether more is due.
    func buryStep() throws(LMDBFailure) -> Bool {
        let budget = self.maintenance.stepRecords
        var due: [Superseded] = []
        let transaction = try WriteTransaction(self.environment)
        try transaction.forEach(self.tables.superseded) { key, _ in
            if let note = Superseded(parsing: key) { due.append(note) }
            return due.count < budget
        }
        guard !due.isEmpty else { return false }
        let partitions = self.compactedPartitions
        for note in due {
            _ = try transaction.delete(self.tables.superseded, note.encoded)
            // The table may belong to another topic by now: only what its index points past is superseded.
            guard let partition = partitions[note.table], let index = partition.index,
                let bytes = try transaction.record(partition.records.handle, note.offset),
                let digest = Self.digest(of: bytes),
                let newest = try transaction.get(index.handle, digest), newest.count == 8,
                Int64(littleEndian: newest.loadUnaligned(as: Int64.self)) > note.offset,
                let old = try transaction.record(partition.records.handle, note.offset)
            else { continue }
            self.touch(partition)
            partition.working.bytes -= Int64(old.count)
            _ = try transaction.deleteRecord(partition.records.handle, note.offset)
        }
        try self.putStates(transaction)
        try transaction.commit()
        for partition in self.touched { partition.publish() }
        self.touched.removeAll(keepingCapacity: true)
        self.committed(records: 0)
        return due.count == budget
    }

    /// Partitions of compacted topics by their table of records.
    var compactedPartitions: [UInt32: Partition] {
        Dictionary(
            self.directory.all.flatMap(\.partitions).filter { $0.index != nil }.map { ($0.records.identifier, $0) },
            uniquingKeysWith: { first, _ in first })
    }
}
