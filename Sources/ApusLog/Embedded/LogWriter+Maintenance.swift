internal import ApusCore
internal import CLMDB

/// Tables of deleted topics that are empty, and the number of the next new one.
struct SpareTables: Equatable {
    var empty: [Table]
    var nextTable: UInt32

    mutating func take(_ kind: TableKind) -> Table? {
        guard let index = self.empty.lastIndex(where: { $0.kind == kind }) else { return nil }
        return self.empty.remove(at: index)
    }
}

/// What retention and deletion still have to do. The writer thread's alone.
struct MaintenanceState {
    var spares: SpareTables
    var tablesInUse: Int
    /// Tables of deleted topics, emptied one after the other.
    var emptying: [Table]
    /// Topics that may have records to give up, each once.
    private(set) var topics: [TopicName] = []
    /// No tombstone is older.
    var oldestTombstone: Int64?
    var areTombstonesDue = false
    /// Records that were superseded while a copy needed them wait for their end; true at a start, which does not know.
    var areSupersededDue = true
    var keys: KeyCount
    /// A copy is under way: what it may need is not touched.
    var isHolding = false
    /// Records of one step; smaller after a step that failed for want of pages.
    var stepRecords: Int
    private let stepRecordsMax: Int
    /// A step failed: nothing is tried before the next tick.
    private(set) var isPaused = false

    init(_ opened: OpenedTopics, stepRecords: Int) {
        self.spares = SpareTables(empty: opened.empty, nextTable: opened.nextTable)
        self.emptying = opened.emptying
        self.tablesInUse =
            opened.emptying.count
            + opened.directory.all.reduce(0) { $0 + $1.partitions.count * ($1.configuration.isCompacted ? 2 : 1) }
        self.oldestTombstone = opened.oldestTombstone
        self.keys = KeyCount(count: opened.keys, oldest: opened.oldestKey)
        self.stepRecords = max(1, stepRecords)
        self.stepRecordsMax = max(1, stepRecords)
    }

    var hasWork: Bool {
        guard !self.isPaused else { return false }
        return !self.topics.isEmpty || self.keys.areDue
            || (!self.isHolding && (!self.emptying.isEmpty || self.areTombstonesDue || self.areSupersededDue))
    }

    mutating func add(_ topic: TopicName) {
        if !self.topics.contains(topic) { self.topics.append(topic) }
    }

    mutating func takeTopic() -> TopicName? { self.topics.isEmpty ? nil : self.topics.removeFirst() }

    mutating func note(_ tombstone: Tombstone) {
        self.oldestTombstone = min(self.oldestTombstone ?? .max, tombstone.time)
    }

    mutating func stepSucceeded() { self.stepRecords = min(self.stepRecordsMax, self.stepRecords * 2) }

    /// Deleting takes pages: on a full map a small step may pass where a large one did not.
    mutating func stepFailed() {
        self.stepRecords = max(1, self.stepRecords / 8)
        self.isPaused = true
    }

    mutating func resume() { self.isPaused = false }
}

extension LogWriter {
    var hasMaintenance: Bool { self.maintenance.hasWork }

    /// A topic got records: its size may be over its bound now.
    func noteGrowth(of name: TopicName) {
        guard let topic = self.directory[name], let bound = topic.configuration.retentionBytes, topic.bytes > bound,
            !self.isHeld(topic)
        else { return }
        self.maintenance.add(name)
    }

    func noteDiscard(_ place: TopicPartition, before offset: Offset) {
        guard let topic = self.directory[place.topic], topic.partitions.indices.contains(place.partition) else {
            return
        }
        let partition = topic.partitions[place.partition]
        guard offset > partition.committed.start else { return }
        partition.discardsBefore = max(offset, partition.discardsBefore ?? 0)
        self.maintenance.add(place.topic)
    }

    /// Looks for what time made due.
    func tick() {
        self.maintenance.resume()
        self.checkHold()
        let now = self.clock().microseconds
        for topic in self.directory.all {
            if let time = topic.configuration.retentionTime,
                topic.partitions.contains(where: { $0.oldest.map { $0 < now - time.microseconds } ?? false }),
                !self.isHeld(topic)
            {
                self.maintenance.add(topic.name)
            }
            // A step that failed left it for later.
            if topic.partitions.contains(where: { $0.discardsBefore != nil }) { self.maintenance.add(topic.name) }
            self.noteGrowth(of: topic.name)
        }
        if let oldest = self.maintenance.oldestTombstone, oldest < now - self.configuration.tombstoneTime.microseconds {
            self.maintenance.areTombstonesDue = true
        }
        self.maintenance.keys.look(now: now, max: self.configuration.keys)
    }

    /// One bounded step in a transaction of its own.
    func maintainOnce() {
        do throws(LMDBFailure) {
            if let name = self.maintenance.takeTopic() {
                if let topic = self.directory[name], !self.isHeld(topic), try self.retain(topic) {
                    self.maintenance.add(name)
                }
            } else if self.maintenance.keys.areDue {
                self.maintenance.keys.areDue = try self.forgetKeys()
            } else if self.maintenance.areSupersededDue {
                self.maintenance.areSupersededDue = try self.buryStep()
            } else if self.maintenance.areTombstonesDue {
                self.maintenance.areTombstonesDue = try self.buryTombstones()
            } else if let table = self.maintenance.emptying.first {
                try self.empty(table)
            }
            self.maintenance.stepSucceeded()
        } catch {
            self.forgetTouched()
            self.maintenance.stepFailed()
            _ = self.failed(error)
        }
    }

    // MARK: retention

    /// - Returns: whether the topic may have more to give up.
    private func retain(_ topic: Topic) throws(LMDBFailure) -> Bool {
        var budget = self.maintenance.stepRecords
        let transaction = try WriteTransaction(self.environment)
        if let time = topic.configuration.retentionTime {
            let cutoff = self.clock().microseconds - time.microseconds
            for partition in topic.partitions where budget > 0 {
                while budget > 0, let oldest = partition.oldest, oldest < cutoff {
                    budget -= 1
                    try self.deleteOldest(of: partition, before: cutoff, transaction)
                }
            }
        }
        if let bound = topic.configuration.retentionBytes {
            var excess = topic.partitions.reduce(0) { $0 + $1.working.bytes } - bound
            while budget > 0, excess > 0, let partition = Self.oldestPartition(of: topic) {
                budget -= 1
                let before = partition.working.bytes
                try self.deleteOldest(of: partition, before: .max, transaction)
                excess -= before - partition.working.bytes
            }
        }
        for partition in topic.partitions {
            guard let before = partition.discardsBefore else { continue }
            while budget > 0, let (offset, _) = try transaction.firstRecord(partition.records.handle), offset < before {
                budget -= 1
                try self.deleteOldest(of: partition, before: .max, transaction)
            }
            if budget > 0 { partition.discardsBefore = nil }
        }
        // Nothing was found to be due after all.
        if self.touched.isEmpty { return false }
        try self.putStates(transaction)
        try transaction.commit()
        for partition in self.touched { partition.publish() }
        self.touched.removeAll(keepingCapacity: true)
        self.committed(records: 0)
        return budget == 0
    }

    private static func oldestPartition(of topic: Topic) -> Partition? {
        var oldest: Partition?
        for partition in topic.partitions {
            guard let time = partition.oldest else { continue }
            if let known = oldest?.oldest, known <= time { continue }
            oldest = partition
        }
        return oldest
    }

    /// Deletes the first record of a partition when it is old enough, and learns how old the next is.
    private func deleteOldest(of partition: Partition, before cutoff: Int64, _ transaction: borrowing WriteTransaction)
        throws(LMDBFailure)
    {
        guard let (offset, bytes) = try transaction.firstRecord(partition.records.handle), bytes.count >= 8 else {
            partition.oldest = nil
            return
        }
        // After a compaction the first record may be younger than was known.
        let time = Int64(littleEndian: bytes.loadUnaligned(as: Int64.self))
        partition.oldest = time
        guard time < cutoff else { return }
        self.touch(partition)
        partition.working.bytes -= Int64(bytes.count)
        let digest = partition.index == nil ? nil : Self.digest(of: bytes)
        _ = try transaction.deleteRecord(partition.records.handle, offset)
        if let index = partition.index, let digest { try Self.unindex(digest, at: offset, in: index, transaction) }
        if let (_, next) = try transaction.firstRecord(partition.records.handle), next.count >= 8 {
            partition.oldest = Int64(littleEndian: next.loadUnaligned(as: Int64.self))
        } else {
            partition.oldest = nil
        }
        partition.working.start = offset + 1
    }

    static func digest(of record: UnsafeRawBufferPointer) -> [UInt8]? {
        guard let layout = try? EventLayout(parsing: RawSpan(_unsafeBytes: record)), let key = layout.key else {
            return nil
        }
        return KeyDigest.of(UnsafeRawBufferPointer(rebasing: record[key]))
    }

    /// Forgets a key whose newest record is gone.
    private static func unindex(
        _ digest: [UInt8], at offset: Offset, in index: Table, _ transaction: borrowing WriteTransaction
    ) throws(LMDBFailure) {
        guard let known = try transaction.get(index.handle, digest), known.count == 8,
            Int64(littleEndian: known.loadUnaligned(as: Int64.self)) == offset
        else { return }
        _ = try transaction.delete(index.handle, digest)
    }

    // MARK: tombstones

    /// Deletes tombstones whose time is over, unless something newer took their place.
    /// - Returns: whether more are due.
    private func buryTombstones() throws(LMDBFailure) -> Bool {
        let cutoff = self.clock().microseconds - self.configuration.tombstoneTime.microseconds
        let budget = self.maintenance.stepRecords
        var due: [(Tombstone, [UInt8])] = []
        var oldest: Int64?
        let transaction = try WriteTransaction(self.environment)
        try transaction.forEach(self.tables.tombstones) { key, value in
            guard let tombstone = Tombstone(parsing: key) else { return true }
            guard tombstone.time < cutoff, due.count < budget else {
                oldest = tombstone.time
                return false
            }
            due.append((tombstone, Array(value)))
            return true
        }
        let partitions = self.compactedPartitions
        for (tombstone, digest) in due {
            _ = try transaction.delete(self.tables.tombstones, tombstone.encoded)
            guard let partition = partitions[tombstone.table], let index = partition.index,
                let bytes = try transaction.record(partition.records.handle, tombstone.offset),
                let layout = try? EventLayout(parsing: RawSpan(_unsafeBytes: bytes)),
                // The table may belong to another topic by now, whose record at this offset is another.
                layout.isNull, layout.timestamp.microseconds == tombstone.time
            else { continue }
            self.touch(partition)
            partition.working.bytes -= Int64(bytes.count)
            _ = try transaction.deleteRecord(partition.records.handle, tombstone.offset)
            try Self.unindex(digest, at: tombstone.offset, in: index, transaction)
        }
        try self.putStates(transaction)
        try transaction.commit()
        for partition in self.touched { partition.publish() }
        self.touched.removeAll(keepingCapacity: true)
        self.maintenance.oldestTombstone = oldest
        self.committed(records: 0)
        return due.count == budget
    }

    // MARK: deletion

    /// Empties a table of a deleted topic a step further; an empty one can be used again.
    private func empty(_ table: Table) throws(LMDBFailure) {
        let transaction = try WriteTransaction(self.environment)
        let size = try transaction.size(of: table.handle)
        var isEmpty = true
        if size.pages <= Limits.Log.wholeDropPages {
            try check(mdb_drop(transaction.handle, table.handle, 0), "empty a table")
        } else {
            let deleted = try transaction.deleteFirst(table.handle, count: self.maintenance.stepRecords)
            isEmpty = deleted == size.entries
        }
        if isEmpty {
            try self.tables.setSpare(table, .empty, transaction)
            if table.kind == .records { _ = try transaction.deleteRecord(self.tables.states, Int64(table.identifier)) }
        }
        try transaction.commit()
        if isEmpty {
            self.maintenance.emptying.removeFirst()
            self.maintenance.spares.empty.append(table)
            self.maintenance.tablesInUse -= 1
        }
        self.committed(records: 0)
    }
}
