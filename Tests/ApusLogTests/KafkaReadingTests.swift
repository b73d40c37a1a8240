import ApusCore
import ApusTestSupport
import CRDKafka
import Synchronization
import Testing

@testable import ApusLog

/// How many consumers, reads and requests reading takes, on librdkafka's own cluster.
@Suite struct KafkaReadingTests {
    private static func partitions(_ topic: String, _ numbers: Range<Int>) throws -> [KafkaPartition] {
        let name = try LogFixture.topic(topic)
        return numbers.map { KafkaPartition(name, topic, $0, isCompacted: false) }
    }

    /// Borrows a read of each, all at one time.
    private static func borrow(
        _ catchUp: CatchUp, _ partitions: ArraySlice<KafkaPartition>, _ body: () throws(KafkaFailure) -> Void
    ) throws(KafkaFailure) {
        guard let first = partitions.first else { return try body() }
        try catchUp.with(first, from: 0) { (_) throws(KafkaFailure) in
            try Self.borrow(catchUp, partitions.dropFirst(), body)
        }
    }

    @Test func readsThatCatchUpAreBoundedAndShareOneConsumer() throws {
        let bound = Limits.Kafka.catchUpReads
        let cluster = try KafkaMockCluster(topics: ["a": bound + 1])
        let catchUp = CatchUp(cluster.configuration)
        defer { catchUp.close() }
        let partitions = try Self.partitions("a", 0..<bound + 1)
        try Self.borrow(catchUp, partitions[..<bound]) { () throws(KafkaFailure) in
            #expect(catchUp.counts == (1, bound, 0))
            #expect(throws: KafkaFailure.self) {
                try catchUp.with(partitions[bound], from: 0) { (_) throws(KafkaFailure) in }
            }
        }
        // Those that are kept make room for one that is wanted.
        #expect(catchUp.counts == (1, 0, bound))
        try catchUp.with(partitions[bound], from: 0) { (_) throws(KafkaFailure) in
            #expect(catchUp.counts == (1, 1, bound - 1))
        }
    }

    @Test func readsOfOnePartitionAtATimeTakeAConsumerEachUpToTheBound() throws {
        let cluster = try KafkaMockCluster { $0.catchUpConsumers = 3 }
        let catchUp = CatchUp(cluster.configuration)
        defer { catchUp.close() }
        let partition = try Self.partitions("a", 0..<1)[0]
        let three = [partition, partition, partition]
        try Self.borrow(catchUp, three[...]) { () throws(KafkaFailure) in
            #expect(catchUp.counts == (3, 3, 0))
            do throws(KafkaFailure) {
                try catchUp.with(partition, from: 0) { (_) throws(KafkaFailure) in }
                Issue.record("a fourth consumer was made")
            } catch { #expect(error.code == RD_KAFKA_RESP_ERR__QUEUE_FULL) }
        }
        try Self.borrow(catchUp, three[...]) { () throws(KafkaFailure) in #expect(catchUp.counts == (3, 3, 0)) }
    }

    /// Readers of one partition that stand at different places do not move each other about, up to a bound of those that are kept.
    @Test func readersOfOnePartitionKeepTheirPlaces() throws {
        let cluster = try KafkaMockCluster()
        let catchUp = CatchUp(cluster.configuration)
        defer { catchUp.close() }
        let partition = try Self.partitions("a", 0..<1)[0]
        func read(_ start: Offset) throws -> ObjectIdentifier {
            try catchUp.with(partition, from: start) { (read) throws(KafkaFailure) in ObjectIdentifier(read) }
        }
        let bound = Limits.Kafka.catchUpReadsOfPartition
        let first = try (0..<bound).map { try read(Offset($0 * 1_000)) }
        #expect(Set(first).count == bound && catchUp.counts == (bound, 0, bound))
        for _ in 0..<3 { #expect(try (0..<bound).map { try read(Offset($0 * 1_000)) } == first) }
        // One more takes the place of the one that nobody went on with for longest.
        #expect(try read(77) == first[0])
        #expect(catchUp.counts == (bound, 0, bound))
        #expect(try read(1_000) == first[1])
    }

    @Test func aReadThatNobodyGoesOnWithIsGivenUp() throws {
        let cluster = try KafkaMockCluster()
        let catchUp = CatchUp(cluster.configuration)
        defer { catchUp.close() }
        let partition = try Self.partitions("a", 0..<1)[0]
        let before = LogWriter.monotonicMilliseconds()
        try catchUp.with(partition, from: 0) { (_) throws(KafkaFailure) in }
        let after = LogWriter.monotonicMilliseconds()
        catchUp.look(now: before + Limits.Kafka.idleReadMilliseconds)
        #expect(catchUp.counts == (1, 0, 1))
        catchUp.look(now: after + Limits.Kafka.idleReadMilliseconds + 1)
        #expect(catchUp.counts == (1, 0, 0))
    }

    // MARK: what is followed

    /// What librdkafka said of one client, in order: when, and how many fetches it had sent.
    private final class Statistics: Sendable {
        private let all = Mutex<[(microseconds: Int, fetches: Int, json: String)]>([])

        func add(_ json: String) {
            let sample = (Self.number(after: "\"ts\":", in: json), Self.number(after: "\"Fetch\":", in: json), json)
            self.all.withLock { $0.append(sample) }
        }

        var count: Int { self.all.withLock { $0.count } }
        var last: (microseconds: Int, fetches: Int, json: String) { self.all.withLock { $0[$0.count - 1] } }

        /// The sum of a number that comes once for each broker, and of which there is one.
        private static func number(after name: String, in json: String) -> Int {
            json.split(separator: name).dropFirst().reduce(0) { sum, rest in
                let text = rest.drop { $0 == " " }.prefix { $0.isNumber }
                return max(sum, Int(text) ?? 0)
            }
        }
    }

    @Test func neitherConsumersNorFetchesGrowWithTheFunctionsAndTopics() throws {
        let names = (0..<200).map { "topic-\($0)" }
        let statistics = Statistics()
        let cluster = try KafkaMockCluster(topics: Dictionary(uniqueKeysWithValues: names.map { ($0, 1) })) {
            $0.properties = ["statistics.interval.ms": "200"]
            $0.observer = KafkaObserver(statistics: { client, json in
                if client.hasSuffix("-reader") { statistics.add(json) }
            })
        }
        let catchUp = CatchUp(cluster.configuration)
        defer { catchUp.close() }
        let followers = Followers()
        let reader = try KafkaReader(
            cluster.configuration, RecordCache(bytesMax: 1 << 20), followers, catchUp)
        try reader.start()
        defer { reader.close() }
        let topics = try names.map { name in
            KafkaTopic(
                try LogFixture.topic(name), onKafka: name, TopicConfiguration(), isOwn: false, keeping: [])
        }
        // 1 000 functions: five on each topic.
        for topic in topics { for _ in 0..<5 { reader.follow(topic) } }
        try LogFixture.eventually("that all are followed") {
            topics.allSatisfy { $0.partitions.allSatisfy(\.isFollowed) }
        }
        let first = statistics.count
        try LogFixture.eventually("statistics") { statistics.count > first }
        let before = statistics.last
        try LogFixture.eventually("more statistics") { statistics.count > first + 5 }
        let after = statistics.last
        // One fetch at a time asks for all partitions of a broker and waits for news of any of them.
        let passed = (after.microseconds - before.microseconds) / 1_000
        #expect(after.fetches > before.fetches)
        #expect(after.fetches - before.fetches <= passed / Limits.Kafka.newsMilliseconds + 2)
        // The reader is in no group: nothing that is deployed can move what it reads.
        #expect(!after.json.contains("\"cgrp\""))
        #expect(catchUp.counts.consumers == 0)
    }
}
