internal import ApusCore
internal import CRDKafka
internal import Synchronization

/// This node's part in the work of one class: what waits to be written, by share.
final class SharedClass: PartitionOwner {
    private struct Inbox {
        /// Nil while the share is not worked here.
        var term: UInt64?
        var waiting: Deque<Submission> = Deque()
        var bytes = 0
    }

    let workClass: WorkClass
    private let writer: KafkaWriter
    private let board: ShareBoard
    private let ledgerPartitions: [KafkaPartition]
    private let loadLedger: @Sendable (KafkaPartition) throws(KafkaFailure) -> Void
    private let inboxes: [Mutex<Inbox>.Box]
    private let clients = Mutex<[Int: KafkaClient]>([:])
    private let ownedSlot = Mutex<OwnedPartitions?>(nil)

    init(
        _ workClass: WorkClass, _ writer: KafkaWriter, _ board: ShareBoard, ledger: [KafkaPartition],
        load: @escaping @Sendable (KafkaPartition) throws(KafkaFailure) -> Void
    ) {
        self.workClass = workClass
        self.writer = writer
        self.board = board
        self.ledgerPartitions = ledger
        self.loadLedger = load
        self.inboxes = (0..<Share.count).map { _ in Mutex<Inbox>.Box(Inbox()) }
    }

    func attach(_ owned: OwnedPartitions) { self.ownedSlot.withLock { $0 = owned } }
    func start() throws(ApusError) { try self.owned?.start() }

    func close() {
        let owned = self.ownedSlot.withLock { owned in
            defer { owned = nil }
            return owned
        }
        owned?.close()
    }

    private var owned: OwnedPartitions? { self.ownedSlot.withLock { $0 } }

    // MARK: from every thread

    func submit(_ submission: Submission, _ term: ShareTerm) {
        let number = term.share.number
        let refusal = self.inboxes[number].mutex.withLock { inbox -> ApusError? in
            guard inbox.term == term.term else {
                return ApusError(.conflict, "another node does the work of the share \(term.share)")
            }
            let isFull =
                inbox.waiting.count >= self.writer.configuration.queueBatches
                || inbox.bytes + submission.bytes > self.writer.configuration.queueBytes
            if isFull, !inbox.waiting.isEmpty {
                return ApusError(.overloaded, "too much waits to be written of the share \(term.share)")
            }
            inbox.waiting.append(submission)
            inbox.bytes += submission.bytes
            return nil
        }
        if let refusal { return submission.completion(.failure(refusal)) }
        self.owned?.wake(number)
    }

    func drained(_ number: Int) { self.owned?.drained(number) }

    /// The producers of what is owned, for who asks the cluster in their name.
    var producers: [KafkaClient] { self.clients.withLock { Array($0.values) } }

    var shares: [ShareStatus] {
        (self.owned?.states ?? []).enumerated().compactMap { number, state in
            let shown: ShareStatus.State? =
                switch state {
                case .notOwned: nil
                case .initialising: .initialising
                case .reading: .reading
                case .working: .working
                case .draining: .draining
                case .waiting: .waiting
                }
            return shown.map { ShareStatus(Share(self.workClass, number), $0) }
        }
    }

    // MARK: on the share's thread

    func load(_ partition: Int, _ transactions: KafkaTransactions) throws(KafkaFailure) {
        try self.loadLedger(self.ledgerPartitions[partition])
        if let client = transactions.producer?.client { self.clients.withLock { $0[partition] = client } }
    }

    func work(_ partition: Int, _ transactions: KafkaTransactions) throws(KafkaTransactions.Trouble) {
        while true {
            let group = self.take(partition)
            if group.isEmpty { return }
            try self.writer.commit(group, of: Share(self.workClass, partition), in: transactions)
        }
    }

    /// What goes into one transaction.
    private func take(_ partition: Int) -> [Submission] {
        self.inboxes[partition].mutex.withLock { inbox in
            var group: [Submission] = []
            var (bytes, records) = (0, 0)
            while let next = inbox.waiting.first {
                let writes = next.batch.appends.count + next.batch.ledger.count
                guard
                    group.isEmpty
                        || (bytes + next.bytes <= Limits.Log.groupBytes && records + writes <= Limits.Log.groupRecords)
                else { break }
                _ = inbox.waiting.popFirst()
                inbox.bytes -= next.bytes
                bytes += next.bytes
                records += writes
                group.append(next)
            }
            return group
        }
    }

    // MARK: on the group's thread

    func working(_ partition: Int, term: UInt64) {
        self.inboxes[partition].mutex.withLock { $0.term = term }
        self.board.working(ShareTerm(Share(self.workClass, partition), term: term))
    }

    func draining(_ partition: Int, until: Timestamp) {
        if self.board.draining(Share(self.workClass, partition)) { self.drained(partition) }
    }

    func stopped(_ partition: Int) {
        let left = self.inboxes[partition].mutex.withLock { inbox in
            defer { inbox = Inbox() }
            return inbox.waiting
        }
        self.clients.withLock { _ = $0.removeValue(forKey: partition) }
        let share = Share(self.workClass, partition)
        self.board.stopped(share)
        for index in 0..<left.count {
            left[index].completion(
                .failure(ApusError(.conflict, "another node does the work of the share \(share)")))
        }
    }
}

extension Mutex where Value: ~Copyable {
    /// One in an array.
    final class Box: Sendable {
        let mutex: Mutex<Value>
        init(_ value: consuming sending Value) { self.mutex = Mutex(value) }
    }
}
