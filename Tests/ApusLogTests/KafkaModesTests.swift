import ApusCore
import ApusTestSupport
import CKafkaShims
import CRDKafka
import Testing

@testable import ApusLog

/// CloudEvents' modes on Kafka, as producers write them that know nothing of Apus.
@Suite struct KafkaModesTests {
    /// A record as its producer says it.
    private struct Foreign {
        var headers: [(String, String)]
        var key: String?
        var value: String?
    }

    private static let identity = [("ce_id", "1"), ("ce_source", "/s"), ("ce_type", "t")]
    private static let binary = [("ce_specversion", "1.0")] + identity

    /// As the server's reader, but for a text that is easy to write: the id alone.
    private static let reader: StructuredEventReader = { value, type throws(ApusError) in
        let text = String(decoding: value, as: UTF8.self)
        guard text != "bad", type.lowercased() == "application/cloudevents+json" else {
            throw ApusError(.invalidEvent, "it is bad")
        }
        return Event(attributes: [Attribute("id", text)], data: [7])
    }

    private static func read(_ records: [Foreign], structured: StructuredEventReader? = reader) throws -> [[UInt8]] {
        // A producer of its own is what the cluster lives in.
        let host = try KafkaClient(
            KafkaLogConfiguration(bootstrap: "127.0.0.1:1"), .producer(transactionalID: nil), name: "mock")
        let cluster = try #require(rd_kafka_mock_cluster_new(host.pointer, 1))
        defer { rd_kafka_mock_cluster_destroy(cluster) }
        rd_kafka_mock_topic_create(cluster, "a", 1, 1)
        var configuration = KafkaLogConfiguration(bootstrap: String(cString: rd_kafka_mock_cluster_bootstraps(cluster)))
        configuration.structured = structured
        let producer = try KafkaProducer(configuration, transactionalID: nil)
        let topic = try producer.client.topic("a")
        producer.begin(records.count)
        for (index, record) in records.enumerated() {
            producer.produce(index) { Self.produce(record, producer.client.pointer, topic, index) }
        }
        producer.finish()
        for index in records.indices { #expect(producer.failure(index) == nil) }
        let catchUp = CatchUp(configuration)
        defer { catchUp.close() }
        let partition = KafkaPartition(try LogFixture.topic("a"), "a", 0, isCompacted: false)
        var blocks: [[UInt8]] = []
        while blocks.count < records.count {
            let start = Offset(blocks.count)
            let chunk = try catchUp.with(partition, from: start) { (read) throws(KafkaFailure) in
                try read.chunk(upTo: Offset(records.count), maxRecords: 100, maxBytes: .max)
            }
            for index in 0..<chunk.count { blocks.append(chunk.lend(index) { Array($0) }) }
        }
        return blocks
    }

    private static func produce(
        _ record: Foreign, _ client: OpaquePointer, _ topic: OpaquePointer, _ index: Int
    ) -> rd_kafka_resp_err_t {
        let headers = rd_kafka_headers_new(8)
        for (name, value) in record.headers {
            rd_kafka_header_add(headers, name, name.utf8.count, value, value.utf8.count)
        }
        let key = record.key.map { Array($0.utf8) }
        let value = record.value.map { Array($0.utf8) }
        let code = (key ?? []).withUnsafeBytes { keyBytes in
            (value ?? []).withUnsafeBytes { valueBytes in
                apus_kafka_produce(
                    UnsafeMutableRawPointer(client), UnsafeMutableRawPointer(topic), 0,
                    key == nil ? nil : keyBytes.baseAddress, keyBytes.count,
                    value == nil ? nil : valueBytes.baseAddress, valueBytes.count, 1_000,
                    UnsafeMutableRawPointer(headers), UnsafeMutableRawPointer(bitPattern: index + 1))
            }
        }
        return rd_kafka_resp_err_t(code)
    }

    private static func decoded(_ block: [UInt8]) throws -> (event: Event, isInvalid: Bool) {
        (try EventBlock.decode(block.span.bytes), block.withUnsafeBytes { EventBlock.isInvalid($0) })
    }

    @Test func anEventInStructuredModeArrivesAsTheEventThatItIs() throws {
        let blocks = try Self.read([
            Foreign(
                headers: [("content-type", "application/CloudEvents+json"), ("ce_id", "other"), ("trace", "x")],
                key: "k", value: "e1"),
            Foreign(headers: Self.binary + [("content-type", "text/plain")], value: "plain"),
        ])
        let first = try Self.decoded(blocks[0])
        #expect(!first.isInvalid)
        #expect(
            first.event.attributes == [Attribute("id", "e1"), Attribute("trace", "x", kind: .header)])
        #expect(first.event.key == Array("k".utf8))
        #expect(first.event.data == [7])
        let second = try Self.decoded(blocks[1])
        #expect(second.event["id"] == "1")
        #expect(second.event["datacontenttype"] == "text/plain")
        #expect(second.event.data == Array("plain".utf8))
        #expect(!second.isInvalid)
    }

    /// Behaviour 40: its bytes are kept as they came.
    @Test func whatIsNoValidEventIsMarkedAndKeepsItsBytes() throws {
        let structured = [("content-type", "application/cloudevents+json"), ("h", "1")]
        let blocks = try Self.read([
            Foreign(headers: structured, key: "k", value: "bad"),
            Foreign(headers: [("content-type", "application/cloudevents-batch+json")], value: "[]"),
            Foreign(headers: [("content-type", "application/cloudevents+avro")], value: "x"),
            Foreign(headers: [("ce_specversion", "0.3")] + Self.identity, value: "old"),
            Foreign(headers: [("ce_specversion", "1.0"), ("ce_id", "1"), ("ce_type", "t")], value: "no source"),
            Foreign(headers: Self.binary, value: "good"),
            Foreign(headers: [("content-type", "text/plain")], value: "no CloudEvent"),
        ])
        let found = try blocks.map { try Self.decoded($0) }
        #expect(found.map(\.isInvalid) == [true, true, true, true, true, false, false])
        let texts = found.map { String(decoding: $0.event.data ?? [], as: UTF8.self) }
        #expect(texts == ["bad", "[]", "x", "old", "no source", "good", "no CloudEvent"])
        let first = found[0].event
        #expect(first["datacontenttype"] == "application/cloudevents+json")
        #expect(first.key == Array("k".utf8))
        #expect(first["type"] == "dev.apus.kafka.record")
        #expect(first.attributes.contains(Attribute("h", "1", kind: .header)))
        #expect(first.attributes.contains(Attribute(InternalHeader.invalid, "it is bad", kind: .header)))
    }

    /// A batch is no event: whatever its type's case and parameters, and whatever its headers say beside it.
    @Test func aBatchIsInvalidAndNeverTakenForDataOrForAnEvent() throws {
        let types = [
            "application/cloudevents-batch+json", "Application/CloudEvents-BATCH+json",
            "application/cloudevents-batch+json; charset=utf-8",
        ]
        let blocks = try Self.read(
            types.map { Foreign(headers: [("content-type", $0)] + Self.binary, key: "k", value: "[]") }
                + types.map { Foreign(headers: Self.binary + [("content-type", $0)], value: "[]") })
        for (block, type) in zip(blocks, types + types) {
            let (event, isInvalid) = try Self.decoded(block)
            #expect(isInvalid)
            #expect(event["datacontenttype"] == type)
            #expect(event["type"] == "dev.apus.kafka.record")
            #expect(event.data == Array("[]".utf8))
        }
    }

    /// Behaviour 42.
    @Test func aTombstoneIsAnEventInBinaryModeAndNoneInStructuredMode() throws {
        let blocks = try Self.read([
            Foreign(headers: Self.binary, key: "k", value: nil),
            Foreign(headers: [("content-type", "application/cloudevents+json")], key: "k", value: nil),
            Foreign(headers: Self.binary, key: "k", value: ""),
        ])
        let found = try blocks.map { try Self.decoded($0) }
        #expect(found.map(\.isInvalid) == [false, true, false])
        #expect(found.map { $0.event.data } == [nil, nil, []])
    }

    @Test func theContentTypeIsTheTypeOfTheDataWhateverElseSaysSo() throws {
        let blocks = try Self.read([
            Foreign(
                headers: Self.binary + [("ce_datacontenttype", "a/wrong"), ("content-type", "application/json")],
                value: "1"),
            Foreign(headers: Self.binary + [("ce_datacontenttype", "a/b")], value: "1"),
        ])
        let events = try blocks.map { try Self.decoded($0).event }
        #expect(events[0].attributes.filter { $0.name == "datacontenttype" }.map(\.text) == ["application/json"])
        #expect(events[1]["datacontenttype"] == "a/b")
    }

    @Test func withoutAReaderARecordIsTakenAsItIs() throws {
        let blocks = try Self.read(
            [Foreign(headers: [("content-type", "application/cloudevents+json")], value: "e1")], structured: nil)
        let found = try Self.decoded(blocks[0])
        #expect(!found.isInvalid)
        #expect(found.event.data == Array("e1".utf8))
    }

    @Test func whatIsSaidOfAnInvalidEventIsBounded() throws {
        let long: StructuredEventReader = { _, _ throws(ApusError) in
            throw ApusError(.invalidEvent, String(repeating: "é", count: 10_000))
        }
        let blocks = try Self.read(
            [Foreign(headers: [("content-type", "application/cloudevents+json")], value: "e1")], structured: long)
        let reason = try Self.decoded(blocks[0]).event.attributes.first { $0.name == InternalHeader.invalid }
        #expect(reason?.text.count == Limits.Kafka.reasonCharacters)
    }
}
