internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusLog
internal import ApusLoop
internal import ApusServer
internal import ApusStore
internal import Synchronization

/// Moves a single machine's backup into an empty cluster: topics with their settings, records in their order, then what names
/// places among them, rewritten: positions, and last of all what is deployed.
///
/// Kafka gives records offsets of its own, so that a position is the number of records before it. What is deployed comes last: a server that
/// is started too early finds nothing to do.
final class KafkaRestore {
    private struct Topic {
        var name: TopicName
        var isCompacted: Bool
        /// By partition.
        var maps: [OffsetMap]
    }

    private let configuration: KafkaLogConfiguration
    private let copied: UInt64
    private let log: SealedLog
    /// The new hash of each bundle whose archive is not the one that was sent once.
    private let bundles: [String: String]
    private var topics: [Topic] = []
    private var entries: [(key: [UInt8], value: [UInt8])] = []
    private var control: [Event] = []
    private var catalogue = Catalogue()
    private var hash = ""
    private var archive: [UInt8] = []
    /// Open invocations that have other ids now.
    private(set) var renamed = 0

    /// - Throws: `conflict` unless the cluster is empty.
    init(
        _ configuration: KafkaLogConfiguration, _ head: BackupHead, _ seal: RecordSeal, bundles: [String: String]
    ) throws(ApusError) {
        let there = try KafkaLog.topicsThere(configuration)
        guard there.isEmpty else {
            throw ApusError(
                .conflict,
                "the cluster is not empty: '\(there[0])' and \(there.count - 1) other topics are on it; a backup goes into an empty "
                    + "one, or give `log.kafka.topicPrefix` another value")
        }
        var configuration = configuration
        configuration.keepsTimes = true
        configuration.lockedFolder = nil
        configuration.keysFolder = nil
        self.configuration = configuration
        self.copied = head.log
        self.bundles = bundles
        let clock = SystemClock()
        // The servers to come believe what is deployed only under their key.
        self.log = SealedLog(try KafkaLog(configuration) { clock.now }, seal)
    }

    func take(_ part: BackupPart) throws(ApusError) {
        switch part {
        case .topic(let topic):
            try self.log.createTopic(topic.name, topic.configuration)
            self.topics.append(
                Topic(
                    name: topic.name, isCompacted: topic.configuration.isCompacted,
                    maps: Array(repeating: OffsetMap(), count: topic.configuration.partitions)))
        case .entries(let entries): self.entries += entries.entries
        case .records(let topic, let partition, let records): try self.add(topic, partition, records)
        case .bundle(let hash, let isLast, let bytes): try self.add(bundle: hash, isLast, bytes)
        case .head:
            try self.log.createTopic(
                .bundles, TopicConfiguration(partitions: Limits.Bundle.partitions, isCompacted: true))
        case .end, .failure: break
        }
    }

    // MARK: records

    private func add(_ index: Int, _ partition: Int, _ records: [(offset: Offset, block: [UInt8])]) throws(ApusError) {
        guard self.topics.indices.contains(index), self.topics[index].maps.indices.contains(partition) else {
            throw ApusError(.backupInvalid, "a record of the backup is of a partition that is not in it")
        }
        let topic = self.topics[index]
        var appends: [LogBatch.Append] = []
        var offsets: [Offset] = []
        for (offset, block) in records {
            let record = try CopiedRecord(
                block, identity: self.copied, topic: topic.name, partition: partition, offset: offset)
            guard record.hasKey || !topic.isCompacted else {
                throw ApusError(.backupInvalid, "the record \(topic.name)/\(partition)/\(offset) has no key")
            }
            guard let block = try self.rewritten(record.block, topic.name) else { continue }
            appends.append(LogBatch.Append(topic: topic.name, partition: partition, block: block))
            offsets.append(offset)
        }
        guard !appends.isEmpty else { return }
        let receipt = try self.write(LogBatch(urgency: .producer, appends: appends))
        for (offset, place) in zip(offsets, receipt.places) {
            self.topics[index].maps[partition].note(offset, wentTo: place.offset)
        }
    }

    /// What a record is there; nil for one that comes later or has no meaning there.
    private func rewritten(_ block: [UInt8], _ topic: TopicName) throws(ApusError) -> [UInt8]? {
        switch topic {
        case .control:
            let event = try Self.event(block)
            self.control.append(event)
            // What follows wants to know of functions; a record that cannot be understood is written as it is.
            if let record = try? ControlRecord(event) { _ = try? self.catalogue.apply(record) }
            return nil
        case .invocations:
            let event = try Self.event(block)
            let text = event.attributes.first { $0.kind == .header && $0.name == InvocationHeader.state }?.text
            let state = text.flatMap(InvocationState.init(rawValue:))
            // Those that are open have other ids there, and requests about them name the old ones.
            return state.map(\.isTerminal) ?? (event.data == nil) ? block : nil
        default:
            guard let name = topic.invokedFunction, let function = self.catalogue.functions[name] else { return block }
            return try self.relaned(block, function)
        }
    }

    /// Ids of accepted invocations are made of the log's identity and the offset: both are others there.
    private func relaned(_ block: [UInt8], _ function: Catalogue.Function) throws(ApusError) -> [UInt8] {
        var event = try Self.event(block)
        let trigger = InvocationTrigger(function.name, origin: function.origin, logIdentity: self.log.identity)
        event.attributes.removeAll { $0.kind == .header && $0.name == InvocationHeader.lane }
        event.attributes.append(Attribute(InvocationHeader.lane, hexadecimal(trigger.identity), kind: .header))
        self.renamed += 1
        return EventBlock.encode(event)
    }

    private static func event(_ block: [UInt8]) throws(ApusError) -> Event {
        guard let event = try? EventBlock.decode(block.span.bytes) else {
            throw ApusError(.backupInvalid, "a record of the backup is no event")
        }
        return event
    }

    private func write(_ batch: LogBatch) throws(ApusError) -> LogReceipt {
        let slot = ResultSlot<Result<LogReceipt, ApusError>>()
        self.log.submit(batch) { slot.fill($0) }
        return try slot.take().get()
    }

    // MARK: bundles

    private func add(bundle hash: String, _ isLast: Bool, _ bytes: [UInt8]) throws(ApusError) {
        if self.archive.isEmpty { self.hash = hash }
        guard hash == self.hash, self.archive.count + bytes.count <= Limits.Backup.bundleBytes else {
            throw ApusError(.backupInvalid, "a bundle of the backup is not whole: use another backup")
        }
        self.archive += bytes
        guard isLast else { return }
        let name = self.bundles[hash] ?? hash
        guard self.archive.count <= Limits.Bundle.archiveBytes else {
            throw ApusError(
                .bundleTooLarge,
                "the bundle \(hash) has \(self.archive.count) bytes in the backup; at most \(Limits.Bundle.archiveBytes) go to a "
                    + "cluster: deploy its function with less in it, then take another backup")
        }
        guard BundleHash.of(self.archive) == name else {
            throw ApusError(.backupInvalid, "the bundle \(hash) changed between two looks at the backup")
        }
        for number in 0..<BundleChunk.count(of: self.archive) {
            let chunk = BundleChunk(number, of: self.archive, hash: name)
            var event = chunk.event
            event.timestamp = SystemClock().now
            _ = try self.write(
                LogBatch(
                    urgency: .producer,
                    appends: [
                        LogBatch.Append(
                            topic: .bundles, partition: BundleChunk.partition(of: name), block: EventBlock.encode(event)
                        )
                    ]))
        }
        self.archive = []
    }

    // MARK: positions, and what is deployed

    /// Writes what names places. Nothing is deployed before it returns.
    func finish() throws(ApusError) {
        try self.writeLedger()
        let maps = Dictionary(self.topics.map { ($0.name, $0.maps) }) { first, _ in first }
        let move = ControlMove(bundles: self.bundles) { place, offset in
            guard let map = maps[place.topic], map.indices.contains(place.partition) else { return 0 }
            return map[place.partition].position(of: offset)
        }
        var appends: [LogBatch.Append] = []
        var bytes = 0
        for (index, event) in self.control.enumerated() {
            let block = EventBlock.encode(move.moved(event))
            appends.append(LogBatch.Append(topic: .control, partition: 0, block: block))
            bytes += block.count
            guard bytes > Limits.Backup.gatherBytes || index == self.control.count - 1 else { continue }
            _ = try self.write(LogBatch(urgency: .settlement, appends: appends))
            (appends, bytes) = ([], 0)
        }
        self.log.close()
    }

    /// Entries of triggers that are deployed; what others left means nothing any more.
    private func writeLedger() throws(ApusError) {
        for function in self.catalogue.functions.values {
            for trigger in function.triggers {
                let prefix = LedgerKey.prefix(
                    function: function.name, trigger: trigger.name, generation: trigger.deployment.generation)
                try self.writeEntries(prefix, trigger.topic)
            }
            let queue = InvocationTrigger(function.name, origin: function.origin, logIdentity: self.log.identity)
            try self.writeEntries(queue.ledgerPrefix, queue.place.topic, cancelling: queue)
        }
    }

    private func writeEntries(_ prefix: [UInt8], _ topic: TopicName, cancelling queue: InvocationTrigger? = nil)
        throws(ApusError)
    {
        guard let maps = self.topics.first(where: { $0.name == topic })?.maps else { return }
        var writes: [LogBatch.LedgerWrite] = []
        for entry in self.entries where entry.key.starts(with: prefix) {
            if let queue, let mark = InvocationMark(key: entry.key, prefix: prefix) {
                guard let moved = maps.first?.place(of: mark.offset) else { continue }
                writes.append(queue.markEntry(mark.moved(to: moved), entry.value))
            } else if let partition = LedgerKey.partition(of: entry.key, prefix: prefix),
                maps.indices.contains(partition)
            {
                let state = try LedgerKey.decode(entry.value).moved(by: maps[partition])
                // The number of a share is the same for every class.
                let share = Share.of(topic, partition: partition, .cpu)
                writes.append(LogBatch.LedgerWrite(key: entry.key, value: state.encode(), share: share))
            }
        }
        for start in stride(from: 0, to: writes.count, by: Self.entriesPerWrite) {
            let part = writes[start..<min(writes.count, start + Self.entriesPerWrite)]
            _ = try self.write(LogBatch(urgency: .settlement, ledger: Array(part)))
        }
    }

    private static let entriesPerWrite = 16

    /// Leaves the cluster as it was found.
    func abandon() throws(ApusError) {
        self.log.close()
        try KafkaLog.clear(self.configuration)
    }
}
