import ApusCore
import ApusHTTP
import Testing

@testable import ApusServer

/// Rules of CloudEvents that hold in every mode, and what stands around them.
@Suite struct CloudEventRuleTests {
    @Test(arguments: ["subject", "datacontenttype", "dataschema", "time"])
    func noDefinedAttributeIsEmpty(name: String) {
        expectRefusal(.invalidEvent) { () throws(ApusError) in try Sent.structured(#","\#(name)":"""#) }
        expectRefusal(.invalidEvent) { () throws(ApusError) in try Sent.binary(Sent.required + [("ce-\(name)", "")]) }
    }

    @Test(arguments: [
        ("source", "/a b"), ("source", "a<b>"), ("source", "%4"), ("source", "a\\b"), ("dataschema", "/relative"),
        ("dataschema", "1a:b"), ("dataschema", ":x"), ("dataschema", "a b:c"),
    ])
    func whatIsNoURIIsRefused(name: String, value: String) {
        let others = Sent.required.filter { $0.0 != "ce-\(name)" }
        let encoded = HeaderValue.encode(value)
        expectRefusal(.invalidEvent, value) { () throws(ApusError) in
            try Sent.binary(others + [("ce-\(name)", encoded)])
        }
    }

    @Test(arguments: ["/s", "a", "https://example.com:80/a?b#c", "urn:x:y", "//host/p", "größe", "?q", "%41", "a:b"])
    func referencesOfAllFormsAreSources(value: String) throws {
        let others = Sent.required.filter { $0.0 != "ce-source" }
        #expect(try Sent.binary(others + [("ce-source", HeaderValue.encode(value))])["source"] == value)
    }

    @Test func bytesOfAHeaderThatAreNoTextAreRefused() {
        // The listener reads such bytes as U+FFFD.
        for headers in [[("ce-a", "a\u{FFFD}")], [("Apus-Key", "\u{FFFD}")], [("Content-Type", "text/\u{FFFD}")]] {
            expectRefusal(.invalidEvent) { () throws(ApusError) in try Sent.binary(Sent.required + headers) }
        }
        #expect(throws: Never.self) { try Sent.binary(Sent.required + [("ce-a", "%EF%BF%BD")]) }
    }

    @Test func nullDataBesideDataInBase64IsNone() throws {
        #expect(try Sent.structured(#","data":null,"data_base64":"AQ==""#).data == [1])
        #expect(text(try Sent.structured(#","data":1,"data_base64":null"#).data) == "1")
    }

    @Test(arguments: ["utf-8", "UTF-8", "\"utf-8\"", "us-ascii"]) func jsonInUTF8IsRead(charset: String) throws {
        let headers = [HTTPHeader("Content-Type", "application/cloudevents-batch+json; charset=\(charset)")]
        #expect(
            try CloudEventDecoder.events(headers: headers, body: Array("[]".utf8), defaults: Sent.defaults).isEmpty)
    }

    /// The type of batches begins as that of single events does: it is looked for first, whatever its case and parameters.
    @Test(arguments: [
        ("application/cloudevents-batch+json", .batched), ("Application/CloudEvents-Batch+JSON", .batched),
        ("application/cloudevents-batch+json; charset=utf-8", .batched),
        ("application/cloudevents-batch+json;charset=UTF-8; a=\"b;c\"", .batched),
        (" application/cloudevents-batch+json ; charset", .batched),
        ("application/cloudevents-batch", nil), ("application/cloudevents-batch+avro", nil),
        ("application/cloudevents+json", .structured), ("APPLICATION/CLOUDEVENTS+JSON ;charset=utf-8", .structured),
        ("application/cloudevents", .structured), ("application/cloudevents+json ; charset", .structured),
        ("application/cloudevents+xml", nil), ("application/json", .binary),
        ("text/plain; a=application/cloudevents+json", .binary), (nil, .binary),
    ] as [(String?, CloudEventDecoder.Mode?)])
    func aBatchIsToldFromAnEventByItsTypeAlone(type: String?, mode: CloudEventDecoder.Mode?) throws {
        #expect(CloudEventDecoder.mode(contentType: type) == mode)
        #expect(CloudEventDecoder.isBatch(contentType: type) == (mode == .batched))
        guard let type, mode == .batched || mode == .structured else { return }
        let event = #"{"specversion":"1.0","id":"1","source":"/s","type":"t"}"#
        // Attributes in headers say nothing where the body is an event, or several.
        let headers = [HTTPHeader("Content-Type", type), HTTPHeader("ce-specversion", "1.0"), HTTPHeader("ce-id", "other")]
        let body = mode == .batched ? "[\(event),\(event)]" : event
        let events = try CloudEventDecoder.events(headers: headers, body: Array(body.utf8), defaults: Sent.defaults)
        #expect(events.map { $0["id"] } == (mode == .batched ? ["1", "1"] : ["1"]))
    }

    @Test func aBatchInAnotherCharacterSetIsLeftToBeRefused() {
        #expect(!CloudEventDecoder.isBatch(contentType: "application/cloudevents-batch+json; charset=utf-16"))
        #expect(CloudEventDecoder.isBatch(contentType: "application/cloudevents-batch+json; charset=\"UTF-8\""))
    }

    @Test(arguments: [
        "application/cloudevents+json; charset=utf-16", "application/cloudevents-batch+json; charset=iso-8859-1",
        "application/cloudevents+protobuf", "application/cloudeventsx",
    ])
    func otherFormatsAndCharacterSetsAreUnsupported(type: String) {
        expectRefusal(.unsupportedMediaType) { () throws(ApusError) in
            try CloudEventDecoder.events(
                headers: [HTTPHeader("Content-Type", type)], body: Array("[]".utf8), defaults: Sent.defaults
            ).count
        }
    }

    @Test func anEmptyContentTypeIsNone() throws {
        let event = try Sent.binary(Sent.required + [("Content-Type", "")])
        #expect(event.data == nil && event["datacontenttype"] == nil)
    }

    @Test func textOfAnotherCharacterSetGoesAsBytes() {
        let event = Event(
            attributes: [Attribute("datacontenttype", "text/plain; charset=latin1")], data: Array("é".utf8))
        let json = String(decoding: CloudEventEncoder.json(event, Sent.defaults), as: UTF8.self)
        #expect(json.contains("data_base64"))
    }

    // MARK: webhooks

    @Test func aSenderOfWebhooksMaySendWithoutARate() throws {
        let grant = try WebhookGrant.headers(origin: "eventemitter.example.com", rate: "120")
        #expect(grant.map(\.0) == ["WebHook-Allowed-Origin", "WebHook-Allowed-Rate"])
        #expect(grant.map(\.1) == ["eventemitter.example.com", "*"])
    }

    @Test(
        arguments: [("", nil), ("a b", nil), ("a\r\nb", nil), ("a.b", "0"), ("a.b", "-1"), ("a.b", "fast")]
            as [(String, String?)])
    func aHandshakeThatSaysNothingIsRefused(origin: String, rate: String?) {
        expectRefusal(.invalidArgument) { () throws(ApusError) in
            try WebhookGrant.headers(origin: origin, rate: rate).count
        }
    }
}
