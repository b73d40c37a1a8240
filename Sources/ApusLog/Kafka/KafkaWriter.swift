internal import ApusCore
internal import CRDKafka
internal import Glibc
internal import Synchronization

/// The thread that writes. It gathers what was submitted while the last group was on its way and sends it as one: records alone by the
/// idempotent producer, records with ledger entries in one transaction.
final class KafkaWriter: @unchecked Sendable {
    // SAFETY: what changes is the writer thread's alone once it runs, or behind a mutex; the rest is constant.

    let configuration: KafkaLogConfiguration
    let topics: KafkaTopics
    let ledger: KafkaLedger
    let reader: KafkaReader
    let keys: KafkaKeys?
    let outputs: KafkaOutputs
    private let clock: @Sendable () -> Timestamp
    private let inbox: Monitor<WriterInbox>
    private let shared = Mutex(LogStatus(roomBytes: .max, capacityBytes: .max))
    private let thread = Mutex<LogThread?>(nil)
    private let shownClients = Mutex<[KafkaClient]>([])
    var producer: KafkaProducer
    let transactions: KafkaTransactions
    /// Reads the ledger again, after the transactional producer was made anew.
    let reload: () throws(KafkaFailure) -> Void
    private let lastStamp: Mutex<Timestamp>
    private let supersededSlot = Mutex<ApusError?>(nil)

    init(
        _ configuration: KafkaLogConfiguration, topics: KafkaTopics, ledger: KafkaLedger, reader: KafkaReader,
        producer: KafkaProducer, transactions: KafkaTransactions, reload: @escaping () throws(KafkaFailure) -> Void,
        keys: KafkaKeys?, clock: @escaping @Sendable () -> Timestamp
    ) {
        self.configuration = configuration
        self.topics = topics
        self.ledger = ledger
        self.reader = reader
        self.producer = producer
        self.transactions = transactions
        self.reload = reload
        self.keys = keys
        self.outputs = KafkaOutputs(configuration)
        self.clock = clock
        self.lastStamp = Mutex(ledger.lastStamp)
        self.inbox = Monitor(WriterInbox(bytesMax: configuration.queueBytes, batchesMax: configuration.queueBatches))
    }

    func start() throws(ApusError) {
        self.showClients()
        let thread = try LogThread { [unowned self] in self.run() }
        self.thread.withLock { $0 = thread }
    }

    var status: LogStatus { self.shared.withLock { $0 } }

    // MARK: from every thread

    /// The producers as they are now: for who asks the cluster in their name.
    var clients: [KafkaClient] { self.shownClients.withLock { $0 } }

    func submit(_ submission: Submission, refusal: ApusError?) {
        self.inbox.submit(submission, refusal: refusal)
    }

    /// Waits for what is queued, then ends the thread.
    func close() {
        self.inbox.withLock { $0.isClosing = true }
        self.inbox.signal()
        self.thread.join()
    }

    // MARK: the thread

    private func run() {
        while true {
            let requests = self.inbox.take(within: Limits.Kafka.statisticsMilliseconds) { inbox -> [WriterRequest]? in
                inbox.isWriterWaiting = inbox.isEmpty && !inbox.isClosing
                return inbox.isWriterWaiting ? nil : inbox.takeAll()
            }
            self.producer.client.serve()
            self.transactions.producer?.client.serve()
            guard let requests else { continue }
            if requests.isEmpty { return }
            self.process(requests)
        }
    }

    /// Forms groups of neighbouring batches of one kind and sends each.
    private func process(_ requests: [WriterRequest]) {
        var group: [Submission] = []
        var isTransaction = false
        var fill = GroupFill()
        func flush() {
            if group.isEmpty { return }
            self.commit(group, isTransaction: isTransaction)
            self.inbox.withLock { $0.finished(group) }
            group.removeAll(keepingCapacity: true)
            fill = GroupFill()
        }
        for request in requests {
            switch request {
            case .batch(let submission):
                let needs = Self.needsTransaction(submission.batch)
                if needs != isTransaction || !fill.hasRoom(for: submission) { flush() }
                isTransaction = needs
                group.append(submission)
                fill.add(submission)
            case .refusal(let error, let completion):
                completion(.failure(error))
            case .command, .work, .discard: preconditionFailure("the writer of the log on Kafka takes batches only")
            }
        }
        flush()
    }

    /// Ledger entries belong to their records; several control records are one change. Anything else is records alone, which Kafka takes
    /// faster and without a gap in the offsets.
    private static func needsTransaction(_ batch: LogBatch) -> Bool {
        !batch.ledger.isEmpty || batch.once != nil
            || (batch.appends.count > 1 && batch.appends.contains { $0.topic.isControl })
    }

    // MARK: what the parts of the writer share

    /// The time of a group: never before that of an earlier one.
    func stamp() -> Timestamp {
        let now = self.clock()
        return self.lastStamp.withLock { last in
            last = max(last, now)
            return last
        }
    }

    /// Set when another server of the same name has taken over: nothing is written any more but what shares decide.
    var superseded: ApusError? {
        get { self.supersededSlot.withLock { $0 } }
        set { self.supersededSlot.withLock { $0 = newValue } }
    }

    func committed(records: Int) {
        self.shared.withLock { status in
            status.commits += 1
            status.records += UInt64(records)
            status.failure = nil
        }
    }

    func showClients() {
        let clients = [self.producer.client] + (self.transactions.producer.map { [$0.client] } ?? [])
        self.shownClients.withLock { $0 = clients }
    }

    /// - Returns: false when the log is closing.
    func wait(milliseconds: Int) -> Bool {
        self.inbox.take(within: milliseconds) { $0.isClosing ? true : nil } == nil
    }

    func failed(_ error: ApusError) { self.shared.withLock { $0.failure = error.description } }
}
