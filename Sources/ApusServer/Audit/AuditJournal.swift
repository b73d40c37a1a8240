internal import ApusCore
internal import ApusCrypto
internal import ApusLoop
internal import ApusStore
internal import ApusTools
internal import Synchronization

/// Keeps what agents did on `apus.audit`, each record bound to the one before it. Any loop may write. One group of records is on its
/// way to the log at a time, so that they lie there in the order of their chain; what comes meanwhile is the next group.
final class AuditJournal: Sendable {
    /// What the next record is bound to; touched by whoever writes the group that is under way.
    private struct Chain {
        /// Nil until the first record, and behind one that the log did not take: the next begins a chain of its own.
        var current: AuditChain?
        /// The last record that is on the log.
        var durable: AuditLink?
    }

    /// A list that somebody looked at.
    struct List: Hashable {
        let place: ToolPlace
        let list: ToolList
        let principal: String
    }

    /// Lists that were written already: once a minute for each caller and list.
    private struct Lists {
        var seen: Set<List> = []
        var minute: Int64 = 0
    }

    let keys: AuditKeys
    /// Whose records these are among those of other servers.
    let server: String
    let partition: Int
    private let log: any EventLog
    private let queue = Mutex(AuditQueue())
    private let chain: Mutex<Chain>
    private let lists = Mutex(Lists())
    private let whenIdle = Mutex<ResultSlot<Bool>?>(nil)

    /// Reads where the last chain of this server ended. From a thread that may block.
    init(_ log: any EventLog, _ keys: MasterKeys, server: String) throws(ApusError) {
        self.log = log
        self.server = server
        self.keys = AuditKeys(keys.derived(for: "apus audit 1"))
        self.partition =
            Int(Array(server.utf8).withUnsafeBytes { Murmur2.hash($0) } & 0x7FFF_FFFF) % Limits.Audit.partitions
        let last = try Self.last(log, TopicPartition(.audit, self.partition), self.keys, server)
        self.chain = Mutex(Chain(durable: last))
    }

    /// Writes an entry. `completion` is called once, from any thread, after it is durable; until then nobody is told of what it is
    /// about.
    func note(
        _ entry: AuditEntry, now: Timestamp, _ completion: @escaping @Sendable (Result<Void, ApusError>) -> Void
    ) {
        self.put(AuditQueue.Item(content: .entry(entry), now: now, completion: completion))
    }

    /// Writes several, all or none.
    func note(
        _ entries: [AuditEntry], now: Timestamp, _ completion: @escaping @Sendable (Result<Void, ApusError>) -> Void
    ) {
        self.put(AuditQueue.Item(content: .entries(entries), now: now, completion: completion))
    }

    /// Counts a list: only the first of a caller in a minute is written. Nobody waits for it.
    func note(_ list: List, now: Timestamp, _ entry: () -> AuditEntry) {
        let isNew = self.lists.withLock { lists in
            let minute = now.milliseconds / 60_000
            if lists.minute != minute { (lists.minute, lists.seen) = (minute, []) }
            return lists.seen.count < Limits.Audit.listsPerMinute && lists.seen.insert(list).inserted
        }
        if isNew { self.note(entry(), now: now) { _ in } }
    }

    /// That checking starts at these places from now on.
    func anchor(
        _ anchors: [AuditPlace], now: Timestamp, _ completion: @escaping @Sendable (Result<Void, ApusError>) -> Void
    ) {
        self.put(AuditQueue.Item(content: .anchors(anchors), now: now, completion: completion))
    }

    /// Waits until all that was given is written, or refused by the log. When nothing more is given, and before the log closes.
    func stop() {
        let slot = ResultSlot<Bool>()
        self.whenIdle.withLock { $0 = slot }
        self.tellIfIdle()
        _ = slot.take()
    }

    private func tellIfIdle() {
        guard self.queue.withLock({ $0.isIdle }) else { return }
        let slot = self.whenIdle.withLock { slot in
            defer { slot = nil }
            return slot
        }
        slot?.fill(true)
    }

    private func put(_ item: AuditQueue.Item) {
        switch self.queue.withLock({ $0.add(item) }) {
        case .wait: break
        case .write(let group): self.write(group)
        case .refuse:
            item.completion(
                .failure(
                    ApusError(.overloaded, "\(Limits.Audit.gathered) entries wait for the audit: try again after a moment")))
        }
    }

    private func write(_ group: [AuditQueue.Item]) {
        let (records, last) = self.records(of: group)
        let key = Array(self.server.utf8)
        let appends = records.map {
            LogBatch.Append(topic: .audit, partition: self.partition, block: EventBlock.encode(Event(key: key, data: $0)))
        }
        self.log.submit(LogBatch(urgency: .settlement, appends: appends)) { result in
            self.chain.withLock { chain in
                switch result {
                case .success: chain.durable = last
                case .failure: chain.current = nil
                }
            }
            let outcome = result.map { _ in }
            for item in group { item.completion(outcome) }
            let next = self.queue.withLock { $0.written() }
            if next.isEmpty { self.tellIfIdle() } else { self.write(next) }
        }
    }

    private func records(of group: [AuditQueue.Item]) -> ([[UInt8]], last: AuditLink) {
        self.chain.withLock { state in
            var records: [[UInt8]] = []
            records.reserveCapacity(group.count + 1)
            // Taken out, so that it is changed where it lies.
            var chain =
                state.current.take()
                ?? AuditChain(
                    self.keys, server: self.server, chain: Hex.encode(Random.bytes(8)), after: state.durable)
            if chain.last.sequence < 0, let first = group.first { records.append(chain.start(now: first.now)) }
            for item in group {
                switch item.content {
                case .entry(let entry): records.append(chain.append(entry, now: item.now))
                case .entries(let entries): for entry in entries { records.append(chain.append(entry, now: item.now)) }
                case .anchors(let anchors): records.append(chain.anchor(anchors, now: item.now))
                }
            }
            defer { state.current = chain }
            return (records, chain.last)
        }
    }

    /// The last genuine record of this server, by reading the partition from near its end backwards.
    private static func last(
        _ log: any EventLog, _ place: TopicPartition, _ keys: AuditKeys, _ server: String
    ) throws(ApusError) -> AuditLink? {
        let bounds = try log.bounds(of: place)
        var (end, step) = (bounds.end, Offset(256))
        while end > bounds.start {
            let start = max(bounds.start, end - step)
            var found: AuditLink?
            try log.readAll(
                place, from: start, to: end, maxRecords: Int(end - start), maxBytes: Limits.recordBytes
            ) { _, block in
                if let event = try? EventBlock.decode(block.bytes), let data = event.data,
                    let record = keys.place(of: data), record.server == server
                {
                    found = record.link
                }
                return true
            }
            if let found { return found }
            (end, step) = (start, step * 4)
        }
        return nil
    }
}
