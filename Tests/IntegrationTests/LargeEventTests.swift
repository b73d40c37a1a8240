import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Data that is too large for a record, from outside.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct LargeEventTests {
    private static let code = """
        import apus

        def handle(event, context):
            text = event.data["text"]
            if text.startswith("never"):
                raise apus.Reject("never")
            return {"length": len(text), "first": text[:3], "echo": text, "ref": event.attributes.get("dataref")}
        """

    private static func events(_ server: TestServer, _ topic: String) throws -> [JSONValue] {
        let page = try Caller(server).send("GET", "/v1/topics/\(topic)/events")
        return try JSONValue.parse(page.body).array ?? []
    }

    @Test func aFunctionGetsAndReturnsDataLargerThanARecord() throws {
        let server = try TestServer()
        try server.start()
        server.deploy(
            try server.write("worker", manifest: Functions.between("in", "out"), files: ["main.py": Self.code]))
        let text = "abc" + String(repeating: "x", count: 3 << 20)
        try writeFile("\(server.folder)/large.json", #"{"text": "\#(text)"}"#)
        let publish = server.apus("publish", "in", "--data", "@\(server.folder)/large.json")
        #expect(publish.status == 0, "\(publish.errors)")
        #expect(waitUntil(seconds: 30) { server.consume("out").count == 1 }, "\(server.log)")
        // Read with others, both refer to their data.
        let sent = try #require(try Self.events(server, "in").first)
        let reply = try #require(try Self.events(server, "out").first)
        for event in [sent, reply] {
            #expect(event["dataref"]?.string?.hasPrefix("apus:blob/") == true, "\(event.encoded().prefix(500))")
        }
        #expect(server.terminate() == 0)

        try server.start()
        // Alone, an event comes with its data.
        let partition = try #require(reply["apuspartition"]?.integer)
        let offset = try #require(reply["apusoffset"]?.integer)
        let whole = try Caller(server).send("GET", "/v1/topics/out/events/\(partition)/\(offset)")
        #expect(whole.status == 200)
        let result = try JSONValue.parse(whole.body)
        #expect(result["length"]?.integer == Int64(text.utf8.count) && result["first"]?.string == "abc")
        #expect(result["ref"] == .null, "the function saw it as if it had been in the event")
    }
}
