internal import ApusCore
internal import ApusCrypto
internal import ApusStore
internal import ApusTools
internal import Synchronization

/// Keeps what agents did on `apus.audit`, each record bound to the one before it. Any loop may write; records take their place in
/// the chain and on the log in one order, since both are given under one lock.
final class AuditJournal: Sendable {
    /// What the next record is made with; held while it is given to the log.
    private struct Order {
        var chain: AuditChain?
        /// Lists that were written already: once a minute for each caller and list.
        var lists: Set<List> = []
        var minute: Int64 = 0
    }

    /// A list that somebody looked at.
    struct List: Hashable {
        let place: ToolPlace
        let list: ToolList
        let principal: String
    }

    /// What the log said; touched by its completions, which may come while ``Order`` is held.
    private struct Outcome {
        /// The last record that is on the log.
        var durable: AuditLink?
        /// A chain of which the log did not take a record: the next one begins another, behind the last that is there.
        var broken: String?
    }

    let keys: AuditKeys
    /// Whose records these are among those of other servers.
    let server: String
    let partition: Int
    private let log: any EventLog
    private let order = Mutex(Order())
    private let outcome: Mutex<Outcome>

    /// Reads where the last chain of this server ended. From a thread that may block.
    init(_ log: any EventLog, _ keys: MasterKeys, server: String) throws(ApusError) {
        self.log = log
        self.server = server
        self.keys = AuditKeys(keys.derived(for: "apus audit 1"))
        self.partition =
            Int(Array(server.utf8).withUnsafeBytes { Murmur2.hash($0) } & 0x7FFF_FFFF) % Limits.Audit.partitions
        let last = try Self.last(log, TopicPartition(.audit, self.partition), self.keys, server)
        self.outcome = Mutex(Outcome(durable: last))
    }

    /// Writes an entry. `completion` is called once, from the log's thread, after it is durable; until then nobody is told of what
    /// it is about.
    func note(
        _ entry: AuditEntry, now: Timestamp, _ completion: @escaping @Sendable (Result<Void, ApusError>) -> Void
    ) {
        self.order.withLock { order in
            self.submit(&order, now: now, completion) { [$0.append(entry, now: now)] }
        }
    }

    /// Writes several, all or none.
    func note(
        _ entries: [AuditEntry], now: Timestamp, _ completion: @escaping @Sendable (Result<Void, ApusError>) -> Void
    ) {
        self.order.withLock { order in
            self.submit(&order, now: now, completion) { chain in entries.map { chain.append($0, now: now) } }
        }
    }

    /// Counts a list: only the first of a caller in a minute is written. Nobody waits for it.
    func note(_ list: List, now: Timestamp, _ entry: () -> AuditEntry) {
        self.order.withLock { order in
            let minute = now.milliseconds / 60_000
            if order.minute != minute { (order.minute, order.lists) = (minute, []) }
            guard order.lists.count < Limits.Audit.listsPerMinute, order.lists.insert(list).inserted else { return }
            self.submit(&order, now: now, { _ in }) { [$0.append(entry(), now: now)] }
        }
    }

    /// That checking starts at these places from now on.
    func anchor(
        _ anchors: [AuditPlace], now: Timestamp, _ completion: @escaping @Sendable (Result<Void, ApusError>) -> Void
    ) {
        self.order.withLock { order in
            self.submit(&order, now: now, completion) { [$0.anchor(anchors, now: now)] }
        }
    }

    private func submit(
        _ order: inout Order, now: Timestamp, _ completion: @escaping @Sendable (Result<Void, ApusError>) -> Void,
        _ make: (inout AuditChain) -> [[UInt8]]
    ) {
        var records: [[UInt8]] = []
        var chain = self.chain(order)
        if chain.last.sequence < 0 { records.append(chain.start(now: now)) }
        records += make(&chain)
        order.chain = chain
        let link = chain.last
        let appends = records.map { record in
            LogBatch.Append(
                topic: .audit, partition: self.partition,
                block: EventBlock.encode(Event(key: Array(self.server.utf8), data: record)))
        }
        self.log.submit(LogBatch(urgency: .settlement, appends: appends)) { result in
            self.outcome.withLock { outcome in
                switch result {
                case .success: outcome.durable = link
                case .failure: outcome.broken = link.chain
                }
            }
            completion(result.map { _ in })
        }
    }

    /// The chain that goes on, or a new one behind what the log has.
    private func chain(_ order: Order) -> AuditChain {
        let outcome = self.outcome.withLock { $0 }
        if let chain = order.chain, chain.last.chain != outcome.broken { return chain }
        return AuditChain(self.keys, server: self.server, chain: Hex.encode(Random.bytes(8)), after: outcome.durable)
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
