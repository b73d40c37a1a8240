import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Agents against the built binary: the official Python SDK as a client, and our own port of the public conformance suite's checks.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct ToolTests {
    private static let root = InstalledTree.packageRoot
    private static let fixtures = "\(root)/Tests/Fixtures/conformance"
    private static let schema = "\(root)/../shared/data/mcp-2026-07-28/schema.json"

    /// A server with the fixtures deployed, whose lists change when they ask for it.
    private static func serving() throws -> (TestServer, ChildProcess) {
        let server = try TestServer()
        try server.start()
        for folder in [self.fixtures, "\(self.fixtures)/jobs"] {
            let deployed = server.apus("deploy", folder, seconds: 120)
            #expect(deployed.status == 0, "\(deployed.errors)\(deployed.output)")
        }
        let follower = try server.begin(
            program: "/usr/bin/python3", ["-B", "\(self.fixtures)/follow.py", "\(server.tree)/bin/apus"])
        return (server, follower)
    }

    private static func run(
        _ peer: String, _ arguments: [String], environment: [String: String] = [:], seconds: Double
    ) throws -> ChildProcess {
        let process = try ChildProcess(
            "/usr/bin/python3",
            ["-B", "\(self.root)/Tests/IntegrationTests/Peers/\(peer).py", MCPPeer.packages] + arguments,
            environment: currentEnvironment().merging(environment) { $1 }, in: "/var/tmp")
        let status = process.wait(seconds: seconds)
        #expect(status == 0, "\(process.output)\(process.errors.suffix(4_000))")
        return process
    }

    @Test func agentsOfEveryEraUseTheTools() throws {
        if let reason = try MCPPeer.missing() { return print("skipped: \(reason)") }
        let (server, follower) = try Self.serving()
        defer {
            follower.signal(SIGKILL)
            _ = follower.wait(seconds: 10)
        }
        let caller = try Caller(server)
        let checked = try Self.run(
            "mcp_conformance",
            ["\(server.url)/mcp", caller.token] + (access(Self.schema, R_OK) == 0 ? [Self.schema] : []), seconds: 200)
        #expect(checked.output.contains("of 40 scenarios, 0 failed"), "\(checked.output)")
        let before = try Self.run("mcp_sessions", ["\(server.url)/mcp", caller.token], seconds: 200)
        #expect(before.output.contains("of 61 scenarios, 0 failed"), "\(before.output)")
        for mode in ["auto", "legacy", "2026-07-28"] {
            let http = try Self.run("mcp_sdk", [mode, "\(server.url)/mcp", caller.token], seconds: 100)
            #expect(http.output.contains("expectations hold"), "\(http.output)")
            let bridged = try Self.run(
                "mcp_sdk", [mode, "stdio", "\(server.tree)/bin/apus", "mcp", "--stdio"],
                environment: ["APUS_SERVER": server.url, "APUS_DATA": server.data], seconds: 100)
            #expect(bridged.output.contains("expectations hold"), "\(bridged.output)")
        }
    }

    private static let head = ["Content-Type": "application/json", "Accept": "application/json, text/event-stream"]
    private static let ping = #"{"jsonrpc":"2.0","id":2,"method":"ping"}"#

    @Test func aSessionOutlivesItsServerAndBelongsToWhoBeganIt() throws {
        let server = try TestServer()
        try server.start()
        let begun = try Caller(server).send(
            "POST", "/mcp", Self.head,
            body:
                #"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}"#
        )
        let id = try #require(begun.header("Mcp-Session-Id"), "\(begun.text)")
        server.kill9()
        try server.start()
        let caller = try Caller(server)
        let head = Self.head.merging(["Mcp-Session-Id": id]) { $1 }
        #expect(try caller.send("POST", "/mcp", head, body: Self.ping).status == 200)
        let made = server.apus("token", "create", "--name", "other", "--role", "caller", "--output", "json")
        let token = try #require(try JSONValue.parse(Array(made.output.utf8))["token"]?.string, "\(made.errors)")
        let others = head.merging(["Authorization": "Bearer \(token)"]) { $1 }
        #expect(try caller.send("POST", "/mcp", others, body: Self.ping, isKnown: false).status == 404)
        #expect(try caller.send("POST", "/mcp/none", head, body: Self.ping).status == 404)
        #expect(try caller.send("DELETE", "/mcp", head).status == 204)
        #expect(try caller.send("POST", "/mcp", head, body: Self.ping).status == 404)
    }

    private static func residentBytes(_ server: TestServer) throws -> Int {
        let pid = try #require(server.process?.pid)
        let status = String(decoding: try readFile("/proc/\(pid)/status"), as: UTF8.self)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") })
        return try #require(Int(line.filter(\.isNumber))) * 1_024
    }

    @Test func tenThousandSessionsTakeLittleMemory() throws {
        let server = try TestServer()
        try server.start()
        let caller = try Caller(server)
        func begin() throws {
            let answer = try caller.send(
                "POST", "/mcp", Self.head,
                body: #"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{}}}"#)
            #expect(answer.status == 200)
        }
        // What the first of anything takes is not theirs.
        for _ in 0..<500 { try begin() }
        let before = try Self.residentBytes(server)
        let count = 9_500
        for _ in 0..<count { try begin() }
        let each = (try Self.residentBytes(server) - before) / count
        print("a session takes \(each) bytes of memory")
        #expect(each <= 5 * 1_024)
    }
}
