internal import ApusCore
internal import CRDKafka
internal import Synchronization

/// This node's part in the work of one class: what waits to be written, by share.
final class SharedClass: PartitionOwner {
    let workClass: WorkClass
    private let writer: KafkaWriter
    private let board: ShareBoard
    private let ledgerPartitions: [KafkaPartition]
    private let loadLedger: @Sendable (KafkaPartition) throws(KafkaFailure) -> Void
    private let inboxes: [LockedInbox]
    private let clients = Mutex<[Int: KafkaClient]>([:])
    private let ownedSlot = Mutex<OwnedPartitions?>(nil)
    /// Each is its share's thread's alone.
    private let pendings: [PendingBox]

    init(
        _ workClass: WorkClass, _ writer: KafkaWriter, _ board: ShareBoard, ledger: [KafkaPartition],
        load: @escaping @Sendable (KafkaPartition) throws(KafkaFailure) -> Void
    ) {
        self.workClass = workClass
        self.writer = writer
        self.board = board
        self.ledgerPartitions = ledger
        self.loadLedger = load
        let (bytes, batches) = (writer.configuration.queueBytes, writer.configuration.queueBatches)
        let sharing = writer.configuration.sharing
        let delay = TimeSpan.milliseconds(sharing?.ledgerMilliseconds ?? Limits.Kafka.ledgerMilliseconds)
        self.pendings = (0..<Share.count).map { _ in
            PendingBox(SharePending(delay: delay, proof: sharing?.proof ?? .zero))
        }
        self.inboxes = (0..<Share.count).map { _ in LockedInbox(ShareInbox(bytesMax: bytes, batchesMax: batches)) }
    }

    func attach(_ owned: OwnedPartitions) { self.ownedSlot.withLock { $0 = owned } }
    func start() throws(ApusError) { try self.owned?.start() }

    func close() {
        let owned = self.ownedSlot.withLock { owned in
            defer { owned = nil }
            return owned
        }
        // Those that could not be written lately wait to begin anew, and have what they could not write.
        let own = (owned?.states ?? []).enumerated().filter { $0.element != .notOwned }.map(\.offset)
        owned?.close()
        // Their threads have ended.
        for number in own where !self.pendings[number].content.isEmpty {
            let pending = self.pendings[number].content
            self.writer.configuration.observer.log(
                3, "\(self.workClass)",
                "the share \(Share(self.workClass, number)) ends with \(pending.entries.count + (pending.underWay?.count ?? 0)) "
                    + "positions that Kafka did not take: what was replied since they were written last runs again")
        }
    }

    private var owned: OwnedPartitions? { self.ownedSlot.withLock { $0 } }

    // MARK: from every thread

    func submit(_ submission: Submission, _ term: ShareTerm) {
        let number = term.share.number
        let refusal = self.inboxes[number].content.withLock { $0.add(submission, term) }
        if let refusal { return submission.completion(.failure(refusal)) }
        self.owned?.wake(number)
    }

    func isWorked(_ number: Int) -> Bool { self.inboxes[number].content.withLock { $0.term != nil } }

    /// Nothing of it runs here any more: what waits for the ledger is written, then it is let go.
    func drained(_ number: Int) {
        guard let owned = self.owned else { return }
        owned.flush(number) { [weak owned] in owned?.drained(number) }
    }

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
            guard let shown else { return nil }
            return ShareStatus(Share(self.workClass, number), shown, since: self.owned?.since(number) ?? .zero)
        }
    }

    var terms: UInt64 { self.owned?.terms ?? 0 }

    // MARK: on the share's thread

    func load(_ partition: Int, _ transactions: KafkaTransactions) throws(KafkaFailure) {
        try self.loadLedger(self.ledgerPartitions[partition])
        self.pendings[partition].content.begin(now: KafkaWriter.now)
        if let client = transactions.producer?.client { self.clients.withLock { $0[partition] = client } }
    }

    func work(_ partition: Int, _ transactions: KafkaTransactions) throws(KafkaTransactions.Trouble) {
        let share = Share(self.workClass, partition)
        while true {
            let (term, group) = self.inboxes[partition].content.withLock { ($0.term, $0.takeGroup()) }
            if let term, !group.isEmpty {
                try self.writer.commit(
                    group, of: ShareTerm(share, term: term), in: transactions, &self.pendings[partition].content)
            }
            // Also while there is always more to do.
            if self.pendings[partition].content.isDue(now: KafkaWriter.now) {
                try self.writePending(partition, transactions)
            }
            if group.isEmpty { return }
        }
    }

    func wait(_ partition: Int) -> Int {
        guard let due = self.pendings[partition].content.due else { return Limits.Kafka.ownerTickMilliseconds }
        return max(0, Int((due - KafkaWriter.now).milliseconds))
    }

    func flush(_ partition: Int, _ transactions: KafkaTransactions) throws(KafkaTransactions.Trouble) {
        guard !self.pendings[partition].content.isEmpty else { return }
        try self.writePending(partition, transactions)
    }

    private func writePending(
        _ partition: Int, _ transactions: KafkaTransactions
    ) throws(KafkaTransactions.Trouble) {
        let share = Share(self.workClass, partition)
        do throws(KafkaTransactions.Trouble) {
            try self.writer.writeLedger(of: share, in: transactions, &self.pendings[partition].content)
        } catch {
            // What was undone is tried again; where nobody knows, the share begins anew.
            if transactions.producer == nil { throw error }
            self.writer.failed(error.failure.apusError("cannot write the ledger of the share \(share)"))
        }
    }

    // MARK: on the group's thread

    func working(_ partition: Int, term: UInt64) {
        self.writer.ledger.opens(ShareTerm(Share(self.workClass, partition), term: term))
        self.inboxes[partition].content.withLock { $0.open(term) }
        self.board.working(ShareTerm(Share(self.workClass, partition), term: term))
    }

    func draining(_ partition: Int, until: Timestamp) {
        if self.board.draining(Share(self.workClass, partition)) { self.drained(partition) }
    }

    func stopped(_ partition: Int) {
        let left = self.inboxes[partition].content.withLock { $0.close() }
        self.clients.withLock { _ = $0.removeValue(forKey: partition) }
        let share = Share(self.workClass, partition)
        self.writer.ledger.closes(share)
        self.board.stopped(share)
        for submission in left {
            submission.completion(
                .failure(ApusError(.conflict, "another node does the work of the share \(share)")))
        }
    }
}

/// One of many behind locks of their own.
private final class LockedInbox: Sendable {
    let content: Mutex<ShareInbox>
    init(_ inbox: ShareInbox) { self.content = Mutex(inbox) }
}

/// What one share's thread keeps.
private final class PendingBox: @unchecked Sendable {
    // SAFETY: touched by the one thread of its share.
    var content: SharePending
    init(_ content: SharePending) { self.content = content }
}
