import ApusCore
import CRDKafka
import ApusTestSupport
import Synchronization
import Testing

@testable import ApusLog

/// Members of one group on a real Kafka.
@Suite(.serialized, .enabled(if: KafkaBroker.isThere, Comment(rawValue: KafkaBroker.skipReason)))
struct OwnedPartitionsTests {
    /// Counts what each node decided.
    private final class Worker: PartitionOwner {
        struct Content {
            var working: Set<Int> = []
            var draining: Set<Int> = []
            var loads = 0
            var commits = 0
        }

        let content = Mutex(Content())
        let topic: String
        let owned = Mutex<OwnedPartitions?>(nil)

        init(topic: String) { self.topic = topic }

        func load(_ partition: Int, _ transactions: KafkaTransactions) throws(KafkaFailure) {
            self.content.withLock { $0.loads += 1 }
        }

        func work(_ partition: Int, _ transactions: KafkaTransactions) throws(KafkaTransactions.Trouble) {
            let producer = try transactions.begin()
            producer.begin(1)
            producer.produce(0, key: [1], value: [1], topic: self.topic, partition: partition, .zero)
            producer.finish()
            if let failure = producer.failure(0) { throw transactions.abort(because: failure) }
            guard case .committed = transactions.commit() else {
                throw .fenced(KafkaFailure(RD_KAFKA_RESP_ERR__FENCED, "commit"))
            }
            self.content.withLock { $0.commits += 1 }
        }

        func working(_ partition: Int, term: UInt64) { self.content.withLock { _ = $0.working.insert(partition) } }
        func draining(_ partition: Int, until: Timestamp) {
            self.content.withLock { _ = $0.draining.insert(partition) }
            self.owned.withLock { $0 }?.drained(partition)
        }
        func stopped(_ partition: Int) { self.content.withLock { _ = $0.working.remove(partition) } }

        var working: Set<Int> { self.content.withLock { $0.working } }
    }

    private struct Site {
        let kafka: KafkaFixture
        let topic: String

        init() throws {
            self.kafka = try KafkaFixture()
            self.topic = self.kafka.configuration.topicPrefix + "apus.shares.cpu"
            let admin = KafkaAdmin(client: try KafkaClient(self.kafka.configuration, .admin, name: "maker"))
            try admin.create(self.topic, partitions: 4, replicas: nil, [])
            try KafkaSettling.wait(for: self.topic, partitions: 4, [admin.client])
        }

        func node(_ name: String) throws -> (OwnedPartitions, Worker) {
            let worker = Worker(topic: self.topic)
            let cluster = self.kafka.configuration.cluster
            let owned = try OwnedPartitions(
                self.kafka.configuration,
                KafkaGroup.Membership(
                    group: "apus.\(cluster).cpu", topic: self.topic, node: name, sessionMilliseconds: 6_000),
                partitions: 4, owner: worker,
                clock: { Timestamp(milliseconds: LogWriter.monotonicMilliseconds()) }
            ) { "apus.\(cluster).cpu.\($0)" }
            worker.owned.withLock { $0 = owned }
            try owned.start()
            return (owned, worker)
        }
    }

    /// Behaviour 26: a member that joins takes its part, and what stays where it was is not interrupted.
    @Test func nodesDivideWhatThereIsAndTheOneThatIsLeftTakesTheRest() throws {
        let site = try Site()
        defer { site.kafka.deleteTopics() }
        let (first, one) = try site.node("one")
        defer { first.close() }
        #expect(waitUntil(seconds: 20) { one.working.count == 4 }, "\(first.states)")
        let (second, two) = try site.node("two")
        #expect(waitUntil(seconds: 20) { one.working.count == 2 && two.working.count == 2 }, "\(first.states)")
        #expect(one.working.isDisjoint(with: two.working))
        #expect(one.content.withLock { $0.draining } == two.working)
        #expect(one.content.withLock { $0.loads } == 4)
        let kept = one.working
        let before = one.content.withLock { $0.commits }
        for partition in kept { first.wake(partition) }
        #expect(waitUntil(seconds: 10) { one.content.withLock { $0.commits } >= before + kept.count })

        // It says no farewell: the group hears nothing of it for a session.
        second.close()
        #expect(two.working.isEmpty)
        #expect(waitUntil(seconds: 6 + 15) { one.working.count == 4 }, "\(first.states)")
    }

    /// Who has the id last decides, whatever the group told the other: that one begins anew, and works when it may.
    @Test func whoeverElseTakesTheIdStopsTheOwnerUntilItHasItAgain() throws {
        let site = try Site()
        defer { site.kafka.deleteTopics() }
        let (first, one) = try site.node("one")
        defer { first.close() }
        #expect(waitUntil(seconds: 20) { one.working.count == 4 }, "\(first.states)")
        let other = KafkaTransactions(
            site.kafka.configuration, id: "apus.\(site.kafka.configuration.cluster).cpu.2")
        try other.takeOver()
        // It looks for itself now and then.
        #expect(waitUntil(seconds: 20) { one.content.withLock { $0.loads } == 5 && one.working.count == 4 })
        #expect(throws: KafkaTransactions.Trouble.self) {
            let outsider = Worker(topic: site.topic)
            try outsider.work(2, other)
        }
    }
}
