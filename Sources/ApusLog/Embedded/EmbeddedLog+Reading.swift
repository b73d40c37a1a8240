public import ApusCore
internal import CLMDB
internal import Synchronization

extension EmbeddedLog {
    /// - Throws: `offset_out_of_range` when `start` is beyond the partition's end, `limit_reached` when all readers are
    ///   in use.
    ///
    /// At least one record is lent, however large, and the one for which `body` returned false counts as lent.
    public func read(
        _ place: TopicPartition, from start: Offset, maxRecords: Int, maxBytes: Int,
        _ body: (Offset, UnsafeRawBufferPointer) -> Bool
    ) throws(ApusError) -> Offset {
        let partition = try self.partition(place)
        // Before the snapshot is taken: every record below this end that is there is in the snapshot.
        let end = partition.end.load(ordering: .acquiring)
        guard start <= end else {
            throw ApusError(.offsetOutOfRange, "the partition \(place) ends at \(end); there is no offset \(start) yet")
        }
        guard start < end, maxRecords > 0 else { return start }
        let reader = try self.takeReader(for: partition)
        defer { self.give(reader) }
        do throws(LMDBFailure) {
            guard let first = try reader.firstRecord(partition.records.handle, from: max(0, start)) else { return end }
            let cursor = try reader.cursor(partition.records.handle)
            var (offset, bytes) = first
            var records = 0
            var total = 0
            while true {
                guard body(offset, bytes) else { return offset + 1 }
                records += 1
                total += bytes.count
                if records >= maxRecords || total >= maxBytes { return offset + 1 }
                var key = MDB_val()
                var value = MDB_val()
                let rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
                if rc == MDB_NOTFOUND { return max(offset + 1, end) }
                try check(rc, "read")
                // The next record would pass the limit of bytes.
                if total + value.mv_size > maxBytes { return offset + 1 }
                offset = key.offset
                bytes = value.bytes
            }
        } catch {
            throw self.failure(error)
        }
    }

    public func records(at places: [RecordPlace], _ body: (Int, UnsafeRawBufferPointer?) -> Void) throws(ApusError) {
        guard !places.isEmpty else { return }
        // Looked up before the snapshot, so that a table that goes to another topic meanwhile is noticed.
        let partitions = try self.partitions(of: places)
        let reader = try self.takeReader()
        defer { self.give(reader) }
        do throws(LMDBFailure) {
            for index in places.indices {
                let partition = partitions[index]
                guard places[index].offset >= 0, !partition.isDeleted.load(ordering: .sequentiallyConsistent) else {
                    body(index, nil)
                    continue
                }
                body(index, try reader.record(partition.records.handle, places[index].offset))
            }
        } catch {
            throw self.failure(error)
        }
    }

    /// The partition of each place. Turns of a loop ask for several partitions of few topics, mixed.
    private func partitions(of places: [RecordPlace]) throws(ApusError) -> [Partition] {
        var partitions: [Partition] = []
        partitions.reserveCapacity(places.count)
        var last: Topic?
        for index in places.indices {
            let number = places[index].partition.partition
            if last.map({ $0.name != places[index].partition.topic }) ?? true {
                last = self.directory[places[index].partition.topic]
            }
            if let last, last.partitions.indices.contains(number) {
                partitions.append(last.partitions[number])
            } else {
                partitions.append(try self.partition(places[index].partition))
            }
        }
        return partitions
    }

    public func newest(of key: [UInt8], in place: TopicPartition) throws(ApusError) -> Offset? {
        let partition = try self.partition(place)
        guard let index = partition.index else { return nil }
        let digest = key.withUnsafeBytes { KeyDigest.of($0) }
        let reader = try self.takeReader(for: partition)
        defer { self.give(reader) }
        do throws(LMDBFailure) {
            return try reader.indexed(index.handle, digest)
        } catch {
            throw self.failure(error)
        }
    }

    public func offset(of place: TopicPartition, at time: Timestamp) throws(ApusError) -> Offset {
        let partition = try self.partition(place)
        let end = partition.end.load(ordering: .acquiring)
        let reader = try self.takeReader(for: partition)
        defer { self.give(reader) }
        do throws(LMDBFailure) {
            // Log-append time grows along a partition. The answer is in low...answer.
            var low = partition.start.load(ordering: .acquiring)
            var high = end
            var answer = end
            while low < high {
                let middle = low + (high - low) / 2
                guard let (offset, bytes) = try reader.firstRecord(partition.records.handle, from: middle),
                    offset < high, bytes.count >= 8
                else {
                    high = middle
                    continue
                }
                if Int64(littleEndian: bytes.loadUnaligned(as: Int64.self)) >= time.microseconds {
                    answer = offset
                    high = middle
                } else {
                    low = offset + 1
                }
            }
            return answer
        } catch {
            throw self.failure(error)
        }
    }

    public var remembersKeys: Bool { true }

    public func remembered(_ keys: [[UInt8]]) throws(ApusError) -> [[UInt8]?] {
        guard !keys.isEmpty else { return [] }
        let now = self.clock().microseconds
        let reader = try self.takeReader()
        defer { self.give(reader) }
        var values: [[UInt8]?] = []
        values.reserveCapacity(keys.count)
        do throws(LMDBFailure) {
            for key in keys {
                // LMDB takes neither an empty key nor one of any length.
                let bytes = key.count == Limits.logKeyBytes ? try reader.value(self.keysTable, key) : nil
                values.append(bytes.flatMap { KnownKey.value($0, now: now) })
            }
        } catch { throw self.failure(error) }
        return values
    }

    public func ledger(prefix: [UInt8]) throws(ApusError) -> [(key: [UInt8], value: [UInt8])] {
        let reader = try self.takeReader()
        defer { self.give(reader) }
        var entries: [(key: [UInt8], value: [UInt8])] = []
        do throws(LMDBFailure) {
            let cursor = try reader.cursor(self.ledgerTable)
            var value = MDB_val()
            var key = MDB_val()
            // LMDB has no empty keys: without a prefix the walk begins at the first entry.
            var rc = prefix.withUnsafeBytes { bytes in
                key = MDB_val(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
                return mdb_cursor_get(cursor, &key, &value, bytes.isEmpty ? MDB_FIRST : MDB_SET_RANGE)
            }
            while rc == MDB_SUCCESS, key.bytes.starts(with: prefix) {
                entries.append((Array(key.bytes), Array(value.bytes)))
                rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
            }
            if rc != MDB_NOTFOUND { try check(rc, "read the ledger") }
        } catch {
            throw self.failure(error)
        }
        return entries
    }
}
