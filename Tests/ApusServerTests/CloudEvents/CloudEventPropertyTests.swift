import ApusCore
import ApusCrypto
import ApusHTTP
import ApusJSON
import ApusTestSupport
import Testing

@testable import ApusServer

/// Requests made from pieces that are valid, nearly valid, and neither.
private struct RequestGenerator {
    var random: SeededGenerator

    mutating func one<Element>(_ choices: [Element]) -> Element {
        choices[Int.random(in: choices.indices, using: &self.random)]
    }
    mutating func happens(_ part: Int) -> Bool { Int.random(in: 0..<part, using: &self.random) == 0 }

    mutating func request() -> (headers: [HTTPHeader], body: [UInt8]) {
        var request: (headers: [HTTPHeader], body: [UInt8])
        switch Int.random(in: 0..<8, using: &self.random) {
        case 0..<3: request = self.binary()
        case 3..<6:
            request = (
                [
                    HTTPHeader(
                        "Content-Type",
                        self.one(["application/cloudevents+json", "application/cloudevents+json; charset=UTF-8"]))
                ], self.event()
            )
        case 6: request = ([HTTPHeader("Content-Type", "application/cloudevents-batch+json")], self.batch())
        default:
            request = (
                [HTTPHeader("Content-Type", self.type())],
                self.random.bytes(Int.random(in: 0..<40, using: &self.random))
            )
        }
        if self.happens(4) { self.damage(&request.body) }
        if self.happens(8) { request.headers.append(HTTPHeader("Apus-Key", self.value())) }
        return request
    }

    private mutating func binary() -> (headers: [HTTPHeader], body: [UInt8]) {
        var headers: [HTTPHeader] = []
        for (name, value) in Sent.required where !self.happens(30) {
            headers.append(HTTPHeader(name, self.happens(8) ? self.headerValue() : value))
        }
        for _ in 0..<Int.random(in: 0..<4, using: &self.random) {
            headers.append(HTTPHeader("ce-\(self.name())", self.headerValue()))
        }
        if !self.happens(3) { headers.append(HTTPHeader("content-type", self.type())) }
        return (
            headers,
            self.happens(2) ? Array(self.json(3).utf8) : self.random.bytes(Int.random(in: 0..<20, using: &self.random))
        )
    }

    private mutating func headerValue() -> String {
        switch Int.random(in: 0..<6, using: &self.random) {
        case 0: "\"\(self.value())\""
        case 1: "%\(self.one(["C0%A0", "E2%82%AC", "4", "zz", "00", "25", "41"]))\(self.value())"
        case 2: HeaderValue.encode(self.value())
        default: self.value()
        }
    }

    private mutating func event() -> [UInt8] {
        var members: [String] = []
        for (name, value) in Sent.required where !self.happens(30) {
            members.append("\"\(name.dropFirst(3))\":\(self.happens(12) ? self.json(1) : "\"\(value)\"")")
        }
        for _ in 0..<Int.random(in: 0..<4, using: &self.random) {
            members.append("\"\(self.name())\":\(self.scalar())")
        }
        if self.happens(3) { members.append("\"datacontenttype\":\"\(self.type())\"") }
        switch Int.random(in: 0..<4, using: &self.random) {
        case 0: break
        case 1:
            members.append(
                "\"data_base64\":\"\(Base64.encode(self.random.bytes(Int.random(in: 0..<9, using: &self.random))))\"")
        default: members.append("\"data\":\(self.one(["", " ", "\n\t"]))\(self.json(4))\(self.one(["", " "]))")
        }
        members.shuffle(using: &self.random)
        return Array("{\(members.joined(separator: self.one([",", " , "])))}".utf8)
    }

    private mutating func batch() -> [UInt8] {
        var body = Array("[".utf8)
        for index in 0..<Int.random(in: 0..<4, using: &self.random) {
            if index > 0 { body += Array(self.one([",", " ,\n"]).utf8) }
            body += self.event()
        }
        return body + Array("]".utf8)
    }

    private mutating func name() -> String {
        self.one([
            "subject", "time", "dataschema", "partitionkey", "traceparent", "a", "b2", "apusoffset", "apuspartition",
            "apusheaders", "data",
            "A", "x-y", "", "é", "datacontenttype", "id",
        ])
    }

    private mutating func type() -> String {
        self.one([
            "application/json", "text/plain", "text/plain; charset=latin1", "application/a+json", "image/png",
            "text/json", "nonsense", "",
        ])
    }

    private mutating func value() -> String {
        self.one([
            "a", "", "k 1", "€", "😀", "\"", "\\", "\"x\"", "2026-01-31T12:00:00Z", "2026-01-31", "%", "a\u{301}",
            "\u{7F}", "\u{FFFE}", "0", "text/plain",
        ])
    }

    private mutating func scalar() -> String {
        self.happens(3)
            ? self.json(1)
            : self.one([#""v""#, "7", "true", "null", "2147483648", "-1", #""€\u0041""#, #""2026-01-31T12:00:00Z""#])
    }

    private mutating func json(_ depth: Int) -> String {
        switch Int.random(in: 0..<(depth > 0 ? 10 : 8), using: &self.random) {
        case 0: self.one(["1e400", "-0", "1.10", "12345678901234567890123", "0.1e-5", "01", "+1", "."])
        case 1: self.one(["true", "false", "null", "nul"])
        case 2: self.one([#""\ud800""#, #""\ud83d\ude00""#, #""\u0000""#, #""\x""#, #""€""#, #""""#])
        case 3..<8: String(Int.random(in: -99...99, using: &self.random))
        case 8: "[\(self.json(depth - 1)),\(self.json(depth - 1))]"
        default: "{\"a\":\(self.json(depth - 1)) , \"\(self.one(["a", "b"]))\": \(self.json(depth - 1))}"
        }
    }

    private mutating func damage(_ body: inout [UInt8]) {
        guard !body.isEmpty else { return }
        let index = Int.random(in: body.indices, using: &self.random)
        switch Int.random(in: 0..<3, using: &self.random) {
        case 0: body[index] = UInt8.random(in: 0...255, using: &self.random)
        case 1: body.remove(at: index)
        default: body.removeLast(body.count - index)
        }
    }
}

@Suite struct CloudEventPropertyTests {
    /// Each event that was accepted is written as its consumer gets it, and read again: it is the same, but for the time, which
    /// every event that was stored has, and the white space around JSON data.
    @Test(arguments: [1, 2, 3, 4] as [UInt64]) func whatIsAcceptedComesBackAsItWas(seed: UInt64) throws {
        var generator = RequestGenerator(random: SeededGenerator(seed: seed))
        var accepted = 0
        for turn in 0..<26_000 {
            let (headers, body) = generator.request()
            let events: [Event]
            do throws(ApusError) {
                events = try CloudEventDecoder.events(headers: headers, body: body, defaults: Sent.defaults)
            } catch {
                #expect(
                    [.invalidEvent, .invalidJSON, .eventTooLarge, .unsupportedMediaType].contains(error.code),
                    "\(error)")
                continue
            }
            for event in events {
                accepted += 1
                let json = CloudEventEncoder.json(event, partition: turn, offset: Offset(turn))
                let again: Event
                do throws(ApusError) {
                    again = try Sent.structured(bytes: json)
                } catch {
                    Issue.record("turn \(turn): \(String(decoding: json, as: UTF8.self)) is refused: \(error)")
                    continue
                }
                guard same(event, again) else {
                    Issue.record("turn \(turn): \(event) came back as \(again)")
                    return
                }
            }
        }
        // Most of what is made is nearly valid: both sides are tried.
        #expect(accepted > 5_000, "only \(accepted) accepted")
    }

    @Test func randomBytesNeverTrap() {
        var generator = SeededGenerator(seed: 5)
        for turn in 0..<20_000 {
            let body = generator.bytes(Int.random(in: 0..<64, using: &generator))
            let type = ["application/cloudevents+json", "application/cloudevents-batch+json", "text/plain"][turn % 3]
            _ = try? CloudEventDecoder.events(
                headers: [
                    HTTPHeader("Content-Type", type),
                    HTTPHeader("ce-a", String(decoding: body.prefix(8), as: UTF8.self)),
                ], body: body,
                defaults: Sent.defaults)
            _ = Base64.decode(String(decoding: body, as: UTF8.self))
        }
    }

    private func same(_ event: Event, _ again: Event) -> Bool {
        var again = again
        if event["time"] == nil { again["time"] = nil }
        if event["partitionkey"] == nil, event.key != nil { again["partitionkey"] = nil }
        let isJSON = MediaType(parsing: event["datacontenttype"] ?? "")?.isJSON ?? false
        let order: (Attribute, Attribute) -> Bool = { $0.name < $1.name }
        return event.key == again.key && event.attributes.sorted(by: order) == again.attributes.sorted(by: order)
            && (isJSON ? trimmed(event.data) == trimmed(again.data) : event.data == again.data)
    }

    private func trimmed(_ data: [UInt8]?) -> [UInt8]? {
        let isSpace: (UInt8) -> Bool = { $0 == 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }
        return data.map { Array($0.drop(while: isSpace).reversed().drop(while: isSpace).reversed()) }
    }
}
