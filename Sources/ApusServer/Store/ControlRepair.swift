internal import ApusCore
internal import ApusStore

/// Finds the newest valid record of keys on a sealed topic, to be written again behind one that does not count.
struct ControlRepair {
    let log: any EventLog

    /// - Parameter isTakeOver: also those that are not sealed under the newest key.
    func appends(of keys: Set<[UInt8]>, isTakeOver: Bool, on topic: TopicName = .control) throws(ApusError)
        -> [LogBatch.Append]
    {
        guard !keys.isEmpty || isTakeOver else { return [] }
        let seal = (self.log as? SealedLog)?.seal
        if seal == nil, keys.isEmpty { return [] }
        let place = TopicPartition(topic, 0)
        var found: [[UInt8]: (generation: UInt64, event: Event)] = [:]
        let bounds = try self.log.bounds(of: place)
        try self.log.readAll(
            place, from: bounds.start, to: bounds.end, maxRecords: Limits.Server.recordsPerFollow,
            maxBytes: Limits.Server.bytesPerRead
        ) { _, block in
            guard let event = try? EventBlock.decode(block.bytes), let key = event.key,
                keys.contains(key) || isTakeOver
            else { return true }
            guard let generation = Self.generation(of: event, on: topic) else { return true }
            if let known = found[key], known.generation > generation { return true }
            found[key] = (generation, event)
            return true
        }
        return found.sorted { $0.key.lexicographicallyPrecedes($1.key) }.filter { key, newest in
            keys.contains(key) || seal.map { !$0.isNewest(newest.event) } ?? false
        }.map { LogBatch.Append(topic: topic, partition: 0, block: EventBlock.encode($0.value.event)) }
    }

    /// Nil for what is no record of this version. Fates, revisions and schedules have no generations that grow: the last one counts.
    private static func generation(of event: Event, on topic: TopicName) -> UInt64? {
        guard topic == .control else { return 0 }
        guard let record = try? ControlRecord(event) else { return nil }
        return record.kind == .fate || record.kind == .revision ? 0 : record.generation
    }
}
