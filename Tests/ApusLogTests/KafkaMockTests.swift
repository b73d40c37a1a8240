import ApusCore
import ApusTestSupport
import CRDKafka
import Testing

@testable import ApusLog

/// Faults, on librdkafka's own cluster in this process: it has no topics to create, no time and no isolation, so that these tests are about
/// producing and consuming alone.
@Suite struct KafkaMockTests {
    private static func produce(_ count: Int, from first: Int = 0, by producer: KafkaProducer) throws {
        let topic = try producer.client.topic("a")
        producer.begin(count)
        for index in 0..<count {
            let block = EventBlock.encode(Event(key: [1], data: Array("\(first + index)".utf8)))
            let layout = try EventLayout(parsing: block.span.bytes)
            producer.produce(index) {
                KafkaRecord.produce(
                    block, layout, by: producer.client.pointer, topic: topic, partition: 0,
                    time: Timestamp(milliseconds: 1_000), opaque: index)
            }
        }
        producer.finish()
    }

    private static func read(_ configuration: KafkaLogConfiguration, upTo end: Offset) throws -> [String] {
        let catchUp = CatchUp(configuration)
        defer { catchUp.close() }
        let partition = KafkaPartition(try LogFixture.topic("a"), "a", 0, isCompacted: false)
        var texts: [String] = []
        var next: Offset = 0
        while next < end {
            let start = next
            let chunk = try catchUp.with(partition, from: start) { (read) throws(KafkaFailure) in
                try read.chunk(upTo: end, maxRecords: 100, maxBytes: .max)
            }
            for index in 0..<chunk.count {
                let event = try chunk.lend(index) { block in
                    Result { try EventBlock.decode(block.bytes) }
                }.get()
                texts.append(String(decoding: event.data ?? [], as: UTF8.self))
            }
            next = chunk.next
        }
        return texts
    }

    /// Behaviour 31.
    @Test func recordsKeepTheirOrderAndNumberThroughABrokersErrors() throws {
        let cluster = try KafkaMockCluster()
        let producer = try KafkaProducer(cluster.configuration, transactionalID: nil)
        cluster.failProduce([
            RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
            RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        ])
        try Self.produce(500, by: producer)
        for index in 0..<500 { #expect(producer.failure(index) == nil) }
        #expect(try Self.read(cluster.configuration, upTo: 500) == (0..<500).map { "\($0)" })
    }

    /// Behaviour 31.
    @Test func aBrokerThatIsDownFailsWhatWaitsTooLongAndNothingAfterItIsBack() throws {
        let cluster = try KafkaMockCluster(deliveryMilliseconds: 1_500)
        let producer = try KafkaProducer(cluster.configuration, transactionalID: nil)
        try Self.produce(10, by: producer)
        #expect(producer.failure(9) == nil)
        cluster.setDown(true)
        try Self.produce(1, from: 10, by: producer)
        #expect(producer.failure(0)?.apusError("x").code == .logFailed)
        cluster.setDown(false)
        let isBack = try waitUntil(seconds: 20) {
            try Self.produce(1, from: 11, by: producer)
            return producer.failure(0) == nil
        }
        #expect(isBack)
        let texts = try Self.read(cluster.configuration, upTo: 11)
        #expect(texts == (0..<10).map { "\($0)" } + ["11"])
    }

    /// Behaviour 31.
    @Test func aSlowBrokerGetsEveryRecordOnceAndInOrder() throws {
        let cluster = try KafkaMockCluster()
        cluster.setRoundTrip(milliseconds: 300)
        let producer = try KafkaProducer(cluster.configuration, transactionalID: nil)
        for first in stride(from: 0, to: 300, by: 100) {
            try Self.produce(100, from: first, by: producer)
            for index in 0..<100 { #expect(producer.failure(index) == nil) }
        }
        #expect(try Self.read(cluster.configuration, upTo: 300) == (0..<300).map { "\($0)" })
    }

    /// What a broker says that has lost a producer's numbers: whatever was acknowledged is there once, and the next producer works.
    @Test(arguments: [
        RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER.rawValue, RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID.rawValue,
        RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER.rawValue,
    ]) func aProducerThatLostItsOrderSaysSoAndRepeatsNothing(_ code: CInt) throws {
        let cluster = try KafkaMockCluster(deliveryMilliseconds: 5_000)
        let producer = try KafkaProducer(cluster.configuration, transactionalID: nil)
        try Self.produce(10, by: producer)
        #expect((0..<10).allSatisfy { producer.failure($0) == nil })
        cluster.failProduce([rd_kafka_resp_err_t(rawValue: code)])
        try Self.produce(10, from: 10, by: producer)
        // A duplicate counts as written: the number of the first of it is not known.
        let isKnown = code != RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER.rawValue
        let acknowledged = (0..<10).filter { producer.failure($0) == nil && isKnown }.map { "\(10 + $0)" }
        let next = try KafkaProducer(cluster.configuration, transactionalID: nil)
        try Self.produce(1, from: 99, by: next)
        #expect(next.failure(0) == nil)
        let count = Offset(10 + acknowledged.count + 1)
        #expect(try Self.read(cluster.configuration, upTo: count) == (0..<10).map { "\($0)" } + acknowledged + ["99"])
    }
}
