import ApusCore
import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

@testable import ApusServer

/// Events that are valid, with every kind of attribute, key and data.
private struct EventGenerator {
    var random: SeededGenerator

    private static let texts = [
        "a", "k 1", "€", "😀", "\"", "\\", "\"x\"", "%", "%41", "a\u{301}", "ÄÖ ß", "0", " ", "1.5", "true", "\u{FFFD}",
        "日本",
    ]
    private static let sources = [
        "/s", "https://example.com/a?b=1#c", "urn:uuid:1", "/a%20b", "größe/ä", "mailto:a@b.c",
    ]
    private static let types = [
        "application/json", "application/json; charset=utf-8", "text/plain", "text/plain; charset=latin1",
        "application/a+json",
        "image/png", "text/html; charset=UTF-8", "text/json",
    ]
    private static let values = [
        "1e400", "-0", "1.10", "12345678901234567890123", "null", "true", #""€\u0041""#, #"{"a":1 , "b":[ 1 ,2]}"#,
        "[]", #""\ud83d\ude00""#,
    ]

    mutating func one<Element>(_ choices: [Element]) -> Element {
        choices[Int(truncatingIfNeeded: self.random.next() >> 33) % choices.count]
    }
    mutating func happens(_ part: UInt64) -> Bool { self.random.next() % part == 0 }

    /// - Parameter isTyped: integers and Booleans as such; headers know only text.
    mutating func event(isTyped: Bool) -> Event {
        var attributes = [
            Attribute("id", self.one(Self.texts)), Attribute("source", self.one(Self.sources), kind: .uriReference),
            Attribute("type", self.one(Self.texts)),
        ]
        if self.happens(2) { attributes.append(Attribute("subject", self.one(Self.texts))) }
        if self.happens(3) {
            attributes.append(
                Attribute("time", "2026-01-31T12:00:00.\(self.random.next() % 1_000_000)Z", kind: .timestamp))
        }
        if self.happens(4) { attributes.append(Attribute("dataschema", "https://example.com/€", kind: .uri)) }
        for index in 0..<self.random.next() % 3 {
            attributes.append(self.extension("x\(index)", isTyped: isTyped))
        }
        var event = Event(attributes: attributes, data: nil)
        if self.happens(3) {
            let text = self.one(Self.texts)
            event.key = Array(text.utf8)
            event.attributes.append(Attribute("partitionkey", text))
        } else if self.happens(3) {
            event.key = self.random.bytes(Int(self.random.next() % 5)) + [0xFF]
        }
        self.fill(&event)
        return event
    }

    private mutating func `extension`(_ name: String, isTyped: Bool) -> Attribute {
        guard isTyped else { return Attribute(name, self.happens(9) ? "" : self.one(Self.texts)) }
        switch self.random.next() % 4 {
        case 0: return Attribute(name, "\(Int32(truncatingIfNeeded: self.random.next()))", kind: .integer)
        case 1: return Attribute(name, self.happens(2) ? "true" : "false", kind: .boolean)
        default: return Attribute(name, self.one(Self.texts))
        }
    }

    private mutating func fill(_ event: inout Event) {
        guard !self.happens(6) else { return }
        let type = self.one(Self.types)
        event.attributes.append(Attribute("datacontenttype", type))
        let isJSON = MediaType(parsing: type)?.isJSON ?? false
        event.data =
            isJSON
            ? Array(self.one(Self.values).utf8)
            : self.happens(2) ? Array(self.one(Self.texts).utf8) : self.random.bytes(Int(self.random.next() % 12))
    }
}

@Suite struct CloudEventRoundTripTests {
    private static let defaults = CloudEventDecoder.Defaults(id: "none", source: "/none", type: "none")
    private static let schema: String = {
        let parts = #filePath.split(separator: "/").dropLast(4)
        return "/" + parts.joined(separator: "/") + "/../shared/data/cloudevents.schema.json"
    }()

    /// Four events a turn, 50 000 in all; the requests of `CloudEventPropertyTests` are 100 000 more.
    @Test(arguments: [20_260_731, 20_260_732] as [UInt64])
    func anEventThatIsWrittenInAnyModeIsReadBackAsItWas(seed: UInt64) throws {
        print("round trips of events: seed \(seed)")
        var generator = EventGenerator(random: SeededGenerator(seed: seed))
        for turn in 0..<6_250 {
            let typed = generator.event(isTyped: true)
            let json = CloudEventEncoder.json(typed, Self.defaults)
            guard self.isSame(try Sent.structured(bytes: json), typed, "structured \(turn) of seed \(seed)") else {
                return
            }
            let plain = generator.event(isTyped: false)
            guard self.isSame(try self.binary(plain), plain, "binary \(turn) of seed \(seed)") else { return }
            let body = [UInt8(ascii: "[")] + json + [UInt8(ascii: ",")] + CloudEventEncoder.json(plain, Self.defaults)
            let events = try Sent.batch(String(decoding: body + [UInt8(ascii: "]")], as: UTF8.self))
            guard events.count == 2, self.isSame(events[0], typed, "batched \(turn) of seed \(seed)"),
                self.isSame(events[1], plain, "batched \(turn) of seed \(seed)")
            else { return }
        }
    }

    private func binary(_ event: Event) throws -> Event {
        var headers = CloudEventEncoder.headers(event, Self.defaults).map { HTTPHeader($0.0, $0.1) }
        if let type = event["datacontenttype"] { headers.append(HTTPHeader("Content-Type", type)) }
        let events = try CloudEventDecoder.events(headers: headers, body: event.data ?? [], defaults: Sent.defaults)
        return try #require(events.first)
    }

    private func isSame(_ read: Event, _ sent: Event, _ what: String) -> Bool {
        let order: (Attribute, Attribute) -> Bool = { $0.name < $1.name }
        let isSame =
            read.key == sent.key && read.data == sent.data
            && read.attributes.sorted(by: order) == sent.attributes.sorted(by: order)
        if !isSame { Issue.record("\(what): \(sent) came back as \(read)") }
        return isSame
    }

    @Test func whatIsWrittenAsJSONFitsThePublishedSchema() throws {
        guard access(Self.schema, R_OK) == 0 else { return print("skipped: no schema at \(Self.schema)") }
        let schema = try JSONValue.parse(try readFile(Self.schema))
        var evaluator = SchemaEvaluator(definitions: schema["definitions"] ?? [:])
        var generator = EventGenerator(random: SeededGenerator(seed: 7))
        for _ in 0..<2_000 {
            let json = CloudEventEncoder.json(generator.event(isTyped: true), partition: 1, offset: 2)
            // Numbers that no 64 bits hold are JSON, and nothing that a value here can be.
            guard let value = try? JSONValue.parse(json) else { continue }
            let mismatch = try evaluator.mismatch(value, schema)
            #expect(mismatch == nil, "\(String(decoding: json, as: UTF8.self))")
        }
        // What a function returns may say nothing, or what no event may say.
        let odd = Event(
            attributes: ["id", "type", "source", "subject", "dataschema", "time", "Upper", "a-b"].map {
                Attribute($0, "")
            },
            data: [1])
        let json = try JSONValue.parse(CloudEventEncoder.json(odd, Self.defaults))
        #expect(try evaluator.mismatch(json, schema) == nil, "\(json)")
        #expect(json.object?.names == ["specversion", "id", "source", "type", "data_base64"])
        // The evaluator can refuse: what lacks an id is no event.
        #expect(try evaluator.mismatch(["specversion": "1.0", "source": "/s", "type": "t"], schema) != nil)
        #expect(try evaluator.mismatch(["specversion": "1.0", "id": "", "source": "/s", "type": "t"], schema) != nil)
    }
}
