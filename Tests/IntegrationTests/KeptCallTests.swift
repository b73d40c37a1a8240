import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Calls of tools that last, on the built binary: by a key, through the end of the server.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct KeptCallTests {
    private static let root = InstalledTree.packageRoot

    private struct Bed {
        let server: TestServer
        let other: String

        init() throws {
            self.server = try TestServer()
            try self.server.start()
            for folder in ["tasks", "conformance/jobs"] {
                let deployed = self.server.apus("deploy", "\(KeptCallTests.root)/Tests/Fixtures/\(folder)", seconds: 120)
                #expect(deployed.status == 0, "\(deployed.errors)\(deployed.output)")
            }
            let made = self.server.apus("token", "create", "--name", "other", "--role", "caller", "--output", "json")
            self.other = try #require(try JSONValue.parse(Array(made.output.utf8))["token"]?.string, "\(made.errors)")
        }

        func begin(_ phase: String, _ given: String? = nil) throws -> ChildProcess {
            let peer = "\(KeptCallTests.root)/Tests/IntegrationTests/Peers/mcp_kept.py"
            let token = try Caller(self.server).token
            return try ChildProcess(
                "/usr/bin/python3",
                ["-B", peer, MCPPeer.packages, phase, "\(self.server.url)/mcp", token, self.other]
                    + (given.map { [$0] } ?? []), environment: currentEnvironment(), in: "/var/tmp")
        }

        /// - Returns: what the phase hands on.
        func run(_ phase: String, _ given: String? = nil) throws -> String {
            let process = try self.begin(phase, given)
            let status = process.wait(seconds: 150)
            #expect(status == 0, "\(process.output)\(process.errors.suffix(4_000))")
            #expect(process.output.contains("expectations hold"), "\(process.output)")
            return process.output.split(separator: "\n").dropLast().last.map(String.init) ?? ""
        }

        /// How many workers of a function run something.
        func instances(of function: String) throws -> Int {
            let listed = try Caller(self.server).send("GET", "/v1/instances")
            let all = try JSONValue.parse(Array(listed.text.utf8))["items"]?.array ?? []
            return all.count { $0["function"]?.string == function && $0["state"]?.string == "busy" }
        }

        func invocations(of function: String) throws -> [JSONValue] {
            let listed = try Caller(self.server).send("GET", "/v1/invocations?function=\(function)")
            return try JSONValue.parse(Array(listed.text.utf8))["items"]?.array ?? []
        }
    }

    @Test func aCallWithAKeyRunsOnceAndIsKept() throws {
        if let reason = try MCPPeer.missing() { return print("skipped: \(reason)") }
        let bed = try Bed()
        let given = try bed.run("keys")
        // Of the hundred at once, and of the other caller's.
        #expect(try bed.invocations(of: "draw").count == 2)
        #expect(try bed.invocations(of: "fail").map { $0["attempts"]?.integer } == [1])
        bed.server.kill9()
        try bed.server.start()
        _ = try bed.run("kept", given)
        #expect(try bed.invocations(of: "draw").count == 2)
    }

    @Test func aCachedResultAnswersTheSameCallOfTheSameCaller() throws {
        if let reason = try MCPPeer.missing() { return print("skipped: \(reason)") }
        let bed = try Bed()
        _ = try bed.run("cache")
        let found = bed.server.apus("audit", "search", "--output", "json")
        #expect(found.output.components(of: "\"cached\"") == 2, "\(found.output)\(found.errors)")
    }

    @Test func tasksAreWhatTheExtensionSays() throws {
        if let reason = try MCPPeer.missing() { return print("skipped: \(reason)") }
        let bed = try Bed()
        _ = try bed.run("tasks")
        let workers = try bed.instances(of: "stubborn")
        #expect(workers == 0, "the sandbox of a cancelled task is gone")
    }

    @Test func callsThatLastAskTheirCallers() throws {
        if let reason = try MCPPeer.missing() { return print("skipped: \(reason)") }
        let bed = try Bed()
        let given = try bed.run("asking")
        bed.server.kill9()
        try bed.server.start()
        _ = try bed.run("asked", given)
    }

    @Test func aCallThatAsksGoesOnWithTheVersionThatAsked() throws {
        if let reason = try MCPPeer.missing() { return print("skipped: \(reason)") }
        _ = try Bed().run("versions")
    }

    @Test func whatTakesTooLongIsKilledAndSaysSo() throws {
        if let reason = try MCPPeer.missing() { return print("skipped: \(reason)") }
        _ = try Bed().run("late")
    }

    @Test func whatTasksAskIsBounded() throws {
        if let reason = try MCPPeer.missing() { return print("skipped: \(reason)") }
        _ = try Bed().run("bounds")
    }

    @Test func tasksBeginOnceSomebodyAgrees() throws {
        if let reason = try MCPPeer.missing() { return print("skipped: \(reason)") }
        let bed = try Bed()
        let made = bed.server.apus("token", "create", "--name", "judge", "--role", "approver", "--output", "json")
        let judge = try #require(try JSONValue.parse(Array(made.output.utf8))["token"]?.string, "\(made.errors)")
        let given = try bed.run("approving", #"{"judge":"\#(judge)"}"#)
        bed.server.kill9()
        try bed.server.start()
        _ = try bed.run("approved", given)
        let audit = bed.server.apus("audit", "search", "--limit", "500", "--output", "json").output
        let records = try JSONValue.parse(audit)["items"]?.array ?? []
        let events = records.filter { $0["kind"]?.string == "approval" }.compactMap { $0["code"]?.string }
        let counts = Dictionary(grouping: events) { $0 }.mapValues(\.count)
        // Asked at the client: five, the cancelled one, that with a key, that with a key twice, that which asks more, the kept one.
        // Elsewhere: five.
        #expect(counts["requested"] == 16, "\(counts)")
        #expect(counts["declined"] == 5 && counts["accepted"] == 9, "\(counts)")
        #expect(bed.server.apus("audit", "verify").status == 0)
    }

    @Test func tasksOutliveTheServer() throws {
        if let reason = try MCPPeer.missing() { return print("skipped: \(reason)") }
        let bed = try Bed()
        let given = try bed.run("many")
        bed.server.kill9()
        try bed.server.start()
        _ = try bed.run("ended", given)
        let all = try bed.invocations(of: "draw-later")
        #expect(all.count == 100 && all.allSatisfy { $0["state"]?.string == "succeeded" })
    }

    /// The server is killed again and again between the beginnings of tasks and their ends: some wait then, some run.
    @Test func tasksReachTheirEndsThroughManyKills() throws {
        if let reason = try MCPPeer.missing() { return print("skipped: \(reason)") }
        let bed = try Bed()
        let kills = currentEnvironment()["APUS_SOAK"] == nil ? 5 : 100
        var tasks: [(name: String, json: JSONValue)] = []
        for round in 0..<kills {
            let made = try JSONValue.parse(try bed.run("mix"))
            tasks += made["tasks"]?.object?.members.map { ($0.name, $0.value) } ?? []
            if round % 2 == 1 {
                let isRunning = try waitUntil(seconds: 30) {
                    try bed.invocations(of: "draw-later").contains { $0["state"]?.string != "queued" }
                }
                #expect(isRunning)
            }
            bed.server.kill9()
            try bed.server.start()
        }
        #expect(tasks.count == 6 * kills)
        var given = JSONObject()
        for task in tasks { given[task.name] = task.json }
        _ = try bed.run("mixed", String(decoding: JSONValue.object(["tasks": .object(given)]).encoded(), as: UTF8.self))
        #expect(try bed.invocations(of: "draw-later").count == min(2 * kills, 100))
    }

    /// As its users write the extension, and without it.
    @Test(arguments: ["auto", "legacy", "2026-07-28"]) func theOfficialClientWaitsForTasks(_ mode: String) throws {
        if let reason = try MCPPeer.missing() { return print("skipped: \(reason)") }
        let bed = try Bed()
        let process = try ChildProcess(
            "/usr/bin/python3",
            [
                "-B", "\(Self.root)/Tests/IntegrationTests/Peers/mcp_tasks.py", MCPPeer.packages, mode,
                "\(bed.server.url)/mcp", try Caller(bed.server).token,
            ], environment: currentEnvironment(), in: "/var/tmp")
        #expect(process.wait(seconds: 120) == 0, "\(process.output)\(process.errors.suffix(4_000))")
        #expect(process.output.contains("expectations hold"), "\(process.output)")
    }

    @Test func aCallThatTheServersEndCutsOffGoesOn() throws {
        if let reason = try MCPPeer.missing() { return print("skipped: \(reason)") }
        let bed = try Bed()
        let begun = try bed.begin("begin")
        #expect(try waitUntil(seconds: 30) { try bed.invocations(of: "draw").first?["state"]?.string == "running" })
        bed.server.kill9()
        #expect(begun.wait(seconds: 30) == 0, "\(begun.errors.suffix(2_000))")
        try bed.server.start()
        _ = try bed.run("resume")
        let all = try bed.invocations(of: "draw")
        #expect(all.count == 1 && all[0]["state"]?.string == "succeeded", "\(all)")
    }
}

extension String {
    /// How often a text is in it.
    fileprivate func components(of part: String) -> Int {
        let (text, part) = (Array(self.utf8), Array(part.utf8))
        guard text.count >= part.count else { return 0 }
        return (0...text.count - part.count).count { text[$0..<$0 + part.count].elementsEqual(part) }
    }
}
