public import ApusCore
internal import Synchronization

extension MemoryLog {
    public func bounds(of partition: TopicPartition) throws(ApusError) -> OffsetBounds {
        let found = try self.partition(partition)
        return OffsetBounds(start: found.base, end: found.end)
    }

    public func newest(of key: [UInt8], in partition: TopicPartition) throws(ApusError) -> Offset? {
        try self.partition(partition).newest[key]
    }

    public func offset(of partition: TopicPartition, at time: Timestamp) throws(ApusError) -> Offset {
        let found = try self.partition(partition)
        for index in 0..<found.records.count {
            if let block = found.records[index],
                block.span.bytes.littleEndian(at: 0, as: Int64.self) >= time.microseconds
            {
                return found.base + Offset(index)
            }
        }
        return found.end
    }

    public func read(
        _ place: TopicPartition, from start: Offset, maxRecords: Int, maxBytes: Int,
        _ body: (Offset, UnsafeRawBufferPointer) -> Bool
    ) throws(ApusError) -> Offset {
        // A copy of the partition shares its storage; `body` runs outside the lock.
        let found = try self.partition(place)
        guard start <= found.end else {
            throw ApusError(
                .offsetOutOfRange, "the partition \(place) ends at \(found.end); there is no offset \(start) yet")
        }
        guard start < found.end, maxRecords > 0 else { return start }
        var records = 0
        var bytes = 0
        var offset = max(start, found.base)
        while offset < found.end {
            if let block = found.records[Int(offset - found.base)] {
                if records >= maxRecords || (records > 0 && bytes + block.count > maxBytes) { return offset }
                records += 1
                bytes += block.count
                guard block.withUnsafeBytes({ body(offset, $0) }) else { return offset + 1 }
                if records >= maxRecords || bytes >= maxBytes { return offset + 1 }
            }
            offset += 1
        }
        return found.end
    }

    public func records(at places: [RecordPlace], _ body: (Int, UnsafeRawBufferPointer?) -> Void) throws(ApusError) {
        // The blocks are taken under one lock and lent outside it, where `body` may call the log.
        let blocks = try self.content.withLock { content -> Result<[[UInt8]?], ApusError> in
            var blocks: [[UInt8]?] = []
            blocks.reserveCapacity(places.count)
            for place in places {
                guard let topic = content.topics[place.partition.topic] else {
                    return .failure(MemoryLog.notFound(place.partition.topic))
                }
                guard topic.partitions.indices.contains(place.partition.partition) else {
                    return .failure(ApusError(.invalidArgument, "there is no partition \(place.partition)"))
                }
                let base = topic.partitions[place.partition.partition].base
                let end = topic.partitions[place.partition.partition].end
                let isInside = place.offset >= base && place.offset < end
                blocks.append(
                    isInside ? topic.partitions[place.partition.partition].records[Int(place.offset - base)] : nil)
            }
            return .success(blocks)
        }.get()
        for index in blocks.indices {
            if let block = blocks[index] { block.withUnsafeBytes { body(index, $0) } } else { body(index, nil) }
        }
    }

    public func ledger(prefix: [UInt8]) throws(ApusError) -> [(key: [UInt8], value: [UInt8])] {
        self.content.withLock { content in
            content.ledger.filter { $0.key.starts(with: prefix) }
                .sorted { $0.key.lexicographicallyPrecedes($1.key) }
                .map { (key: $0.key, value: $0.value) }
        }
    }

    /// The partition after what retention takes now.
    private func partition(_ place: TopicPartition) throws(ApusError) -> Partition {
        let now = self.clock()
        return try self.content.withLock { content -> Result<Partition, ApusError> in
            guard let topic = content.topics[place.topic] else { return .failure(MemoryLog.notFound(place.topic)) }
            guard topic.partitions.indices.contains(place.partition) else {
                return .failure(ApusError(.invalidArgument, "there is no partition \(place)"))
            }
            let configuration = topic.configuration
            guard configuration.retentionTime != nil || configuration.retentionBytes != nil || configuration.isCompacted
            else {
                return .success(topic.partitions[place.partition])
            }
            self.retain(&content.topics[place.topic], now)
            return .success(
                content.topics[place.topic]?.partitions[place.partition] ?? topic.partitions[place.partition])
        }.get()
    }

    private func retain(_ topic: inout Topic?, _ now: Timestamp) {
        guard let configuration = topic?.configuration, let count = topic?.partitions.count else { return }
        for index in 0..<count {
            if let time = configuration.retentionTime {
                let cutoff = (now - time).microseconds
                while let oldest = topic?.partitions[index].oldest, oldest < cutoff {
                    topic?.partitions[index].dropOldest()
                }
            }
            if configuration.isCompacted {
                topic?.partitions[index].buryTombstones(before: (now - self.tombstoneTime).microseconds)
            }
        }
        guard let bound = configuration.retentionBytes, let partitions = topic?.partitions else { return }
        var excess = partitions.reduce(0) { $0 + $1.bytes } - bound
        while excess > 0 {
            let times = (0..<count).compactMap { index in topic?.partitions[index].oldest.map { (index, $0) } }
            guard let oldest = times.min(by: { $0.1 < $1.1 }), let before = topic?.partitions[oldest.0].bytes else {
                return
            }
            topic?.partitions[oldest.0].dropOldest()
            excess -= before - (topic?.partitions[oldest.0].bytes ?? 0)
        }
    }
}

extension Timestamp {
    /// The time that long before.
    static func - (left: Timestamp, right: TimeSpan) -> Timestamp {
        Timestamp(microseconds: left.microseconds - right.microseconds)
    }
}
