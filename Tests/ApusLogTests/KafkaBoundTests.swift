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
