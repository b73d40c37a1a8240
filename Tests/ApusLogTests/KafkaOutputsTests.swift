import ApusCore
import ApusTestSupport
import CRDKafka
import Synchronization
import Testing

@testable import ApusLog

/// Outputs that go before their ledger, on a real Kafka.
@Suite(.serialized, .enabled(if: KafkaBroker.isThere, Comment(rawValue: KafkaBroker.skipReason)))
struct KafkaOutputsTests {
    private static let key: [UInt8] = [7, 7]

    private struct Site {
        let kafka: KafkaFixture
        let share = Share(.cpu, 3)
        let topic: TopicName

        init() throws {
            self.kafka = try KafkaFixture {
                $0.sharing = KafkaLogConfiguration.Sharing(node: "node", sessionMilliseconds: 6_000)
                $0.observer = KafkaObserver(log: { level, client, text in
                    if level <= 4 { print("\(client): \(text)") }
                })
            }
            self.topic = try LogFixture.topic("replies")
        }

        func open() throws -> KafkaLog {
            // One that runs: a share that was lost begins anew after a while.
            let log = try KafkaLog(self.kafka.configuration) {
                Timestamp(milliseconds: LogWriter.monotonicMilliseconds())
            }
            if log.topic(self.topic) == nil { try log.createTopic(self.topic, TopicConfiguration()) }
            return log
        }

        /// Waits until the share is worked in a term that is not the one before.
        func term(_ log: KafkaLog, after before: UInt64 = 0) throws -> ShareTerm {
            let found = Mutex<UInt64>(0)
            let watch = try #require(log.sharing).watch { [share = self.share] change in
                if case .working(let term) = change, term.share == share { found.withLock { $0 = term.term } }
            }
            defer { log.sharing?.unwatch(watch) }
            try LogFixture.eventually("the share is worked after term \(before)", seconds: 40) {
                found.withLock { $0 } > before
            }
            return ShareTerm(self.share, term: found.withLock { $0 })
        }

        func batch(_ value: UInt8, _ term: ShareTerm, _ outputs: LogBatch.Outputs...) -> LogBatch {
            LogBatch(
                urgency: .settlement,
                appends: outputs.map {
                    LogBatch.Append(
                        topic: self.topic, block: EventBlock.encode(Event(key: [value], data: [value])), outputs: $0)
                },
                ledger: [
                    LogBatch.LedgerWrite(
                        key: KafkaOutputsTests.key, value: [value], share: self.share,
                        outputs: outputs.contains(.transaction) ? .transaction : .beforeLedger)
                ], owner: term)
        }

        /// What the ledger on the cluster says, whoever asks.
        func written() throws -> [UInt8]? {
            let (ledger, catchUp) = (KafkaLedger(), CatchUp(self.kafka.configuration))
            defer { catchUp.close() }
            let onKafka = self.kafka.configuration.topicPrefix + KafkaLedger.name
            let name = try LogFixture.topic("ledger")
            let client = try KafkaClient(self.kafka.configuration, .admin, name: "asking")
            try ledger.load(
                [KafkaPartition(name, onKafka, self.share.number, isCompacted: true)], catchUp, client, .decided)
            return ledger[KafkaOutputsTests.key]
        }
    }

    @Test func theLedgerFollowsItsOutputsAndNothingWaitsAtTheEnd() throws {
        let site = try Site()
        defer { site.kafka.deleteTopics() }
        let log = try site.open()
        let term = try site.term(log)
        for value in UInt8(1)...20 {
            let receipt = try LogFixture.write(log, site.batch(value, term, .beforeLedger, .beforeLedger))
            // All of it is there once it is said to be written.
            #expect(receipt.places.count == 2 && receipt.places.allSatisfy { $0.offset >= 0 })
            #expect(try LogFixture.count(log, site.topic) == 2 * Int(value))
            // Who asks here sees it settled, which is on the log a moment later.
            #expect(try log.ledger(prefix: Self.key).map(\.value) == [[value]])
        }
        try LogFixture.eventually("the ledger follows", seconds: 30) { try site.written() == [20] }
        _ = try LogFixture.write(log, site.batch(21, term, .beforeLedger))
        log.close()
        // A server that ends in peace leaves nothing to repeat.
        #expect(try site.written() == [21])
        let next = try site.open()
        defer { next.close() }
        _ = try site.term(next)
        #expect(try next.ledger(prefix: Self.key).map(\.value) == [[21]])
    }

    @Test func whatTakesEffectTogetherIsOneTransactionWithWhatWaited() throws {
        let site = try Site()
        defer { site.kafka.deleteTopics() }
        let log = try site.open()
        defer { log.close() }
        let term = try site.term(log)
        _ = try LogFixture.write(log, site.batch(1, term, .beforeLedger))
        var other = site.batch(2, term, .transaction, .beforeLedger)
        other.ledger[0].key = [8, 8]
        let receipt = try LogFixture.write(log, other)
        #expect(receipt.places.allSatisfy { $0.offset >= 0 })
        // The entry that waited went along; the brokers show a transaction a moment after its end.
        try LogFixture.eventually("the ledger is written", seconds: 30) { try site.written() == [1] }
        try LogFixture.eventually("all of it can be read", seconds: 30) { try LogFixture.count(log, site.topic) == 3 }
    }

    @Test func whoeverLosesItsShareForgetsWhatItHadNotWritten() throws {
        let site = try Site()
        defer { site.kafka.deleteTopics() }
        let log = try site.open()
        defer { log.close() }
        let term = try site.term(log)
        _ = try LogFixture.write(log, site.batch(1, term, .beforeLedger))
        try LogFixture.eventually("the ledger follows", seconds: 30) { try site.written() == [1] }
        let other = KafkaTransactions(
            site.kafka.configuration, id: KafkaSharing.transactionalID(site.kafka.configuration, site.share))
        try other.takeOver()
        // It does not know yet: its outputs come, and are not settled.
        let answer = Result { try LogFixture.write(log, site.batch(2, term, .beforeLedger)) }
        _ = try site.term(log, after: term.term)
        #expect(try log.ledger(prefix: Self.key).map(\.value) == [[1]])
        #expect(try site.written() == [1])
        if case .failure(let error) = answer { #expect((error as? ApusError)?.code == .conflict) }
    }
}

/// The same producer on librdkafka's own cluster.
@Suite struct KafkaOutputsFaultTests {
    private static func send(_ count: Int, from first: Int = 0, by outputs: KafkaOutputs) throws -> OutputGroup {
        let group = try outputs.begin(count)
        let topic = try group.client.topic("a")
        for index in 0..<count {
            let block = EventBlock.encode(Event(key: [1], data: Array("\(first + index)".utf8)))
            let layout = try EventLayout(parsing: block.span.bytes)
            group.produce(index) {
                KafkaRecord.produce(
                    block, layout, by: group.client.pointer, topic: topic, partition: 0,
                    time: Timestamp(milliseconds: 1_000), opaque: $0)
            }
        }
        group.wait()
        return group
    }

    @Test func aGroupIsAnsweredWhenAllOfItIsKnownThroughABrokersErrors() throws {
        let cluster = try KafkaMockCluster()
        let outputs = KafkaOutputs(cluster.configuration)
        defer { outputs.close() }
        cluster.failProduce([
            RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        ])
        for first in stride(from: 0, to: 300, by: 100) {
            let group = try Self.send(100, from: first, by: outputs)
            #expect((0..<100).map { group.offset($0) } == (0..<100).map { Offset(first + $0) })
            #expect((0..<100).allSatisfy { group.failure($0) == nil })
        }
    }

    @Test func whatWaitsTooLongFailsAndTheNextGroupGoesOn() throws {
        // Half a session is what an output may wait.
        let cluster = try KafkaMockCluster {
            $0.sharing = KafkaLogConfiguration.Sharing(node: "node", sessionMilliseconds: 3_000)
        }
        let outputs = KafkaOutputs(cluster.configuration)
        defer { outputs.close() }
        #expect(try Self.send(1, by: outputs).failure(0) == nil)
        cluster.setDown(true)
        #expect(try Self.send(1, from: 1, by: outputs).failure(0)?.code == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT)
        cluster.setDown(false)
        let isBack = try waitUntil(seconds: 30) { try Self.send(1, from: 2, by: outputs).failure(0) == nil }
        #expect(isBack)
    }

    @Test func aProducerThatLostItsOrderIsMadeAnew() throws {
        let cluster = try KafkaMockCluster(deliveryMilliseconds: 5_000)
        let outputs = KafkaOutputs(cluster.configuration)
        #expect(try Self.send(5, by: outputs).failure(4) == nil)
        cluster.failProduce([RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER])
        _ = try Self.send(5, from: 5, by: outputs)
        let goesOn = try waitUntil(seconds: 30) { try Self.send(1, from: 10, by: outputs).failure(0) == nil }
        #expect(goesOn)
        outputs.close()
        #expect(throws: KafkaFailure.self) { try outputs.begin(1) }
    }
}
