import ApusCore
import ApusHTTP
import Testing

@testable import ApusServer

@Suite struct BatchedModeTests {
    private static func event(_ id: Int, _ more: String = "") -> String {
        #"{"specversion":"1.0","id":"\#(id)","source":"/s","type":"t"\#(more)}"#
    }

    @Test func readsEachEventInOrder() throws {
        let body =
            " [ \(Self.event(1, #","data":["]",",{",1e400]"#)) ,\n\(Self.event(2, #","partitionkey":"p""#)),\(Self.event(3)) ] "
        let events = try Sent.batch(body)
        #expect(events.map { $0["id"] } == ["1", "2", "3"])
        #expect(text(events[0].data) == #"["]",",{",1e400]"#)
        #expect(text(events[1].key) == "p")
        #expect(events[2].data == nil)
    }

    @Test(arguments: ["[]", " [ \n] "]) func mayBeEmpty(body: String) throws { #expect(try Sent.batch(body) == []) }

    @Test(arguments: ["", "[", "[,]", "[{},]", "[{}", "[1 2]"]) func refusesWhatIsNoJSON(body: String) {
        expectRefusal(.invalidJSON, body) { () throws(ApusError) in try Sent.batch(body) }
    }

    @Test(arguments: ["{}", "1", #""[]""#, "null"]) func refusesWhatIsNoArray(body: String) {
        expectRefusal(.invalidEvent, body) { () throws(ApusError) in try Sent.batch(body) }
    }

    @Test func refusesTheWholeBatchForOneEventAndSaysWhich() {
        do throws(ApusError) {
            _ = try Sent.batch("[\(Self.event(1)),{}]")
            Issue.record("accepted")
        } catch {
            #expect(error.code == .invalidEvent && error.message.hasPrefix("event 1 of the batch: "))
        }
        expectRefusal(.invalidJSON) { () throws(ApusError) in try Sent.batch("[1]") }
        expectRefusal(.invalidJSON) { () throws(ApusError) in try Sent.batch("[[\(Self.event(1))]]") }
    }

    @Test func refusesAKeyForAllOfThem() {
        let headers = [HTTPHeader("Content-Type", "application/cloudevents-batch+json"), HTTPHeader("Apus-Key", "k")]
        expectRefusal(.invalidEvent) { () throws(ApusError) in
            try CloudEventDecoder.events(
                headers: headers, body: Array("[\(Self.event(1))]".utf8), defaults: Sent.defaults)
        }
    }

    @Test func boundsTheNumberOfEvents() throws {
        func body(_ count: Int) -> String { "[\((0..<count).map { Self.event($0) }.joined(separator: ","))]" }
        #expect(try Sent.batch(body(Limits.Server.eventsPerRequest)).count == Limits.Server.eventsPerRequest)
        expectRefusal(.limitReached) { () throws(ApusError) in
            try Sent.batch(body(Limits.Server.eventsPerRequest + 1)).count
        }
    }

    @Test(
        arguments: [
            ("[]", []), ("[1]", ["1"]),
            (#" [ "a]\"," , {"b":[1,2]} ,[3],null ] "#, [#""a]\","  "#, #"{"b":[1,2]} "#, "[3]", "null "]),
            (#"["\\",1]"#, [#""\\""#, "1"]), ("[[],[[]]]", ["[]", "[[]]"]),
        ] as [(String, [String])]) func findsTheElementsOfAnArray(array: String, elements: [String])
    {
        let bytes = Array(array.utf8)
        let found = ArrayElements.ranges(of: bytes)?.map { String(decoding: bytes[$0], as: UTF8.self) }
        #expect(found?.map(trimmed) == elements.map(trimmed))
        #expect(ArrayElements.ranges(of: Array("{}".utf8)) == nil)
    }

    private func trimmed(_ text: String) -> String { String(text.reversed().drop { $0 == " " }.reversed()) }
}
