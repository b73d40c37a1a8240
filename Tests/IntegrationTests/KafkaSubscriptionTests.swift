import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Positions and replays of a server on a real Kafka.
@Suite(
    .serialized, .enabled(if: KafkaBroker.isThere, Comment(rawValue: KafkaBroker.skipReason)),
    .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct KafkaSubscriptionTests {
    private func subscriptions(_ server: TestServer) throws -> [JSONValue] {
        let result = server.apus("get", "subscriptions", "--partitions", "--output", "json")
        try #require(result.status == 0, "\(result.errors)")
        return try JSONValue.parse(Array(result.output.utf8))["items"]?.array ?? []
    }

    private func replies(_ server: TestServer, replay: Bool) -> [Int] {
        server.consume("out").filter { $0.contains("\"replay\":\(replay)") }.compactMap { line in
            line.firstRange(of: "\"n\":").flatMap { Int(line[$0.upperBound...].prefix { $0.isNumber }) }
        }
    }

    /// Behaviours 5, 65: no lag behind what ends a transaction; a replay leaves the live position where it is, is marked, and ends.
    @Test func aReplayEndsAndTheLivePositionStaysAtTheEnd() throws {
        let name = "it\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        let server = try TestServer(
            arguments: ["--kafka", try KafkaBroker.bootstrap()],
            variables: ["APUS_LOG_KAFKA_CLUSTER": name, "APUS_LOG_KAFKA_TOPIC_PREFIX": "\(name)."])
        try server.start()
        let code = """
            def handle(event, context):
                return {"n": event.data["n"], "replay": event.replay}
            """
        server.deploy(
            try server.write("worker", manifest: Functions.between("in", "out"), files: ["main.py": code]))
        let lines = (0..<40).map { #"{"key":"k\#($0 % 5)","data":{"n":\#($0)}}"# }.joined(separator: "\n") + "\n"
        try writeFile("\(server.folder)/events.ndjson", Array(lines.utf8))
        #expect(server.apus("publish", "in", "--file", "\(server.folder)/events.ndjson").status == 0)
        #expect(waitUntil(seconds: 60) { self.replies(server, replay: false).count == 40 }, "\(server.log)")
        #expect(waitUntil(seconds: 20) { (try? self.subscriptions(server))?.first?["lag"]?.integer == 0 })
        let before = try #require(try self.subscriptions(server).first)
        let replay = server.apus("replay", "worker", "--from", "1h", "--rate", "unlimited", "--wait", seconds: 90)
        #expect(replay.status == 0 && replay.output.hasSuffix("finished\n"), "\(replay.output)\(replay.errors)")
        #expect(waitUntil(seconds: 20) { Set(self.replies(server, replay: true)) == Set(0..<40) }, "\(server.log)")
        #expect(self.replies(server, replay: false).count == 40)
        let after = try self.subscriptions(server)
        let positions: (JSONValue) -> [Int64?] = { $0["partitions"]?.array?.map { $0["position"]?.integer } ?? [] }
        #expect(after.count == 1 && positions(after[0]) == positions(before), "\(after)")
        #expect(after.first?["state"]?.string == "caught_up" && after.first?["counters"]?["lost"]?.integer == 0)
    }
}
