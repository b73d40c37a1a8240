import ApusCore
import ApusHTTP
import ApusTestSupport
import Testing

@testable import ApusServer

/// What is quick must say the same as what is thorough.
@Suite struct PlainInvocationTests {
    private static let id = InvocationID(high: 0x0123_4567_89AB_CDEF, low: 7)

    private static func plain(_ headers: [HTTPHeader], _ body: [UInt8]) -> (head: PlainInvocation, block: [UInt8]?) {
        var head = PlainInvocation()
        // The type lies in the request's memory while its block is made.
        let lines = headers.map { (Array($0.name.utf8), Array($0.value.utf8)) }
        func add(_ rest: ArraySlice<([UInt8], [UInt8])>) -> [UInt8]? {
            guard let (name, value) = rest.first else { return head.block(Self.id.description, body: body) }
            return name.withUnsafeBytes { name in
                value.withUnsafeBytes { value in
                    head.add(name, value)
                    return add(rest.dropFirst())
                }
            }
        }
        let block = add(lines[...])
        return (head, block)
    }

    private static func thorough(_ headers: [HTTPHeader], _ body: [UInt8]) throws -> [UInt8] {
        let defaults = CloudEventDecoder.Defaults(
            id: Self.id.description, source: PlainInvocation.source, type: PlainInvocation.eventType)
        let events = try CloudEventDecoder.events(headers: headers, body: body, defaults: defaults)
        try #require(events.count == 1)
        return EventBlock.encode(events[0])
    }

    @Test func itsBlockIsTheOneThatTheDecodedEventEncodesTo() throws {
        var random = SeededGenerator(seed: 5)
        var taken = 0
        let names = ["Accept", "User-Agent", "X-ce-a", "Cookie", "Content-Language", "c", "ce", "traceparent"]
        let types = [
            "application/json", "text/plain; charset=utf-8", "image/png", "nonsense", "a/b; c=\"d e\"", "text/plain; x",
            "", "application/cloudevents+json", "APPLICATION/CLOUDEVENTS-BATCH+JSON", "text/plain; a=é", "a\u{1}",
        ]
        for _ in 0..<20_000 {
            var headers = (0..<Int.random(in: 0..<4, using: &random)).map { _ in
                HTTPHeader(names.randomElement(using: &random) ?? "c", "value")
            }
            if Bool.random(using: &random), let type = types.randomElement(using: &random) {
                let name = ["Content-Type", "content-type", "CONTENT-TYPE"].randomElement(using: &random) ?? ""
                headers.insert(HTTPHeader(name, type), at: Int.random(in: 0...headers.count, using: &random))
            }
            let body = random.bytes(Int.random(in: 0..<20, using: &random))
            guard let block = Self.plain(headers, body).block else { continue }
            taken += 1
            #expect(try block == Self.thorough(headers, body), "\(headers) \(body)")
        }
        #expect(taken > 10_000, "most are plain")
    }

    @Test(arguments: ["ce-id", "CE-Type", "Ce-x", "Apus-Key", "prefer", "Apus-Timeout"])
    func whoeverSaysMoreIsReadThoroughly(name: String) {
        #expect(Self.plain([HTTPHeader(name, "1"), HTTPHeader("Content-Type", "text/plain")], []).block == nil)
        #expect(Self.plain([HTTPHeader("Content-Type", "text/plain"), HTTPHeader(name, "1")], []).block == nil)
    }

    @Test func whatAnEventMayNotHoldIsRefusedElsewhere() throws {
        let type = [HTTPHeader("Content-Type", "text/plain")]
        #expect(Self.plain(type, [UInt8](repeating: 0, count: Limits.eventBytes)).block == nil)
        let most = "a/" + String(repeating: "b", count: Limits.Server.plainTypeBytes - 2)
        #expect(Self.plain([HTTPHeader("Content-Type", most)], []).block != nil)
        #expect(Self.plain([HTTPHeader("Content-Type", most + "b")], []).block == nil)
    }

    @Test func itSaysWhetherThereMayBeATrace() {
        #expect(Self.plain([HTTPHeader("Traceparent", "00-1")], []).head.isTraced)
        #expect(!Self.plain([HTTPHeader("Accept", "00-1")], []).head.isTraced)
    }

    @Test func identitiesDiffer() {
        var generator = InvocationIDGenerator()
        let count = InvocationIDGenerator.identitiesAtOnce * 3 + 1
        #expect(Set((0..<count).map { _ in generator.next() }).count == count)
    }
}
