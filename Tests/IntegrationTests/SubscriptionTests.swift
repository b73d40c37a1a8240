import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Positions, replays and pauses of triggers, through the built binary.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct SubscriptionTests {
    private static let code = """
        def handle(event, context):
            return {"n": event.data["n"], "replay": event.replay}
        """

    private func deploy(_ server: TestServer, trigger: String = "", code: String = SubscriptionTests.code) throws {
        server.deploy(
            try server.write(
                "worker", manifest: Functions.between("in", "out", trigger: trigger), files: ["main.py": code]))
    }

    private func publish(_ server: TestServer, _ numbers: Range<Int>) throws {
        let lines = numbers.map { #"{"key":"k\#($0 % 5)","data":{"n":\#($0)}}"# }.joined(separator: "\n") + "\n"
        try writeFile("\(server.folder)/events.ndjson", Array(lines.utf8))
        let published = server.apus("publish", "in", "--file", "\(server.folder)/events.ndjson")
        #expect(published.status == 0, "\(published.errors)")
    }

    private func items(_ server: TestServer, _ arguments: String...) throws -> [JSONValue] {
        let result = server.apus(arguments: arguments + ["--output", "json"])
        try #require(result.status == 0, "\(result.errors)")
        return try JSONValue.parse(Array(result.output.utf8))["items"]?.array ?? []
    }

    private func replies(_ server: TestServer, replay: Bool) -> [Int] {
        server.consume("out").filter { $0.contains("\"replay\":\(replay)") }.compactMap { line in
            line.firstRange(of: "\"n\":").flatMap { Int(line[$0.upperBound...].prefix { $0.isNumber }) }
        }
    }

    /// Behaviour 65.
    @Test func aReplayIsMarkedKeepsTheLivePositionAndEndsAlsoThroughAKill() throws {
        let server = try TestServer()
        try server.start()
        try self.deploy(server)
        try self.publish(server, 0..<60)
        #expect(waitUntil(seconds: 20) { self.replies(server, replay: false).count == 60 }, "\(server.log)")
        let before = try self.items(server, "get", "subscriptions", "worker", "--partitions")
        #expect(before.count == 1 && before[0]["lag"]?.integer == 0 && before[0]["state"]?.string == "caught_up")
        let plan = server.apus("replay", "worker", "--from", "1h", "--dry-run")
        #expect(plan.output.contains("would replay at most 60 events of worker/in"), "\(plan.output)\(plan.errors)")
        let begun = server.apus("replay", "worker", "--trigger", "in", "--from", "1h", "--rate", "20/s")
        #expect(begun.status == 0, "\(begun.errors)")
        // What comes meanwhile is live, and no part of it.
        try self.publish(server, 60..<65)
        #expect(waitUntil(seconds: 20) { self.replies(server, replay: true).count >= 5 }, "\(server.log)")
        let listed = try self.items(server, "get", "subscriptions")
        #expect(listed.count == 2 && listed[1]["replay"]?.string != nil)
        server.kill9()
        try server.start()
        #expect(
            waitUntil(seconds: 30) {
                (try? self.items(server, "replay", "list"))?.first?["state"]?.string == "finished"
            }, "\(server.apus("replay", "list").output)")
        // What the kill cut off may be given again; nothing is left out.
        #expect(Set(self.replies(server, replay: true)) == Set(0..<60))
        #expect(Set(self.replies(server, replay: false)) == Set(0..<65))
        let after = try self.items(server, "get", "subscriptions", "worker", "--partitions")
        #expect(after.count == 1 && after[0]["lag"]?.integer == 0)
        #expect(server.apus("delete", "worker").status == 0)
        #expect(try self.items(server, "replay", "list").isEmpty)
    }

    @Test func aReplayThatIsWaitedForWritesNothingWhenItShallNot() throws {
        let server = try TestServer()
        try server.start()
        try self.deploy(server)
        try self.publish(server, 0..<10)
        #expect(waitUntil(seconds: 20) { self.replies(server, replay: false).count == 10 }, "\(server.log)")
        let quiet = server.apus("replay", "worker", "--no-reply", "--wait")
        #expect(quiet.status == 0 && quiet.output.hasSuffix("finished\n"), "\(quiet.output)\(quiet.errors)")
        #expect(server.consume("out").count == 10)
        let slow = server.apus("replay", "worker", "--rate", "1/s", "--output", "json")
        let id = try #require(try JSONValue.parse(Array(slow.output.utf8))["id"]?.string)
        #expect(server.apus("replay", "cancel", "worker", id).output == "cancelled replay \(id)\n")
        #expect(server.apus("replay", "cancel", "worker", id).output == "replay \(id) had ended before\n")
        #expect(server.apus("replay", "show", "worker", id).output.contains("cancelled"))
        #expect(server.apus("replay", "show", "worker", "zzz").status == 3)
        #expect(server.apus("replay", "worker", "--from", "yesterday").status == 2)
        #expect(server.apus("replay", "worker", "--rate", "fast").status == 2)
        #expect(server.apus("replay", "nobody").status == 3)
    }

    @Test func aPausedTriggerStaysPausedThroughDeployAndKillAndShowsItsLag() throws {
        let server = try TestServer()
        try server.start()
        try self.deploy(server)
        #expect(server.apus("pause", "worker", "--trigger", "in").status == 0)
        try self.publish(server, 0..<4)
        try self.deploy(server, code: Self.code + "\n# another\n")
        server.kill9()
        try server.start()
        let shown = try #require(try self.items(server, "get", "subscriptions", "worker/in").first)
        #expect(shown["state"]?.string == "paused" && shown["lag"]?.integer == 4 && shown["oldest"]?.string != nil)
        #expect(server.apus("get", "subscriptions").output.contains("paused by admin since"))
        let described = server.apus("describe", "subscription", "worker/in")
        #expect(described.output.contains("watermark") || described.output.contains("POSITION"), "\(described.output)")
        #expect(server.apus("describe", "subscription", "worker/out").status == 3)
        #expect(server.apus("resume", "worker", "--trigger", "in").status == 0)
        #expect(waitUntil(seconds: 20) { self.replies(server, replay: false).count == 4 }, "\(server.log)")
        // A manifest can say so as well.
        try self.deploy(server, trigger: ", paused: true")
        try self.publish(server, 4..<5)
        let paused = try #require(try self.items(server, "get", "subscriptions").first)
        #expect(paused["state"]?.string == "paused")
        #expect(server.apus("get", "subscriptions").output.contains("paused by the manifest"))
        try self.deploy(server, trigger: ", paused: false")
        #expect(waitUntil(seconds: 20) { self.replies(server, replay: false).count == 5 }, "\(server.log)")
    }

    /// What `from` means is decided when the trigger is made, and not again.
    @Test func aPositionIsPinnedWhenItsTriggerIsMade() throws {
        let server = try TestServer()
        try server.start()
        try self.deploy(server, trigger: ", from: latest, name: first")
        try self.publish(server, 0..<6)
        #expect(waitUntil(seconds: 20) { self.replies(server, replay: false).count == 6 }, "\(server.log)")
        // The same trigger in another revision goes on.
        try self.deploy(server, trigger: ", from: latest, name: first", code: Self.code + "\n# another\n")
        #expect(try self.items(server, "get", "subscriptions").first?["generation"]?.integer == 1)
        // Another one starts where it says, even after a kill before anything was read.
        try self.deploy(server, trigger: ", from: latest, name: second, paused: true")
        try self.publish(server, 6..<9)
        server.kill9()
        try server.start()
        var shown = try #require(try self.items(server, "get", "subscriptions").first)
        #expect(shown["lag"]?.integer == 3 && shown["from"]?.string == "latest")
        try self.deploy(server, trigger: ", from: earliest, name: third, paused: true")
        shown = try #require(try self.items(server, "get", "subscriptions").first)
        #expect(shown["lag"]?.integer == 9 && shown["generation"]?.integer == 4)
        try self.deploy(server, trigger: ", from: latest, name: fourth")
        #expect(try self.items(server, "get", "subscriptions").first?["lag"]?.integer == 0)
        #expect(self.replies(server, replay: false).count == 6)
    }

    @Test func aDeliveryThatBlocksIsNamed() throws {
        let server = try TestServer()
        try server.start()
        let code = "def handle(event, context):\n    raise ValueError('no')\n"
        try self.deploy(
            server, trigger: ", retry: {attempts: 1, initial: 10ms, max: 200ms}, onExhausted: block", code: code)
        try self.publish(server, 0..<1)
        #expect(
            waitUntil(seconds: 20) {
                let blocks = (try? self.items(server, "get", "subscriptions"))?.first?["blocked"]?.array ?? []
                return blocks.contains { $0["code"]?.string == "exhausted" && $0["offset"]?.integer == 0 }
            }, "\(server.apus("get", "subscriptions").output)")
        #expect(server.apus("get", "subscriptions").output.contains("blocked"))
        try self.deploy(server, trigger: ", retry: {attempts: 1, initial: 10ms, max: 200ms}, onExhausted: block")
        #expect(waitUntil(seconds: 20) { self.replies(server, replay: false) == [0] }, "\(server.log)")
        #expect(try self.items(server, "get", "subscriptions").first?["blocked"]?.array?.isEmpty == true)
    }
}
