public import ApusCore
internal import CRDKafka

extension KafkaLog {
    /// For a topic that somebody follows: as far as its records have come to this node. Else the cluster is asked.
    public func bounds(of place: TopicPartition) throws(ApusError) -> OffsetBounds {
        let partition = try self.topicsKnown.partition(place)
        if let bounds = partition.followedBounds { return bounds }
        return try self.ask(partition)
    }

    /// - Throws: `offset_out_of_range` when `start` is beyond the partition's end, `limit_reached` when too many read what lies far
    ///   behind, `log_failed` when the cluster does not answer.
    ///
    /// At least one record is lent, however large, and the one for which `body` returned false counts as lent.
    public func read(
        _ place: TopicPartition, from start: Offset, maxRecords: Int, maxBytes: Int,
        _ body: (Offset, UnsafeRawBufferPointer) -> Bool
    ) throws(ApusError) -> Offset {
        let partition = try self.topicsKnown.partition(place)
        var end = partition.knownEnd
        if start >= end { end = try self.bounds(of: place).end }
        guard start <= end else {
            throw ApusError(.offsetOutOfRange, "the partition \(place) ends at \(end); there is no offset \(start) yet")
        }
        guard start < end, maxRecords > 0 else { return start }
        if let index = partition.compaction { try self.bring(index, of: partition, to: end) }
        let next = try self.lend(partition, from: start, end, maxRecords, maxBytes, body)
        if let unread = partition.wasRead(to: next), unread.records < self.configuration.unreadRecords / 2,
            unread.bytes < self.configuration.unreadBytes / 2
        {
            self.reader.resume(partition)
        }
        return next
    }

    private func lend(
        _ partition: KafkaPartition, from start: Offset, _ end: Offset, _ maxRecords: Int, _ maxBytes: Int,
        _ body: (Offset, UnsafeRawBufferPointer) -> Bool
    ) throws(ApusError) -> Offset {
        let buried = self.buried
        var next = max(start, partition.knownStart)
        var (records, bytes) = (0, 0)
        while next < end {
            // Nobody goes to the cluster for the rest of what is on its way here.
            if next > start, partition.isComing(next) { return next }
            let chunk = try self.chunk(partition, at: next, upTo: end)
            for index in chunk.index(from: next)..<chunk.count {
                let offset = chunk.offset(index)
                if let compaction = partition.compaction,
                    !chunk.lend(index, { compaction.shows(offset, $0, buried: buried) })
                {
                    continue
                }
                // The next record would pass the limit of bytes.
                if records > 0, bytes + chunk.size(index) > maxBytes { return offset }
                records += 1
                bytes += chunk.size(index)
                let goesOn = chunk.lend(index) { body(offset, $0) }
                if !goesOn || records >= maxRecords || bytes >= maxBytes { return offset + 1 }
            }
            next = chunk.next
        }
        return next
    }

    public func records(at places: [RecordPlace], _ body: (Int, UnsafeRawBufferPointer?) -> Void) throws(ApusError) {
        let buried = self.buried
        var last: (place: TopicPartition, partition: KafkaPartition)?
        for (index, place) in places.enumerated() {
            let partition =
                if let last, last.place == place.partition { last.partition } else {
                    try self.topicsKnown.partition(place.partition)
                }
            last = (place.partition, partition)
            guard let chunk = try self.chunk(partition, around: place.offset), let found = chunk.index(of: place.offset)
            else {
                body(index, nil)
                continue
            }
            chunk.lend(found) { block in
                let shows = partition.compaction?.shows(place.offset, block, buried: buried) ?? true
                body(index, shows ? block : nil)
            }
        }
    }

    public func recordsAtHand(
        _ places: [RecordPlace], _ body: (Int, UnsafeRawBufferPointer?) -> Void
    ) throws(ApusError) -> [Int] {
        var found: [(partition: KafkaPartition, chunk: RecordChunk?)] = []
        found.reserveCapacity(places.count)
        var missing: [Int] = []
        var last: (place: TopicPartition, partition: KafkaPartition)?
        for (index, place) in places.enumerated() {
            let partition =
                if let last, last.place == place.partition { last.partition } else {
                    try self.topicsKnown.partition(place.partition)
                }
            last = (place.partition, partition)
            // Neighbours mostly lie in one chunk, which is held here and cannot go.
            if partition.compaction == nil, let before = found.last, before.partition === partition,
                let chunk = before.chunk, place.offset >= chunk.first, place.offset < chunk.next
            {
                found.append(before)
                continue
            }
            switch partition.atHand(place.offset) {
            case .chunk(let chunk): found.append((partition, chunk))
            case .nowhere: found.append((partition, nil))
            case .missing:
                missing.append(index)
                found.append((partition, nil))
            }
        }
        guard missing.isEmpty else { return missing }
        let buried = self.buried
        for (index, place) in places.enumerated() {
            let (partition, chunk) = found[index]
            guard let chunk, let record = chunk.index(of: place.offset) else {
                body(index, nil)
                continue
            }
            chunk.lend(record) { block in
                let shows = partition.compaction?.shows(place.offset, block, buried: buried) ?? true
                body(index, shows ? block : nil)
            }
        }
        return []
    }

    /// The chunk with the record at an offset; nil when there can be none.
    private func chunk(_ partition: KafkaPartition, around offset: Offset) throws(ApusError) -> RecordChunk? {
        guard offset >= partition.knownStart else { return nil }
        var end = partition.knownEnd
        if offset >= end { end = try self.ask(partition).end }
        guard offset < end, offset >= partition.knownStart else { return nil }
        if let index = partition.compaction { try self.bring(index, of: partition, to: end) }
        return try self.chunk(partition, at: offset, upTo: end)
    }

    public func newest(of key: [UInt8], in place: TopicPartition) throws(ApusError) -> Offset? {
        let partition = try self.topicsKnown.partition(place)
        guard let index = partition.compaction else { return nil }
        try self.bring(index, of: partition, to: try self.bounds(of: place).end)
        return index.newest(of: key)
    }

    public func offset(of place: TopicPartition, at time: Timestamp) throws(ApusError) -> Offset {
        let partition = try self.topicsKnown.partition(place)
        let end = try self.ask(partition).end
        let found: Offset?
        do throws(KafkaFailure) {
            let client = try self.catchUp.client()
            found = try client.offset(of: partition.onKafka, partition.number, at: max(0, time.milliseconds))
        } catch {
            throw error.apusError("cannot find a time in \(place)")
        }
        guard let found, found < end else { return end }
        // Kafka knows milliseconds: within the one that was found, the records tell.
        var answer = end
        var next = found
        // One read may stop short of what is on its way here.
        while answer == end, next < end {
            next = try self.read(place, from: next, maxRecords: .max, maxBytes: .max) { offset, block in
                guard Int64(littleEndian: block.loadUnaligned(as: Int64.self)) >= time.microseconds else { return true }
                answer = offset
                return false
            }
        }
        return answer
    }

    // MARK: what the reading methods share

    private var buried: Timestamp {
        Timestamp(microseconds: self.clock().microseconds - self.configuration.tombstoneTime.microseconds)
    }

    func ask(_ partition: KafkaPartition) throws(ApusError) -> OffsetBounds {
        do throws(KafkaFailure) {
            return partition.heard(try self.catchUp.client().bounds(of: partition.onKafka, partition.number))
        } catch {
            throw error.apusError("cannot ask for the ends of \(partition.place)")
        }
    }

    /// The chunk that covers an offset before `end`: from memory, or read now and kept there for whoever asks next.
    private func chunk(_ partition: KafkaPartition, at offset: Offset, upTo end: Offset) throws(ApusError)
        -> RecordChunk
    {
        let (known, following) = partition.chunk(at: offset)
        if let known { return known }
        let limit = min(end, following ?? end)
        do throws(KafkaFailure) {
            let chunk = try self.catchUp.with(partition, from: offset) { (read) throws(KafkaFailure) in
                try read.chunk(
                    upTo: limit, maxRecords: Limits.Kafka.messagesPerBatch,
                    maxBytes: Limits.Kafka.catchUpBytes)
            }
            self.cache.note(partition.insert(chunk), of: partition)
            return chunk
        } catch {
            if error.code == RD_KAFKA_RESP_ERR__QUEUE_FULL { throw ApusError(.limitReached, error.text, cause: error) }
            throw error.apusError("cannot read \(partition.place) from \(offset)")
        }
    }

    /// Lets the index of a compacted partition see everything before `end`.
    private func bring(_ index: CompactionIndex, of partition: KafkaPartition, to end: Offset) throws(ApusError) {
        var next = max(index.next, partition.knownStart)
        while next < end {
            let chunk = try self.chunk(partition, at: next, upTo: end)
            var found: [(CompactionIndex.Digest, Offset)] = []
            for record in chunk.index(from: next)..<chunk.count {
                guard let digest = chunk.lend(record, { CompactionIndex.digest($0) }) else { continue }
                found.append((digest, chunk.offset(record)))
            }
            index.note(found, upTo: chunk.next)
            next = chunk.next
        }
    }
}
