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
        self.inboxes = (0..<Share.count).map { _ in LockedInbox(ShareInbox(bytesMax: bytes, batchesMax: batches)) }
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
        let refusal = self.inboxes[number].content.withLock { $0.add(submission, term) }
        if let refusal { return submission.completion(.failure(refusal)) }
        self.owned?.wake(number)
    }

    func isWorked(_ number: Int) -> Bool { self.inboxes[number].content.withLock { $0.term != nil } }

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
            guard let shown else { return nil }
            return ShareStatus(Share(self.workClass, number), shown, since: self.owned?.since(number) ?? .zero)
        }
    }

    var terms: UInt64 { self.owned?.terms ?? 0 }

    // MARK: on the share's thread

    func load(_ partition: Int, _ transactions: KafkaTransactions) throws(KafkaFailure) {
        try self.loadLedger(self.ledgerPartitions[partition])
        if let client = transactions.producer?.client { self.clients.withLock { $0[partition] = client } }
    }

    func work(_ partition: Int, _ transactions: KafkaTransactions) throws(KafkaTransactions.Trouble) {
        while true {
            let group = self.inboxes[partition].content.withLock { $0.takeGroup() }
            if group.isEmpty { return }
            try self.writer.commit(group, of: Share(self.workClass, partition), in: transactions)
        }
    }

    // MARK: on the group's thread

    func working(_ partition: Int, term: UInt64) {
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
