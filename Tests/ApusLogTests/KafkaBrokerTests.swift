import ApusCore
import ApusTestSupport
import CRDKafka
import Synchronization
import Testing

@testable import ApusLog

/// What the contract does not ask and only a real Kafka shows.
@Suite(.enabled(if: KafkaBroker.isThere, Comment(rawValue: KafkaBroker.skipReason))) struct KafkaBrokerTests {
    @Test func aSecondServerOfTheSameNameTakesOverAndTheFirstWritesNoMoreLedger() throws {
        let kafka = try KafkaFixture()
        defer { kafka.deleteTopics() }
        let first = try kafka.open()
        defer { first.close() }
        let entry = { (value: UInt8) in
            LogBatch(urgency: .settlement, ledger: [LogBatch.LedgerWrite(key: [7], value: [value])])
        }
        _ = try LogFixture.write(first, entry(1))
        let second = try kafka.open()
        defer { second.close() }
        #expect(second.identity == first.identity)
        #expect(try second.ledger(prefix: [7]).map(\.value) == [[1]])
        #expect(LogFixture.code { _ = try LogFixture.write(first, entry(2)) } == .conflict)
        #expect(first.status.failure != nil)
        _ = try LogFixture.write(second, entry(3))
        let third = try kafka.open()
        defer { third.close() }
        #expect(try third.ledger(prefix: [7]).map(\.value) == [[3]])
    }

    /// What waits together is sent together up to a bound; the batch that goes beyond it begins the next group.
    @Test func aGroupTakesSoManyRecordsOfNeighboursAndNoMore() throws {
        let kafka = try KafkaFixture()
        defer { kafka.deleteTopics() }
        let log = try KafkaLog(kafka.configuration, clock: LogFixture.ticking())
        defer { log.close() }
        let name = try LogFixture.topic("a")
        try log.createTopic(name, TopicConfiguration())
        let most = Limits.Log.groupRecords
        #expect(try LogFixture.timesTogether(log, name, [most - 1, 1]) == 1)
        #expect(try LogFixture.timesTogether(log, name, [most - 1, 1, 1]) == 2)
    }

    /// Behaviour 6.
    @Test func whatADeadServerLeftOpenIsUndoneAndHoldsNobodyUp() throws {
        let kafka = try KafkaFixture()
        defer { kafka.deleteTopics() }
        let name = try LogFixture.topic("a")
        let log = try kafka.open()
        try log.createTopic(name, TopicConfiguration())
        _ = try LogFixture.write(log, LogBatch(urgency: .producer, appends: [LogFixture.append(name, bytes: 1)]))
        log.close()
        // A server that dies between its records and its commit.
        let dead = KafkaTransactions(
            kafka.configuration, id: "apus.\(kafka.configuration.cluster).\(kafka.configuration.topicPrefix)node")
        try dead.takeOver()
        let producer = try dead.begin()
        let block = LogFixture.append(name, bytes: 2).block
        let layout = try EventLayout(parsing: block.span.bytes)
        let topic = try producer.client.topic(kafka.configuration.topicPrefix + "a")
        producer.begin(1)
        producer.produce(0) {
            KafkaRecord.produce(
                block, layout, by: producer.client.pointer, topic: topic, partition: 0,
                time: Timestamp(milliseconds: 1),
                opaque: 0)
        }
        producer.finish()
        #expect(producer.failure(0) == nil)
        let next = try kafka.open()
        defer { next.close() }
        #expect(try LogFixture.count(next, name) == 1)
        _ = try LogFixture.write(
            next,
            LogBatch(
                urgency: .settlement, appends: [LogFixture.append(name, bytes: 3)],
                ledger: [LogBatch.LedgerWrite(key: [1], value: [1])]))
        #expect(try LogFixture.count(next, name) == 2)
        withExtendedLifetime(producer) {}
    }

    /// Behaviour 22.
    @Test func aPartitionThatNobodyReadsIsHeldAndGoesOnWithoutLossOrRepetition() throws {
        let kafka = try KafkaFixture {
            $0.unreadBytes = 200_000
            $0.unreadRecords = 100
            $0.cacheBytes = 2_000_000
        }
        defer { kafka.deleteTopics() }
        let log = try kafka.open()
        defer { log.close() }
        let name = try LogFixture.topic("a")
        try log.createTopic(name, TopicConfiguration())
        let heard = Mutex<Offset>(0)
        let token = log.follow(name) { _, end in heard.withLock { $0 = max($0, end) } }
        defer { log.unfollow(token) }
        let total = 3_000
        for _ in 0..<total / 100 {
            let appends = (0..<100).map { _ in LogFixture.append(name, bytes: 1_000) }
            _ = try LogFixture.write(log, LogBatch(urgency: .producer, appends: appends))
        }
        try LogFixture.eventually("the hold") { log.reader.counters.holds.load(ordering: .relaxed) > 0 }
        let place = TopicPartition(name, 0)
        var next: Offset = 0
        var offsets: [Offset] = []
        while offsets.count < total {
            let end = try log.bounds(of: place).end
            guard next < end else { continue }
            next = try log.read(place, from: next, maxRecords: 50, maxBytes: .max) { offset, _ in
                offsets.append(offset)
                return true
            }
        }
        #expect(offsets == Array(0..<Offset(total)))
        try LogFixture.eventually("news of the end") { heard.withLock { $0 } == Offset(total) }
        #expect(log.cache.bytes <= 2_000_000)
    }

    @Test func aRecordOfAnyProducerIsAnEvent() throws {
        let kafka = try KafkaFixture()
        defer { kafka.deleteTopics() }
        let log = try kafka.open()
        defer { log.close() }
        let name = try LogFixture.topic("a")
        try log.createTopic(name, TopicConfiguration())
        let onKafka = kafka.configuration.topicPrefix + "a"
        let heard = Atomic<Int64>(0)
        let token = log.follow(name) { _, end in heard.store(end, ordering: .sequentiallyConsistent) }
        defer { log.unfollow(token) }
        let producer = try KafkaProducer(kafka.configuration, transactionalID: nil)
        let topic = try producer.client.topic(onKafka)
        producer.begin(1)
        producer.produce(0) {
            var key: [UInt8] = [0, 255]
            var value = Array("plain".utf8)
            let code = rd_kafka_produce(
                topic, 0, RD_KAFKA_MSG_F_COPY, &value, value.count, &key, key.count,
                UnsafeMutableRawPointer(bitPattern: 1))
            return code == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_last_error()
        }
        producer.finish()
        try LogFixture.eventually("news of it") { heard.load(ordering: .sequentiallyConsistent) == 1 }
        var event: Event?
        _ = try log.read(TopicPartition(name, 0), from: 0, maxRecords: 1, maxBytes: .max) { _, block in
            event = try? EventBlock.decode(block.bytes)
            return true
        }
        #expect(event?.key == [0, 255])
        #expect(event?.data == Array("plain".utf8))
        #expect(event?["type"] == "dev.apus.kafka.record")
        #expect(event?["id"] == "partition:0/offset:0")
        #expect(event.map { $0.timestamp.milliseconds > 1_700_000_000_000 } == true)
    }

    @Test func aTopicMadeByOthersIsFoundAndOneTheyDeletedIsGone() throws {
        let kafka = try KafkaFixture()
        defer { kafka.deleteTopics() }
        let log = try kafka.open()
        defer { log.close() }
        let onKafka = kafka.configuration.topicPrefix + "theirs"
        let name = try LogFixture.topic("theirs")
        try log.admin.create(onKafka, partitions: 2, replicas: nil, [("retention.ms", "60000")])
        try LogFixture.eventually("the topic") {
            log.refresh()
            return log.topic(name) == TopicConfiguration(partitions: 2, retentionTime: .seconds(60))
        }
        try log.admin.delete(onKafka)
        try LogFixture.eventually("its end") {
            log.refresh()
            return log.topic(name) == nil
        }
    }
}
