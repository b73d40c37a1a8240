import ApusCore
import ApusHTTP
import ApusTestSupport
import Testing

@testable import ApusServer

@Suite struct PlainResultTests {
    private static func result(_ event: Event) -> (type: String, data: [UInt8]?)? {
        EventBlock.encode(event).withUnsafeBytes { bytes in
            PlainResult(bytes).map { ($0.type, $0.data.map { Array($0) }) }
        }
    }

    @Test func aPlainResultIsWhatTheEventWouldBeAnsweredWith() throws {
        var random = SeededGenerator(seed: 9)
        let call = InvocationCall(
            function: try #require(ResourceName(.default, "f")), id: InvocationID(high: 1, low: 2), way: .direct)
        let types = ["application/json", "text/plain", "text/plain; charset=utf-8", "image/png", "nonsense", ""]
        let accepts: [String?] = [
            nil, "*/*", "application/json", "text/plain", "application/cloudevents+json", "text/html", "application/*",
        ]
        var taken = 0
        for _ in 0..<20_000 {
            var event = Event(attributes: [], data: Int.random(in: 0..<5, using: &random) == 0 ? nil : random.bytes(3))
            if Int.random(in: 0..<8, using: &random) > 0 {
                event.attributes.append(Attribute("datacontenttype", types.randomElement(using: &random) ?? ""))
            }
            if Int.random(in: 0..<6, using: &random) == 0 {
                event.attributes.append(
                    Attribute("subject", "s", kind: Bool.random(using: &random) ? .header : .string))
            }
            if Int.random(in: 0..<9, using: &random) == 0 { event.key = [1] }
            let accept = accepts.randomElement(using: &random) ?? nil
            let isTaken = EventBlock.encode(event).withUnsafeBytes { PlainResult($0)?.isTaken(by: accept) ?? false }
            guard isTaken, let plain = Self.result(event) else { continue }
            taken += 1
            let thorough = try CloudEventAnswer.of(event, call, accept: AcceptHeader(accept))
            #expect(thorough.headers.isEmpty && thorough.body == plain.data, "\(event) for \(accept ?? "none")")
            #expect(thorough.contentType == plain.type, "\(event)")
        }
        #expect(taken > 2_000)
    }

    @Test func whatIsNoBlockIsNoResult() {
        for count in 0..<40 {
            let bytes = [UInt8](repeating: 0xFF, count: count)
            #expect(bytes.withUnsafeBytes { PlainResult($0) == nil })
        }
    }
}
