import ApusCore
import ApusTestSupport
import CRDKafka
import Synchronization
import Testing

@testable import ApusLog

/// What callbacks tell a test, from any thread.
private final class Box<Content: Sendable>: Sendable {
    private let content: Mutex<Content>
    init(_ content: Content) { self.content = Mutex(content) }
    func value<Value: Sendable>(_ body: (inout Content) -> Value) -> Value { self.content.withLock { body(&$0) } }
}

/// Waits and retries on Kafka at their bounds, with the faults of librdkafka's own cluster.
@Suite struct KafkaBoundTests {
    /// Kafka's numbers of requests.
    private enum Request {
        static let produce: Int16 = 0
        static let heartbeat: Int16 = 12
        static let endTransaction: Int16 = 26
    }

    private static func fail(_ cluster: KafkaMockCluster, _ request: Int16, _ code: rd_kafka_resp_err_t, _ count: Int) {
        cluster.fail(request, Array(repeating: code, count: count))
    }

    /// A transaction with one record, whose commit is refused so often.
    private static func commit(refused count: Int, within milliseconds: Int64) throws -> (
        KafkaTransactions.Outcome, KafkaTransactions
    ) {
        let cluster = try KafkaMockCluster()
        let transactions = KafkaTransactions(
            cluster.configuration, id: "share", outcomeMilliseconds: milliseconds)
        try transactions.takeOver()
        let producer = try transactions.begin()
        producer.begin(1)
        producer.produce(0, key: [1], value: [2], topic: "a", partition: 0, .zero)
        producer.finish()
        #expect(producer.failure(0) == nil)
        Self.fail(cluster, Request.endTransaction, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, count)
        let outcome = transactions.commit()
        withExtendedLifetime(cluster) {}
        return (outcome, transactions)
    }

    @Test func theOutcomeOfATransactionIsWaitedForSoLongAndThenUnknown() throws {
        let (late, spent) = try Self.commit(refused: 1_000_000, within: 300)
        guard case .unknown = late else {
            Issue.record("\(late)")
            return
        }
        // The next producer decides it.
        #expect(spent.producer == nil)
        let (outcome, transactions) = try Self.commit(refused: 2, within: Limits.Kafka.outcomeMilliseconds)
        guard case .committed = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(transactions.producer != nil)
    }

    /// Of several nodes one names the log: a node in whose way others always are gives up after its attempts.
    @Test func aNodeTriesSoOftenToNameTheLogAndNoMore() throws {
        let attempts = Limits.Kafka.identityAttempts
        for failures in [attempts - 1, attempts] {
            let cluster = try KafkaMockCluster(topics: [KafkaLedger.name: Limits.Kafka.ledgerPartitions]) {
                $0.sharing = KafkaLogConfiguration.Sharing(node: "node")
            }
            let catchUp = CatchUp(cluster.configuration)
            defer { catchUp.close() }
            let topic = try #require(TopicName(onLog: "ledger"))
            let partitions = (0..<Limits.Kafka.ledgerPartitions).map {
                KafkaPartition(topic, KafkaLedger.name, $0, isCompacted: true)
            }
            let client = try KafkaClient(cluster.configuration, .admin, name: "admin")
            Self.fail(cluster, Request.produce, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, failures)
            let named = Result { () throws(KafkaFailure) in
                try KafkaLog.identify(cluster.configuration, KafkaLedger(), partitions, catchUp, client)
            }
            switch named {
            case .success(let identity): #expect(failures < attempts && identity > 0)
            case .failure(let failure): #expect(failures == attempts && failure.code == RD_KAFKA_RESP_ERR__TIMED_OUT)
            }
        }
    }

    /// A writer without its thread: what is written runs on the caller's.
    private static func writer(_ cluster: KafkaMockCluster) throws -> (KafkaWriter, KafkaTransactions) {
        let configuration = cluster.configuration
        let (topics, catchUp) = (KafkaTopics(), CatchUp(configuration))
        topics.set(
            KafkaTopic(try LogFixture.topic("a"), onKafka: "a", TopicConfiguration(), isOwn: false, keeping: []))
        let reader = try KafkaReader(configuration, RecordCache(bytesMax: 1 << 20), Followers(), catchUp)
        let transactions = KafkaTransactions(configuration, id: "writer")
        try transactions.takeOver()
        let writer = KafkaWriter(
            configuration, topics: topics, ledger: KafkaLedger(), reader: reader,
            producer: try KafkaProducer(configuration, transactionalID: nil), transactions: transactions, reload: {},
            keys: nil, clock: { Timestamp(milliseconds: 1) })
        return (writer, transactions)
    }

    /// A record and an entry that take effect together, whose transactions are undone so often: how that ends, and how often it was tried.
    private static func transact(
        undone count: Int, _ write: (KafkaWriter, KafkaTransactions, Submission) throws -> Void
    ) throws -> (Result<LogReceipt, ApusError>?, attempts: Int) {
        let cluster = try KafkaMockCluster(topics: ["a": 1, KafkaLedger.name: Limits.Kafka.ledgerPartitions])
        let (writer, transactions) = try Self.writer(cluster)
        // Each commit is refused, and what follows it undoes the transaction.
        cluster.fail(
            Request.endTransaction,
            (0..<count).flatMap { _ in [RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_NO_ERROR] })
        let answers = Box<[Result<LogReceipt, ApusError>]>([])
        var append = LogFixture.append(try LogFixture.topic("a"), bytes: 1)
        append.outputs = .transaction
        let batch = LogBatch(
            urgency: .settlement, appends: [append],
            ledger: [
                LogBatch.LedgerWrite(key: [9], value: [1], share: Share(.cpu, 3), outputs: .transaction)
            ])
        let submission = Submission(batch) { answer in answers.value { $0.append(answer) } }
        try write(writer, transactions, submission)
        let all = answers.value { $0 }
        #expect(all.count == 1, "it is answered once")
        // Each attempt sends its record; on this cluster those of undone ones are there as well.
        let end = try KafkaClient(cluster.configuration, .admin, name: "asking").bounds(of: "a", 0).end
        withExtendedLifetime(cluster) {}
        return (all.first, Int(end))
    }

    /// Both writers try a transaction that was undone again, as often as the bound says.
    @Test(arguments: [false, true]) func aTransactionThatIsUndoneIsTriedSoOftenAndNoMore(_ isShares: Bool) throws {
        func write(_ writer: KafkaWriter, _ transactions: KafkaTransactions, _ submission: Submission) throws {
            guard isShares else { return writer.commit([submission], isTransaction: true) }
            var pending = SharePending(proof: .seconds(3_600))
            pending.begin(now: KafkaWriter.now)
            try writer.commit(
                [submission], of: ShareTerm(Share(.cpu, 3), term: 1), in: transactions, &pending)
        }
        let (last, tries) = try Self.transact(undone: Limits.Kafka.renewals - 1, write)
        #expect(throws: Never.self) { _ = try #require(last).get() }
        #expect(tries == Limits.Kafka.renewals)
        let (none, most) = try Self.transact(undone: Limits.Kafka.renewals, write)
        #expect(throws: ApusError.self) { _ = try #require(none).get() }
        #expect(most == Limits.Kafka.renewals)
    }

    /// Holds up the writing of what waits until the test lets it go on, and says what happened in what order.
    private final class SlowOwner: PartitionOwner {
        enum Happening: Equatable { case flushing, flushed, stopped }
        let happened = Box<[Happening]>([])
        let stoppedAt = Box<Int64?>(nil)
        let mayEnd = Monitor(false)
        let isWorking = Box(false)

        func load(_ partition: Int, _ transactions: KafkaTransactions) throws(KafkaFailure) {}
        func work(_ partition: Int, _ transactions: KafkaTransactions) throws(KafkaTransactions.Trouble) {}
        func flush(_ partition: Int, _ transactions: KafkaTransactions) throws(KafkaTransactions.Trouble) {
            self.happened.value { $0.append(.flushing) }
            _ = self.mayEnd.take(within: 60_000) { $0 ? true : nil }
            self.happened.value { $0.append(.flushed) }
        }
        func working(_ partition: Int, term: UInt64) { self.isWorking.value { $0 = true } }
        func draining(_ partition: Int, until: Timestamp) {}
        func stopped(_ partition: Int) {
            self.stoppedAt.value { $0 = LogWriter.monotonicMilliseconds() }
            self.happened.value { $0.append(.stopped) }
        }

        func letGo() {
            self.mayEnd.withLock { $0 = true }
            self.mayEnd.signal()
        }
    }

    /// The end waits until what is owned has written what waits, and lets go of what takes longer than its bound.
    @Test(arguments: [false, true]) func theEndWaitsSoLongForWhatIsToBeWrittenAndNoLonger(_ isLong: Bool) throws {
        let cluster = try KafkaMockCluster(topics: ["shares": 1])
        let owner = SlowOwner()
        let owned = try OwnedPartitions(
            cluster.configuration,
            KafkaGroup.Membership(group: "group", topic: "shares", node: "node", sessionMilliseconds: 60_000),
            partitions: 1, owner: owner, clock: { Timestamp(milliseconds: LogWriter.monotonicMilliseconds()) }
        ) { "share.\($0)" }
        try owned.start()
        try LogFixture.eventually("it is worked", seconds: 60) { owner.isWorking.value { $0 } }
        let began = LogWriter.monotonicMilliseconds()
        let end = try LogThread { owned.close() }
        try LogFixture.eventually("it writes what waits", seconds: 30) { owner.happened.value { $0 } == [.flushing] }
        if isLong {
            try LogFixture.eventually("it is let go", seconds: 60) { owner.happened.value { $0.contains(.stopped) } }
            owner.letGo()
            end.join()
            #expect(owner.happened.value { $0 } == [.flushing, .stopped, .flushed])
            #expect((owner.stoppedAt.value { $0 } ?? 0) - began >= Int64(Limits.Kafka.flushMilliseconds))
        } else {
            owner.letGo()
            end.join()
            #expect(owner.happened.value { $0 } == [.flushing, .flushed, .stopped])
        }
    }

    /// Who is told that another has its name does not fight for it: it begins again after its wait.
    @Test func aMemberThatFailedForGoodBeginsAgainAfterItsWait() throws {
        struct Heard: Sendable {
            var assigned = 0
            var lostAt: Int64?
        }
        let cluster = try KafkaMockCluster(topics: ["shares": 4])
        let box = Box(Heard())
        let group = try KafkaGroup(
            cluster.configuration,
            KafkaGroup.Membership(group: "group", topic: "shares", node: "node", sessionMilliseconds: 6_000),
            KafkaGroup.Callbacks(
                assigned: { _ in box.value { $0.assigned += 1 } }, revoked: { _ in },
                lost: { _ in box.value { $0.lostAt = LogWriter.monotonicMilliseconds() } }, tick: {}))
        try group.start()
        defer { group.close() }
        try LogFixture.eventually("it has its part", seconds: 30) { box.value { $0.assigned } == 1 }
        Self.fail(cluster, Request.heartbeat, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, 1)
        try LogFixture.eventually("it has lost it", seconds: 30) { box.value { $0.lostAt } != nil }
        try LogFixture.eventually("it has a part again", seconds: 60) { box.value { $0.assigned } >= 2 }
        let waited = LogWriter.monotonicMilliseconds() - (box.value { $0.lostAt } ?? 0)
        #expect(waited >= Limits.Kafka.rejoinMilliseconds)
    }
}
