import ApusTestSupport
import Glibc
import Testing

/// What a trigger promises of its deliveries, on the built server, killed while it works.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct DeliveryTests {
    private static let topics = ["orders", "bills", "alerts", "refused"]

    private static func manifest(_ trigger: String) -> String {
        self.topics.map {
            "apiVersion: apus.dev/v1\nkind: Topic\nmetadata: {name: \($0)}\n---\n"
        }.joined() + """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: bill}
            spec:
              runtime: python3
              handler: main:bill
              emits: [alerts]
              triggers:
                - {topic: orders, replyTo: bills, deadLetter: refused, \(trigger)}
            """
    }

    private static let code = """
        import apus
        def bill(event, context):
            number = event.data["number"]
            if number % 10 == 3: raise apus.Reject("not this one")
            if number % 10 == 4 and context.attempt == 1: raise apus.Retry(after=0.01)
            context.emit("alerts", {"alert": number})
            return {"bill": number}
        """

    private func publish(_ server: TestServer, _ numbers: Range<Int>, id: String = "") throws {
        let lines = numbers.map {
            #"{"specversion":"1.0","id":"\#(id)\#($0)","source":"/shop","type":"order","data":{"number":\#($0)}}"#
        }
        try writeFile("\(server.folder)/part.ndjson", lines.joined(separator: "\n"))
        let publish = server.apus("publish", "orders", "--file", "\(server.folder)/part.ndjson")
        #expect(publish.status == 0, "\(publish.errors)")
    }

    /// How often each number stands in what a topic holds.
    private func times(_ server: TestServer, _ topic: String, _ name: String, _ number: Int) -> Int {
        server.consume(topic).count { $0.contains(#""\#(name)":\#(number)}"#) }
    }

    /// Behaviour 50.
    @Test func replyEmittedEventAndDeadLetterAreThereOnceHoweverOftenItIsKilled() throws {
        let server = try TestServer()
        try server.start()
        let trigger = "delivery: exactly-once, retry: {attempts: 3, initial: 10ms, max: 50ms}"
        server.deploy(try server.write("bill", manifest: Self.manifest(trigger), files: ["main.py": Self.code]))
        var random = SeededGenerator(seed: 5)
        for part in 0..<4 {
            try self.publish(server, part * 100..<part * 100 + 100)
            usleep(UInt32.random(in: 20_000...250_000, using: &random))
            server.kill9()
            try server.start()
        }
        let refused = (0..<400).filter { $0 % 10 == 3 }
        #expect(
            waitUntil(seconds: 60) {
                server.consume("bills").count >= 360 && server.consume("alerts").count >= 360
                    && server.consume("refused").count >= refused.count
            })
        for (topic, name) in [("bills", "bill"), ("alerts", "alert")] {
            let lines = server.consume(topic)
            #expect(lines.count == 360, "\(topic)")
            for number in 0..<400 {
                let count = lines.count { $0.contains(#""\#(name)":\#(number)}"#) }
                #expect(count == (number % 10 == 3 ? 0 : 1), "\(topic): \(number) is there \(count) times")
            }
        }
        #expect(server.consume("refused").count == refused.count)
    }

    /// Behaviour 52.
    @Test func anEventThatIsSentAgainIsNotRunAgainAlsoNotAfterAKill() throws {
        let server = try TestServer()
        try server.start()
        server.deploy(
            try server.write("bill", manifest: Self.manifest("dedup: {window: 1h}"), files: ["main.py": Self.code]))
        try self.publish(server, 0..<3)
        #expect(waitUntil(seconds: 30) { server.consume("bills").count == 3 })
        server.kill9()
        try server.start()
        try self.publish(server, 0..<3)
        try self.publish(server, 5..<6)
        #expect(waitUntil(seconds: 30) { self.times(server, "bills", "bill", 5) == 1 })
        #expect(server.consume("bills").count == 4)
        #expect(server.apus("get", "functions").status == 0)
    }
}
