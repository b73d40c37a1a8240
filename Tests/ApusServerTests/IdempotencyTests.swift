import ApusCore
import ApusHTTP
import ApusJSON
import ApusTestSupport
import Testing

@testable import ApusServer

/// Requests that come again under the same `Idempotency-Key`.
@Suite struct IdempotencyTests {
    private func publish(_ bed: ServerBed, _ key: String?, body: String, topic: String = "orders") throws
        -> HTTPResponse
    {
        try bed.ask(
            "POST", "/v1/topics/\(topic)/events",
            headers: [HTTPHeader("Content-Type", "application/json")]
                + (key.map { [HTTPHeader("Idempotency-Key", $0)] } ?? []), body: body)
    }

    private func makeTopic(_ bed: ServerBed, _ name: String, partitions: Int = 1) throws {
        let manifest =
            #"{"apiVersion":"apus.dev/v1","kind":"Topic","metadata":{"name":"\#(name)"},"spec":{"partitions":\#(partitions)}}"#
        let answer = try bed.ask(
            "PUT", "/v1/topics/\(name)", headers: [HTTPHeader("Content-Type", "application/json")], body: manifest)
        try #require((200...201).contains(answer.status))
    }

    private func count(_ bed: ServerBed, _ topic: String, partitions: Int = 1) throws -> Int {
        let name = try #require(TopicName(.default, topic))
        return try (0..<partitions).reduce(0) { try $0 + Int(bed.log.bounds(of: TopicPartition(name, $1)).end) }
    }

    @Test func aRepeatedPublicationIsAnsweredTheSameAndAppendsNothing() throws {
        let bed = try ServerBed()
        defer { bed.server.stop() }
        try self.makeTopic(bed, "orders")
        let first = try self.publish(bed, "a-1", body: "1")
        #expect(first.status == 202)
        #expect(first.header("Apus-Repeated") == nil)
        let second = try self.publish(bed, "\"a-1\"", body: "1")
        #expect(second.status == 202)
        #expect(second.header("Apus-Repeated") == "true")
        #expect(second.body == first.body)
        #expect(second.header("Apus-Position") == first.header("Apus-Position"))
        #expect(try self.count(bed, "orders") == 1)
        #expect(try self.publish(bed, "a-2", body: "1").status == 202)
        #expect(try self.publish(bed, nil, body: "1").status == 202)
        #expect(try self.count(bed, "orders") == 3)
    }

    @Test func aKeyBelongsToOneRequestAndOneTopic() throws {
        let bed = try ServerBed()
        defer { bed.server.stop() }
        try self.makeTopic(bed, "orders")
        try self.makeTopic(bed, "others")
        #expect(try self.publish(bed, "k", body: "1").status == 202)
        let refused = try self.publish(bed, "k", body: "2")
        #expect(refused.status == 409)
        #expect(try JSONValue.parse(refused.body)["code"]?.string == "conflict")
        #expect(try self.publish(bed, "k", body: "1", topic: "others").header("Apus-Repeated") == nil)
    }

    @Test(arguments: ["a b", "\"\"", String(repeating: "x", count: Limits.Server.idempotencyKeyBytes + 1), "ä"])
    func whatIsNoKeyIsRefused(_ key: String) throws {
        let bed = try ServerBed()
        defer { bed.server.stop() }
        try self.makeTopic(bed, "orders")
        #expect(try self.publish(bed, key, body: "1").status == 400)
        #expect(try self.count(bed, "orders") == 0)
    }

    @Test func theLongestKeyIsTaken() throws {
        let bed = try ServerBed()
        defer { bed.server.stop() }
        try self.makeTopic(bed, "orders")
        let key = String(repeating: "x", count: Limits.Server.idempotencyKeyBytes)
        #expect(try self.publish(bed, key, body: "1").status == 202)
        #expect(try self.publish(bed, key, body: "1").header("Apus-Repeated") == "true")
    }

    @Test func aRepeatedInvocationIsAcceptedOnce() throws {
        let bed = try ServerBed()
        defer { bed.server.stop() }
        #expect(try bed.makeFunction("f").status == 200)
        func accept(_ key: String) throws -> HTTPResponse {
            try bed.ask(
                "POST", "/v1/functions/f/invoke",
                headers: [
                    HTTPHeader("Prefer", "respond-async"), HTTPHeader("Content-Type", "application/json"),
                    HTTPHeader("Idempotency-Key", key),
                ], body: "1")
        }
        let first = try accept("k")
        #expect(first.status == 202)
        let second = try accept("k")
        #expect(second.status == 202)
        #expect(second.header("Apus-Invocation") == first.header("Apus-Invocation"))
        #expect(second.header("Apus-Repeated") == "true")
        #expect(try accept("other").header("Apus-Invocation") != first.header("Apus-Invocation"))
        let list = try JSONValue.parse(try bed.ask("GET", "/v1/invocations").body)
        #expect(list["items"]?.array?.count == 2)
    }

    @Test func repetitionsOfAnEventWithoutAKeyMeetInOnePartition() throws {
        let bed = try ServerBed()
        defer { bed.server.stop() }
        try self.makeTopic(bed, "spread", partitions: 8)
        var partitions: [Int: Set<Int>] = [:]
        for _ in 0..<3 {
            for id in 0..<20 {
                let answer = try bed.ask(
                    "POST", "/v1/topics/spread/events",
                    headers: [
                        HTTPHeader("ce-specversion", "1.0"), HTTPHeader("ce-id", "\(id)"),
                        HTTPHeader("ce-source", "/shop"), HTTPHeader("ce-type", "t"),
                    ], body: "1")
                let place = try JSONValue.parse(answer.body)["events"]?.array?.first
                partitions[id, default: []].insert(try #require(place?["partition"]?.int))
            }
        }
        #expect(partitions.values.allSatisfy { $0.count == 1 })
        #expect(Set(partitions.values.flatMap { $0 }).count > 3, "they are spread all the same")
    }
}
