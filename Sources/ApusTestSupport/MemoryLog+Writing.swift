public import ApusCore
internal import Synchronization

extension MemoryLog {
    public func submit(_ batch: LogBatch, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void) {
        var growths: [(@Sendable (Int, Offset) -> Void, Int, Offset)] = []
        let now = self.clock()
        let result = self.content.withLock { content -> Result<LogReceipt, ApusError> in
            do throws(ApusError) {
                return .success(try MemoryLog.write(batch, now, &content, &growths))
            } catch {
                return .failure(error)
            }
        }
        // Outside the lock: both may call the log.
        completion(result)
        for (growth, partition, end) in growths { growth(partition, end) }
    }

    private static func write(
        _ batch: LogBatch, _ now: Timestamp, _ content: inout Content,
        _ growths: inout [(@Sendable (Int, Offset) -> Void, Int, Offset)]
    ) throws(ApusError) -> LogReceipt {
        if content.isClosed { throw ApusError(.shuttingDown, "the event log is closed") }
        if batch.urgency == .producer, content.status.isShort {
            throw ApusError(.logFull, "the event log is nearly full")
        }
        for write in batch.ledger where write.key.isEmpty || write.key.count > 511 {
            throw ApusError(.invalidArgument, "a ledger key has \(write.key.count) bytes; 1 to 511 are allowed")
        }
        if let once = batch.once, let known = content.keys[once.key], known.keptUntil >= now,
            let receipt = OnceReceipt(decoding: known.value)
        {
            return try receipt.answer(to: once).get()
        }
        var targets: [(partition: Int, key: [UInt8]?)] = []
        targets.reserveCapacity(batch.appends.count)
        for append in batch.appends { targets.append(try MemoryLog.target(of: append, &content)) }

        content.lastStamp = max(content.lastStamp, now)
        let stamp = content.lastStamp
        var places: [LogReceipt.Place] = []
        places.reserveCapacity(targets.count)
        for (append, target) in zip(batch.appends, targets) {
            var block = append.block
            withUnsafeBytes(of: stamp.microseconds.littleEndian) { time in
                block.withUnsafeMutableBytes { $0.copyMemory(from: time) }
            }
            let isCompacted = content.topics[append.topic]?.configuration.isCompacted ?? false
            let offset = content.topics[append.topic]?.partitions[target.partition].append(
                block, key: isCompacted ? target.key : nil)
            places.append(LogReceipt.Place(partition: target.partition, offset: offset ?? 0))
        }
        for write in batch.ledger { content.ledger[write.key] = write.value }
        for write in batch.keys { content.keys[write.key] = (write.value, write.keptUntil) }
        if let once = batch.once {
            let receipt = LogReceipt(places: places, timestamp: stamp)
            let value = OnceReceipt(fingerprint: once.fingerprint, receipt: receipt).encode()
            content.keys[once.key] = (value, once.keptUntil)
        }
        content.status.commits += 1
        content.status.records += UInt64(places.count)
        if !content.followers.isEmpty {
            var grown: Set<TopicPartition> = []
            for (append, target) in zip(batch.appends, targets)
            where grown.insert(TopicPartition(append.topic, target.partition)).inserted {
                let end = content.topics[append.topic]?.partitions[target.partition].end ?? 0
                for growth in (content.followers[append.topic] ?? [:]).values {
                    growths.append((growth, target.partition, end))
                }
            }
        }
        return LogReceipt(places: places, timestamp: stamp)
    }

    private static func target(of append: LogBatch.Append, _ content: inout Content) throws(ApusError) -> (
        partition: Int, key: [UInt8]?
    ) {
        guard let topic = content.topics[append.topic] else { throw MemoryLog.notFound(append.topic) }
        guard append.block.count <= Limits.recordBytes else {
            throw ApusError(.eventTooLarge, "a record has \(append.block.count) bytes")
        }
        let layout: EventLayout
        do throws(FrameError) {
            layout = try EventLayout(parsing: append.block.span.bytes)
        } catch {
            throw ApusError(.invalidEvent, "a record for '\(append.topic)' is no event block (\(error))")
        }
        guard layout.data.count == layout.dataCount else {
            throw ApusError(.invalidEvent, "a record lacks a part of its data")
        }
        let key = layout.key.map { Array(append.block[$0]) }
        if topic.configuration.isCompacted, key == nil {
            throw ApusError(.invalidEvent, "the topic '\(append.topic)' is compacted: its records need a key")
        }
        if let wanted = append.partition {
            guard topic.partitions.indices.contains(wanted) else {
                throw ApusError(.invalidArgument, "the topic '\(append.topic)' has no partition \(wanted)")
            }
            return (wanted, key)
        }
        if let key { return (key.withUnsafeBytes { Murmur2.partition(of: $0, among: topic.partitions.count) }, key) }
        let next = (topic.nextWithoutKey + 1) % topic.partitions.count
        content.topics[append.topic]?.nextWithoutKey = next
        return (next, nil)
    }
}

extension MemoryLog.Partition {
    /// - Parameter key: given on compacted topics only; its older record goes.
    mutating func append(_ block: [UInt8], key: [UInt8]?) -> Offset {
        let offset = self.end
        if let key, let old = self.newest.updateValue(offset, forKey: key) { self.remove(old) }
        self.bytes += Int64(block.count)
        self.records.append(block)
        return offset
    }

    private mutating func remove(_ offset: Offset) {
        guard offset >= self.base, let block = self.records[Int(offset - self.base)] else { return }
        self.bytes -= Int64(block.count)
        self.records[Int(offset - self.base)] = nil
    }

    private static func time(of block: [UInt8]) -> Int64 { block.span.bytes.littleEndian(at: 0, as: Int64.self) }

    /// The time of the oldest record that is there.
    var oldest: Int64? {
        for index in 0..<self.records.count {
            if let block = self.records[index] { return Self.time(of: block) }
        }
        return nil
    }

    mutating func dropOldest() {
        while let first = self.records.popFirst() {
            self.base += 1
            guard let block = first else { continue }
            self.bytes -= Int64(block.count)
            self.forget(block, at: self.base - 1)
            return
        }
    }

    mutating func drop(before offset: Offset) {
        while self.base < offset, let first = self.records.popFirst() {
            self.base += 1
            guard let block = first else { continue }
            self.bytes -= Int64(block.count)
            self.forget(block, at: self.base - 1)
        }
    }

    private mutating func forget(_ block: [UInt8], at offset: Offset) {
        guard !self.newest.isEmpty, let layout = try? EventLayout(parsing: block.span.bytes),
            let key = layout.key.map({ Array(block[$0]) })
        else { return }
        if self.newest[key] == offset { self.newest[key] = nil }
    }

    /// Removes tombstones older than `cutoff`, wherever they lie.
    mutating func buryTombstones(before cutoff: Int64) {
        for index in 0..<self.records.count {
            guard let block = self.records[index], let layout = try? EventLayout(parsing: block.span.bytes),
                layout.isNull,
                layout.timestamp.microseconds < cutoff
            else { continue }
            self.forget(block, at: self.base + Offset(index))
            self.remove(self.base + Offset(index))
        }
    }
}
