import ApusCore
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

@testable import ApusLog

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

    // MARK: positions as tools of Kafka's see them

    /// What such a tool sees and sets: offsets of the group of `worker/in`, in the partition of the key `k`.
    private struct Tool {
        let offsets: GroupOffsets
        let prefix: String
        let partition = Array("k".utf8).withUnsafeBytes { Murmur2.partition(of: $0, among: 4) }

        init(_ prefix: String) throws {
            self.prefix = prefix
            self.offsets = GroupOffsets(
                client: try KafkaClient(
                    KafkaLogConfiguration(bootstrap: try KafkaBroker.bootstrap()),
                    .positions(group: "\(prefix)tool"), name: "tool"))
        }

        private func group(_ offset: Int64) -> GroupOffsets.Group {
            GroupOffsets.Group(
                name: "\(self.prefix)apus.default.worker.in",
                places: [GroupOffsets.Place(topic: "\(self.prefix)in", partition: self.partition, offset: offset)])
        }

        func offset() throws -> Int64? { try self.offsets.committed([self.group(-1)])[0].get().first?.offset }
        func set(_ offset: Int64) throws { _ = try self.offsets.set([self.group(offset)])[0].get() }
    }

    /// Behaviour 9: an operator moves a paused subscription back, and one whose server is stopped forward.
    @Test func aPositionThatAToolMovedIsFollowedAfterAPauseAndAfterARestart() throws {
        let name = "it\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        let server = try TestServer(
            arguments: ["--kafka", try KafkaBroker.bootstrap()],
            variables: ["APUS_LOG_KAFKA_CLUSTER": name, "APUS_LOG_KAFKA_TOPIC_PREFIX": "\(name)."])
        try server.start()
        let tool = try Tool("\(name).")
        let code = """
            def handle(event, context):
                return {"n": event.data["n"]}
            """
        let manifest = Functions.between("in", "out")
        server.deploy(try server.write("worker", manifest: manifest, files: ["main.py": code]))
        func publish(_ numbers: Range<Int>) throws {
            let lines = numbers.map { #"{"key":"k","data":{"n":\#($0)}}"# }.joined(separator: "\n") + "\n"
            try writeFile("\(server.folder)/events.ndjson", Array(lines.utf8))
            #expect(server.apus("publish", "in", "--file", "\(server.folder)/events.ndjson").status == 0)
        }
        func replies() -> [Int] {
            server.consume("out").compactMap { line in
                line.firstRange(of: "\"n\":").flatMap { Int(line[$0.upperBound...].prefix { $0.isNumber }) }
            }
        }
        try publish(0..<20)
        #expect(waitUntil(seconds: 60) { replies().count == 20 }, "\(server.log)")
        #expect(waitUntil(seconds: 30) { (try? tool.offset()) == 20 }, "\(server.log)")

        let trigger = try #require(try self.subscriptions(server).first?["trigger"]?.string)
        #expect(server.apus("pause", "worker", "--trigger", trigger).status == 0)
        try tool.set(15)
        #expect(server.apus("resume", "worker", "--trigger", trigger).status == 0)
        #expect(waitUntil(seconds: 60) { replies().count == 25 }, "\(server.log)")
        #expect(Array(replies().suffix(5)) == Array(15..<20))
        #expect(waitUntil(seconds: 30) { (try? tool.offset()) == 20 }, "\(server.log)")

        // While it runs an order waits, and is shown.
        try tool.set(18)
        try publish(20..<21)
        #expect(waitUntil(seconds: 60) { replies().count == 26 }, "\(server.log)")
        #expect(
            waitUntil(seconds: 30) {
                (try? self.subscriptions(server))?.first?["blocked"]?.array?.first?["code"]?.string == "position_moved"
            }, "\(server.log)")
        #expect(try tool.offset() == 18 && replies().count == 26)

        #expect(server.terminate() == 0, "\(server.log)")
        try tool.set(19)
        try server.start()
        #expect(waitUntil(seconds: 60) { replies().count == 28 }, "\(server.log)")
        #expect(Array(replies().suffix(2)) == [19, 20])
        #expect(waitUntil(seconds: 30) { (try? tool.offset()) == 21 }, "\(server.log)")
    }

    /// A reply topic that somebody deletes with Kafka's tools: the functions beside it, of the same share, go on.
    @Test func aReplyTopicThatWasDeletedHoldsUpItsOwnFunctionOnly() throws {
        let name = "it\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        let server = try TestServer(
            arguments: ["--kafka", try KafkaBroker.bootstrap()],
            variables: ["APUS_LOG_KAFKA_CLUSTER": name, "APUS_LOG_KAFKA_TOPIC_PREFIX": "\(name)."])
        try server.start()
        // One topic, so one share.
        server.deploy(
            try server.write("first", manifest: Functions.between("in", "gone"), files: ["main.py": Functions.echo]))
        let other = Functions.between("in", "out").replacing("name: worker", with: "name: other")
        server.deploy(try server.write("second", manifest: other, files: ["main.py": Functions.echo]))
        #expect(server.apus("publish", "in", "--data", #"{"text": "first"}"#).status == 0)
        #expect(
            waitUntil(seconds: 60) { server.consume("out").count == 1 && server.consume("gone").count == 1 },
            "\(server.log)")
        let admin = KafkaAdmin(
            client: try KafkaClient(
                KafkaLogConfiguration(bootstrap: try KafkaBroker.bootstrap()), .admin, name: "tool"))
        try admin.delete("\(name).gone")
        #expect(server.apus("publish", "in", "--data", #"{"text": "second"}"#).status == 0)
        // What was on its way with a reply to the topic that is gone may come again.
        func texts(_ topic: String) -> Set<String> {
            Set(server.consume(topic).compactMap { line in
                ["first", "second", "third"].first { line.contains("\"\($0)\"") }
            })
        }
        #expect(waitUntil(seconds: 90) { texts("out") == ["first", "second"] }, "\(server.log)")
        #expect(
            waitUntil(seconds: 60) {
                (try? self.subscriptions(server))?.contains { row in
                    row["function"]?.string == "worker"
                        && row["blocked"]?.array?.first?["code"]?.string == "output_refused"
                } ?? false
            }, "\(server.log)")
        #expect(server.apus("publish", "in", "--data", #"{"text": "third"}"#).status == 0)
        #expect(waitUntil(seconds: 60) { texts("out") == ["first", "second", "third"] }, "\(server.log)")
        // It goes on by itself.
        try admin.create("\(name).gone", partitions: 4, replicas: nil, [])
        #expect(waitUntil(seconds: 90) { texts("gone") == ["second", "third"] }, "\(server.log)")
    }
}
