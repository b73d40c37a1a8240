public import ApusCore
internal import Synchronization

/// An event log on which others may write as well: seals the records by which nodes tell each other what to do, and shows of those
/// topics only what carries a seal. Everything else passes through as it is.
public final class SealedLog: ForwardingLog {
    /// Records of sealed topics that were passed over, each counted once.
    public struct Ignored: Sendable, Equatable {
        public var unsealed: Int64 = 0
        public var unknownKey: Int64 = 0
        public var forged: Int64 = 0
        /// Under the newest key or an older one.
        public var valid: Int64 = 0
        /// One key that this node does not hold.
        public var someUnknownKey: String?

        public init() {}
    }

    private struct Seen {
        var ignored = Ignored()
        /// Every record before it was counted.
        var counted: [TopicPartition: Offset] = [:]
    }

    public let forwarded: any EventLog
    public let seal: RecordSeal
    /// Records from before there were seals are taken as they are.
    private let adoptsUnsealed: Bool
    private let seen = Mutex(Seen())
    private let once = Mutex<OnceWriter?>(nil)
    private let onIgnored = Mutex<(@Sendable (RecordPlace, _ key: [UInt8]?) -> Void)?>(nil)

    public init(_ log: any EventLog, _ seal: RecordSeal, adoptsUnsealed: Bool = false) {
        self.forwarded = log
        self.seal = seal
        self.adoptsUnsealed = adoptsUnsealed
    }

    public var ignored: Ignored { self.seen.withLock { $0.ignored } }

    /// Writes a batch that takes effect once, where a node of several decides that.
    public typealias OnceWriter =
        @Sendable (LogBatch, @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void) -> Void

    /// Has batches that take effect once written by whoever decides about their keys.
    public func decideOnce(_ writer: @escaping OnceWriter) { self.once.withLock { $0 = writer } }

    /// Called for each record that is passed over, from whatever thread reads it, once.
    public func whenIgnored(_ body: @escaping @Sendable (RecordPlace, _ key: [UInt8]?) -> Void) {
        self.onIgnored.withLock { $0 = body }
    }

    /// A batch with its seals.
    func sealed(_ batch: LogBatch) -> LogBatch {
        guard batch.appends.contains(where: { RecordSeal.covers($0.topic) }) else { return batch }
        var batch = batch
        for index in batch.appends.indices where RecordSeal.covers(batch.appends[index].topic) {
            let append = batch.appends[index]
            // Whoever writes there says where: a place that the key decides would be the log's to choose.
            guard let event = try? EventBlock.decode(append.block.span.bytes) else { continue }
            let place = TopicPartition(append.topic, append.partition ?? 0)
            batch.appends[index].partition = place.partition
            batch.appends[index].block = EventBlock.encode(self.seal.seal(event, on: place))
        }
        return batch
    }

    private func shows(_ place: TopicPartition, _ offset: Offset, _ block: UnsafeRawBufferPointer) -> Bool {
        guard let event = try? EventBlock.decode(block.bytes) else { return false }
        let verdict = self.seal.verify(event, on: place)
        let isShown = verdict == .valid || (verdict == .unsealed && self.adoptsUnsealed)
        let isNew = self.seen.withLock { seen in
            guard offset >= seen.counted[place] ?? 0 else { return false }
            seen.counted[place] = offset + 1
            switch verdict {
            case .valid: seen.ignored.valid += 1
            case .unsealed: if !isShown { seen.ignored.unsealed += 1 }
            case .forged: seen.ignored.forged += 1
            case .unknownKey(let id):
                seen.ignored.unknownKey += 1
                seen.ignored.someUnknownKey = id
            }
            return true
        }
        if isNew, !isShown { self.onIgnored.withLock { $0 }?(RecordPlace(place, offset), event.key) }
        return isShown
    }

    /// A record as it may be seen: nil for one that is not.
    private func shown(_ place: RecordPlace, _ block: UnsafeRawBufferPointer?) -> UnsafeRawBufferPointer? {
        guard let block, RecordSeal.covers(place.partition.topic) else { return block }
        return self.shows(place.partition, place.offset, block) ? block : nil
    }

    // MARK: the log

    public func submit(_ batch: LogBatch, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void) {
        if batch.once != nil, batch.owner == nil, let once = self.once.withLock({ $0 }) {
            return once(batch, completion)
        }
        self.forwarded.submit(self.sealed(batch), completion)
    }

    public func read(
        _ partition: TopicPartition, from start: Offset, maxRecords: Int, maxBytes: Int,
        _ body: (Offset, UnsafeRawBufferPointer) -> Bool
    ) throws(ApusError) -> Offset {
        guard RecordSeal.covers(partition.topic) else {
            return try self.forwarded.read(partition, from: start, maxRecords: maxRecords, maxBytes: maxBytes, body)
        }
        return try self.forwarded.read(partition, from: start, maxRecords: maxRecords, maxBytes: maxBytes) {
            offset, block in
            self.shows(partition, offset, block) ? body(offset, block) : true
        }
    }

    public func records(at places: [RecordPlace], _ body: (Int, UnsafeRawBufferPointer?) -> Void) throws(ApusError) {
        try self.forwarded.records(at: places) { body($0, self.shown(places[$0], $1)) }
    }

    public func recordsAtHand(
        _ places: [RecordPlace], _ body: (Int, UnsafeRawBufferPointer?) -> Void
    ) throws(ApusError) -> [Int] {
        try self.forwarded.recordsAtHand(places) { body($0, self.shown(places[$0], $1)) }
    }
}

/// Owning commands on a sealed log: what is decided is sealed as well.
public final class SealedOwnership: CommandOwnership {
    private let ownership: any CommandOwnership
    private let log: SealedLog

    public init(_ ownership: any CommandOwnership, _ log: SealedLog) {
        self.ownership = ownership
        self.log = log
    }

    public func start(_ changed: @escaping @Sendable (CommandOwnershipChange) -> Void) throws(ApusError) {
        try self.ownership.start(changed)
    }
    public func submit(
        _ batch: LogBatch, as owned: OwnedCommands,
        _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void
    ) { self.ownership.submit(self.log.sealed(batch), as: owned, completion) }
    public func end(of partition: TopicPartition) throws(ApusError) -> Offset { try self.ownership.end(of: partition) }
    public func stop() { self.ownership.stop() }
}

extension SealedLog {
    /// After `apus.control` was read: whether this server holds the key that its records are sealed under.
    /// - Throws: `configuration_invalid`, with what to do.
    public func checkKeys() throws(ApusError) {
        let ignored = self.ignored
        guard ignored.valid == 0 else { return }
        if let id = ignored.someUnknownKey {
            throw ApusError(
                .configurationInvalid,
                "the other servers of this cluster seal what they write under the key \(id), which this one does not have: "
                    + "start it with their --key-file (`keyFile`, or the systemd credential apus.key)")
        }
        if ignored.unsealed > 0 {
            throw ApusError(
                .configurationInvalid,
                "apus.control holds \(ignored.unsealed) records that nobody sealed: they are of a version before seals, or somebody else writes there. "
                    + "When they are yours, start once with `log.kafka.adopt: true` (APUS_LOG_KAFKA_ADOPT=true), which seals them"
            )
        }
    }
}
