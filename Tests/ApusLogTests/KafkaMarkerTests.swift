import ApusCore
import ApusTestSupport
import CRDKafka
import Testing

@testable import ApusLog

/// Offsets that hold no record of anybody's: what transactions and retention leave on a real Kafka.
@Suite(.enabled(if: KafkaBroker.isThere, Comment(rawValue: KafkaBroker.skipReason))) struct KafkaMarkerTests {
    /// Reads from `start` to the end, in a bounded number of steps.
    private static func read(_ log: KafkaLog, _ place: TopicPartition, from start: Offset) throws -> (
        offsets: [Offset], next: Offset
    ) {
        let end = try log.bounds(of: place).end
        var offsets: [Offset] = []
        var next = start
        for _ in 0..<100 where next < end {
            next = try log.read(place, from: next, maxRecords: 100, maxBytes: .max) { offset, _ in
                offsets.append(offset)
                return true
            }
        }
        return (offsets, next)
    }

    /// Behaviour 5.
    @Test func aPositionPassesTheMarkerThatEndsATopicSoThatNothingLags() throws {
        let kafka = try KafkaFixture()
        defer { kafka.deleteTopics() }
        let log = try kafka.open()
        defer { log.close() }
        let name = try LogFixture.topic("a")
        try log.createTopic(name, TopicConfiguration())
        for index in 0..<3 {
            let entry = LogBatch.LedgerWrite(key: [7], value: [UInt8(index)])
            let batch = LogBatch(
                urgency: .settlement, appends: [LogFixture.append(name, bytes: 10)], ledger: [entry])
            _ = try LogFixture.write(log, batch)
        }
        let place = TopicPartition(name, 0)
        // The broker writes the last marker when it gets to it, after it has answered the commit.
        #expect(try waitUntil(seconds: 20) { try log.bounds(of: place).end == 6 })
        let end = try log.bounds(of: place).end
        let read = try Self.read(log, place, from: 0)
        #expect(read.offsets.count == 3)
        #expect(end > 3, "each transaction ends with a marker")
        #expect(read.next == end)
        let last = try #require(read.offsets.last)
        #expect(try Self.read(log, place, from: last + 1).next == end, "also from behind the last record")
    }

    /// Behaviour 6.
    @Test func whatWasAbortedIsNeverReadAndPositionsPassIt() throws {
        let kafka = try KafkaFixture()
        defer { kafka.deleteTopics() }
        let log = try kafka.open()
        let name = try LogFixture.topic("a")
        try log.createTopic(name, TopicConfiguration())
        log.close()
        let transactions = KafkaTransactions(
            kafka.configuration, id: "apus.\(kafka.configuration.cluster).\(kafka.configuration.topicPrefix)node")
        try transactions.takeOver()
        for bytes in [1, 2, 3] {
            let producer = try transactions.begin()
            let block = LogFixture.append(name, bytes: bytes).block
            let layout = try EventLayout(parsing: block.span.bytes)
            let topic = try producer.client.topic(kafka.configuration.topicPrefix + "a")
            producer.begin(1)
            producer.produce(0) {
                KafkaRecord.produce(
                    block, layout, by: producer.client.pointer, topic: topic, partition: 0,
                    time: Timestamp(milliseconds: 1), opaque: 0)
            }
            producer.finish()
            #expect(producer.failure(0) == nil, "it is on the log")
            guard bytes != 2 else {
                if case .committed = transactions.commit() { continue }
                Issue.record("the commit failed")
                return
            }
            let why = KafkaFailure(RD_KAFKA_RESP_ERR__FAIL, "test")
            guard case .aborted = transactions.abort(because: why) else {
                Issue.record("the abort failed")
                return
            }
        }
        let next = try kafka.open()
        defer { next.close() }
        let place = TopicPartition(name, 0)
        let read = try Self.read(next, place, from: 0)
        #expect(read.offsets == [2], "a record and a marker before it, a marker, a record and a marker after it")
        #expect(read.next == 6)
        #expect(try next.bounds(of: place).end == 6)
    }

    /// Behaviour 8.
    @Test func aPositionThatRetentionPassedGoesOnAtTheFirstRecordThereIs() throws {
        let kafka = try KafkaFixture()
        defer { kafka.deleteTopics() }
        let log = try kafka.open()
        let name = try LogFixture.topic("a")
        try log.createTopic(name, TopicConfiguration())
        let appends = (0..<10).map { _ in LogFixture.append(name, bytes: 10) }
        _ = try LogFixture.write(log, LogBatch(urgency: .producer, appends: appends))
        log.close()
        try log.admin.deleteRecords(before: [(kafka.configuration.topicPrefix + "a", 0, 6)])
        let next = try kafka.open()
        defer { next.close() }
        let place = TopicPartition(name, 0)
        #expect(try next.bounds(of: place) == OffsetBounds(start: 6, end: 10), "what the engine counts as lost")
        let read = try Self.read(next, place, from: 2)
        #expect(read.offsets == [6, 7, 8, 9])
        #expect(read.next == 10)
    }

    @Test func aTopicOfOursThatSomebodyChangedIsNamedUntilItIsSetBack() throws {
        let kafka = try KafkaFixture()
        defer { kafka.deleteTopics() }
        let log = try kafka.open()
        defer { log.close() }
        let name = try LogFixture.topic("a")
        try log.createTopic(name, TopicConfiguration())
        let onKafka = kafka.configuration.topicPrefix + "a"
        #expect(log.status.differences == [])
        let settings = KafkaSettings.of(TopicConfiguration(), tombstones: kafka.configuration.tombstoneTime)
        let changed = settings.map { $0.0 == "max.message.bytes" ? ($0.0, "1000") : $0 }
        try log.admin.alter(onKafka, changed)
        try LogFixture.eventually("the difference") {
            log.refresh()
            return log.status.differences.contains { $0.contains(onKafka) && $0.contains("max.message.bytes is 1000") }
        }
        try log.admin.alter(onKafka, settings)
        try LogFixture.eventually("its end") {
            log.refresh()
            return log.status.differences.isEmpty
        }
    }
}
