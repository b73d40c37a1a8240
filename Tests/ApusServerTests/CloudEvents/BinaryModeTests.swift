import ApusCore
import ApusHTTP
import Testing

@testable import ApusServer

@Suite struct BinaryModeTests {
    @Test func readsAttributesFromHeadersAndDataFromTheBody() throws {
        let headers =
            Sent.required + [("CE-Subject", "a"), ("ce-myext", "7"), ("Content-Type", "text/plain"), ("Other", "x")]
        let event = try Sent.binary(headers, [0, 255])
        #expect(
            event.attributes == [
                Attribute("id", "1"), Attribute("source", "/s", kind: .uriReference), Attribute("type", "t"),
                Attribute("subject", "a"),
                Attribute("myext", "7"), Attribute("datacontenttype", "text/plain"),
            ])
        #expect(event.data == [0, 255])
        #expect(event.key == nil)
        #expect(event.timestamp == .zero)
    }

    @Test(arguments: ["specversion", "id", "source", "type"]) func refusesARequiredAttributeThatIsMissingOrEmpty(
        name: String
    ) {
        expectRefusal(.invalidEvent) { () throws(ApusError) in
            try Sent.binary(Sent.required.filter { $0.0 != "ce-\(name)" })
        }
        expectRefusal(.invalidEvent) { () throws(ApusError) in
            try Sent.binary(Sent.required.map { $0.0 == "ce-\(name)" ? ($0.0, "") : $0 })
        }
    }

    @Test(arguments: ["0.3", "1", "1.0.2", "2.0"]) func refusesAnotherVersion(version: String) {
        expectRefusal(.invalidEvent) { () throws(ApusError) in
            try Sent.binary([("ce-specversion", version), ("ce-id", "1"), ("ce-source", "/s"), ("ce-type", "t")])
        }
    }

    @Test func refusesDatacontenttypeAsAHeaderOfItsOwn() {
        expectRefusal(.invalidEvent) { () throws(ApusError) in
            try Sent.binary(Sent.required + [("Ce-DataContentType", "text/plain")])
        }
    }

    @Test(arguments: ["ce-", "ce-a-b", "ce-a_b", "ce-data", "ce-data_base64", "ce-a.b"])
    func refusesNamesThatNoAttributeHas(name: String) {
        expectRefusal(.invalidEvent) { () throws(ApusError) in try Sent.binary(Sent.required + [(name, "x")]) }
    }

    @Test func refusesAHeaderThatComesTwice() {
        expectRefusal(.invalidEvent) { () throws(ApusError) in
            try Sent.binary(Sent.required + [("ce-a", "1"), ("CE-A", "1")])
        }
    }

    @Test(arguments: [
        ("a%20b", "a b"), ("%E2%82%AC", "€"), ("%f0%9f%98%80", "😀"), ("100%25", "100%"), ("%2525", "%25"),
        ("Euro€", "Euro€"),
        ("a+b", "a+b"), ("", ""), ("\"a b\"", "a b"), ("\"\"", ""), (#""a\"b\\c""#, #"a"b\c"#), (#""a%20b""#, "a b"),
        ("\"", "\""),
        (#"%22a%22"#, #""a""#), (#"\a"#, #"\a"#),
    ]) func decodesAValueExactlyOnce(sent: String, expected: String) throws {
        #expect(try Sent.binary(Sent.required + [("ce-a", sent)])["a"] == expected)
    }

    @Test(arguments: [
        "%", "%4", "%GG", "a%2", "%C0%A0", "%C0%80", "%E0%80%AF", "%ED%A0%80", "%F4%90%80%80", "%FF", "%80", #""a"b""#,
        #""a\""#, "%00",
        "%0A", "%7F", "%C2%85", "%EF%BF%BF", "%EF%B7%90", "\t",
    ]) func refusesEscapesThatAreBrokenAndCharactersThatAreNotAllowed(sent: String) {
        expectRefusal(.invalidEvent, sent) { () throws(ApusError) in try Sent.binary(Sent.required + [("ce-a", sent)]) }
    }

    @Test func takesTheKeyFromItsHeaderBeforePartitionkey() throws {
        let partition = ("ce-partitionkey", "p")
        #expect(text(try Sent.binary(Sent.required + [partition]).key) == "p")
        #expect(text(try Sent.binary(Sent.required + [partition, ("apus-key", "k")]).key) == "k")
        #expect(try Sent.binary(Sent.required + [partition])["partitionkey"] == "p")
    }

    @Test func givesAPlainRequestWhatItLacks() throws {
        let event = try Sent.binary([("Content-Type", "application/json")], Array(#"{"a":1}"#.utf8))
        #expect(
            event.attributes == [
                Attribute("id", "made-up"), Attribute("source", "/made/up", kind: .uriReference),
                Attribute("type", "dev.made.up"),
                Attribute("datacontenttype", "application/json"),
            ])
        #expect(text(event.data) == #"{"a":1}"#)
    }

    @Test func isATombstoneWithoutTypeAndBody() throws {
        #expect(try Sent.binary(Sent.required).data == nil)
        #expect(try Sent.binary(Sent.required + [("Content-Type", "text/plain")]).data == [])
        #expect(try Sent.binary(Sent.required, [1]).data == [1])
    }

    @Test(arguments: ["2026-01-31T12:00:00Z", "2026-01-31T12:00:00.123456789+02:00", "2024-02-29t00:00:00z"])
    func acceptsTimes(time: String) throws {
        #expect(
            try Sent.binary(Sent.required + [("ce-time", time)]).attributes.last
                == Attribute("time", time, kind: .timestamp))
    }

    @Test(arguments: [
        "", "now", "2026-01-31", "2026-02-30T00:00:00Z", "2026-01-31T24:00:00Z", "2026-01-31T12:00:00", "1767225600",
    ])
    func refusesWhatIsNoTime(time: String) {
        expectRefusal(.invalidEvent) { () throws(ApusError) in try Sent.binary(Sent.required + [("ce-time", time)]) }
    }

    @Test(arguments: [
        ("application/cloudevents-batch+json", CloudEventDecoder.Mode.batched),
        ("Application/CloudEvents-Batch+JSON; charset=utf-8", .batched),
        ("application/cloudevents+json", .structured), ("APPLICATION/CLOUDEVENTS+JSON;charset=utf-8", .structured),
        ("application/cloudevents", .structured), ("application/cloudevents+json; =", .structured),
        ("application/json", .binary),
        ("text/plain", .binary), ("nonsense", .binary),
    ]) func tellsTheModeByTheMediaType(type: String, mode: CloudEventDecoder.Mode) {
        #expect(CloudEventDecoder.mode(contentType: type) == mode)
        #expect(CloudEventDecoder.mode(contentType: nil) == .binary)
    }

    @Test(arguments: [
        "application/cloudevents+avro", "application/cloudevents-batch+xml", "application/cloudevents+protobuf; =",
        "application/cloudevents-batch",
    ])
    func refusesFormatsItDoesNotRead(type: String) {
        expectRefusal(.unsupportedMediaType) { () throws(ApusError) in try Sent.binary([("Content-Type", type)], [1]) }
    }
}
