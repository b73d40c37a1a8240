import ApusCore
import ApusHTTP
import Testing

@testable import ApusServer

@Suite struct HTTPTriggerRequestTests {
    private static let id = InvocationID(high: 1, low: 2)

    private func event(_ headers: [(String, String)], query: String? = nil, body: [UInt8] = []) throws(ApusError)
        -> Event
    {
        let head = HTTPTriggerRequest.Head(
            method: "POST", path: "/a/é b", parameters: RouteParameters(names: ["id"], values: ["é b"]),
            rawPath: "/fn/a/%C3%A9%20b", rawQuery: query, headers: headers.map { HTTPHeader($0.0, $0.1) })
        return try HTTPTriggerRequest.event(head, body: body, id: Self.id)
    }

    private func headers(_ event: Event) -> [String] {
        event.attributes.filter { $0.kind == .header }.map { "\($0.name): \($0.text)" }
    }

    @Test func aPlainRequestIsWrapped() throws {
        let event = try self.event([("Content-Type", "text/plain")], query: "a=1", body: Array("hello".utf8))
        #expect(event["id"] == Self.id.description && event["type"] == "dev.apus.http.request")
        #expect(event["source"] == "/fn/a/%C3%A9%20b" && event["datacontenttype"] == "text/plain")
        #expect(event.data == Array("hello".utf8))
        #expect(
            self.headers(event) == [
                "apus-http-method: POST", "apus-http-path: /a/é b", "apus-http-param-id: é b", "apus-http-query: a=1",
                "content-type: text/plain",
            ])
    }

    @Test func aCloudEventIsTakenAsItIs() throws {
        let binary = try self.event(Sent.required + [("Content-Type", "application/json")], body: Array("1".utf8))
        #expect(binary["id"] == "1" && binary["type"] == "t" && binary["source"] == "/s")
        let body = Array(#"{"specversion":"1.0","id":"2","source":"/s","type":"t","data":[1]}"#.utf8)
        let structured = try self.event([("Content-Type", "application/cloudevents+json")], body: body)
        #expect(structured["id"] == "2" && structured.data == Array("[1]".utf8))
        #expect(self.headers(structured).contains("apus-http-method: POST"))
        expectRefusal(.invalidEvent) { () throws(ApusError) in
            try self.event([("Content-Type", "application/cloudevents-batch+json")], body: Array("[]".utf8))
        }
        expectRefusal(.unsupportedMediaType) { () throws(ApusError) in
            try self.event([("Content-Type", "application/cloudevents+avro")])
        }
    }

    @Test func whatProvesWhoTheCallerIsAndWhatIsThePlatformsNeverReachesAFunction() throws {
        let sent = [
            "Authorization", "Cookie", "Proxy-Authorization", "Connection", "Transfer-Encoding", "TE", "Upgrade",
            "Expect",
            "Apus-Http-Method", "APUS-Http-Param-id", "apus-hops", "Keep-Alive",
        ].map { ($0, "secret") }
        let event = try self.event(sent + [("X-Own", "mine"), ("x-own", "again"), ("Host", "h")])
        #expect(
            self.headers(event) == [
                "apus-http-method: POST", "apus-http-path: /a/é b", "apus-http-param-id: é b", "x-own: mine",
                "x-own: again",
                "host: h",
            ])
    }

    @Test(arguments: ["a=%", "a=%zz", "%C0%80=1"]) func aQueryThatCannotBeReadIsRefused(query: String) {
        expectRefusal(.invalidArgument) { () throws(ApusError) in try self.event([], query: query) }
    }

    @Test func anEventHasRoomForABoundedNumberOfHeaders() throws {
        // Beside them: id, source, type, method, path and one parameter.
        let most = (0..<Limits.attributesPerEvent - 6).map { ("x-\($0)", "v") }
        #expect(try self.event(most).attributes.count == Limits.attributesPerEvent)
        expectRefusal(.eventTooLarge) { () throws(ApusError) in try self.event(most + [("y", "v")]).key as Any }
    }
}
