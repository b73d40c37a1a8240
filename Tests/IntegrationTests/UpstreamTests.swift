import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Other MCP servers whose tools are offered here: over HTTP through the way out, and in a sandbox of ours.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct UpstreamTests {
    private static let root = InstalledTree.packageRoot
    private static let packages = "\(root)/.build/peers/mcp"

    /// A server, and an upstream beside it whose list is in a file.
    private struct Scene {
        let server: TestServer
        let scratch: ScratchDirectory
        var peer: ChildProcess
        let port: Int

        var tools: String { "\(self.scratch.path)/tools.json" }
        var record: String { String(decoding: (try? readFile("\(self.scratch.path)/record")) ?? [], as: UTF8.self) }

        static func begin(_ scratch: ScratchDirectory, port: Int) throws -> ChildProcess {
            try ChildProcess(
                "/usr/bin/python3",
                [
                    "-B", "\(UpstreamTests.root)/Tests/IntegrationTests/Peers/mcp_upstream.py", "\(port)",
                    "\(scratch.path)/both.pem", "\(scratch.path)/tools.json", "\(scratch.path)/record",
                ], in: scratch.path)
        }

        init() throws {
            self.scratch = ScratchDirectory()
            try writeFile("\(self.scratch.path)/ca.pem", TestCertificate.chain)
            try writeFile("\(self.scratch.path)/both.pem", TestCertificate.chain + TestCertificate.key)
            try writeFile("\(self.scratch.path)/record", "")
            try writeFile("\(self.scratch.path)/tools.json", UpstreamTests.list())
            self.peer = try Self.begin(self.scratch, port: 0)
            let peer = self.peer
            try #require(waitUntil(seconds: 20) { peer.output.contains("\n") }, "\(peer.errors)")
            self.port = try #require(Int(self.peer.output.split(whereSeparator: \.isWhitespace).first ?? ""))
            self.server = try TestServer(
                arguments: ["--egress-allow-private", "127.0.0.1:\(self.port)", "--egress-ca", "\(self.scratch.path)/ca.pem"])
            try self.server.start()
        }

        func deploy(_ more: String = "", refresh: String = "10s") throws {
            let manifest = """
                apiVersion: apus.dev/v1
                kind: Upstream
                metadata: {name: issues}
                spec: {url: "https://localhost:\(self.port)/mcp", refresh: \(refresh), timeout: 20s\(more)}
                """
            let path = "\(self.server.folder)/issues.yaml"
            try writeFile(path, manifest)
            let deployed = self.server.apus("deploy", path, seconds: 60)
            #expect(deployed.status == 0, "\(deployed.errors)\(deployed.output)")
        }

        func names() -> [String] {
            let answer = self.server.apus("tools", "list", "--output", "json")
            let items = (try? JSONValue.parse(Array(answer.output.utf8)))?["items"]?.array ?? []
            return items.compactMap { $0["name"]?.string }.sorted()
        }

        func waitFor(_ names: [String], seconds: Double = 40) -> Bool { waitUntil(seconds: seconds) { self.names() == names } }
    }

    private static func list(search: String = "Finds issues.") -> String {
        """
        [{"name": "search", "description": "\(search)",
          "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}},
         {"name": "slow", "description": "Takes long.", "inputSchema": {"type": "object"}},
         {"name": "liar", "description": "Adds.", "inputSchema": {"type": "object"},
          "outputSchema": {"type": "object", "properties": {"sum": {"type": "number"}}, "required": ["sum"]}}]
        """
    }

    private static let all = ["issues_liar", "issues_search", "issues_slow"]

    @Test func anUpstreamOverHTTPIsOfferedCalledAndNeverSeesItsCallers() throws {
        let scene = try Scene()
        defer { scene.peer.signal(SIGKILL) }
        let secret = "s3cret-\(UInt64.random(in: 0 ... .max))"
        #expect(scene.server.apus(arguments: ["secret", "set", "ISSUES"], input: secret).status == 0)
        try scene.deploy(#", inject: [{secret: ISSUES, prefix: "Bearer "}]"#)
        #expect(scene.waitFor(Self.all), "\(scene.names()) \(scene.server.apus("get", "upstreams").output)")
        let called = scene.server.apus("tools", "call", "issues_search", "--data", #"{"text": "leak"}"#)
        #expect(called.output.contains(#"{"text": "leak"}"#), "\(called)")
        let wrong = scene.server.apus("tools", "call", "issues_search", "--data", "{}")
        #expect((wrong.output + wrong.errors).contains("do not fit the tool's schema"), "\(wrong)")
        let liar = scene.server.apus("tools", "call", "issues_liar")
        #expect((liar.output + liar.errors).contains("does not fit its own schema"), "\(liar)")
        // The upstream was sent its own credential each time, and nothing of who calls.
        let token = try Caller(scene.server).token
        let lines = scene.record.split(separator: "\n").map(String.init)
        #expect(lines.count >= 5 && lines.allSatisfy { $0.contains(#""credential": \#("Bearer ".utf8.count + secret.utf8.count),"#) })
        #expect(!scene.record.contains(token) && !scene.record.contains("admin") && !scene.record.contains(secret))
        let shown = scene.server.apus("get", "upstreams")
        #expect(shown.output.contains("issues") && shown.output.contains("yes"), "\(shown)")
        #expect(scene.server.apus("delete", "function", "issues").status == 1)
        #expect(scene.server.apus("delete", "upstream", "issues").status == 0)
        #expect(scene.waitFor([]))
        #expect(!scene.server.apus("get", "functions").output.contains("issues"))
    }

    @Test func aToolThatChangesIsQuarantinedUntilItIsAccepted() throws {
        let scene = try Scene()
        defer { scene.peer.signal(SIGKILL) }
        try scene.deploy()
        #expect(scene.waitFor(Self.all))
        try writeFile(scene.tools, Self.list(search: "Finds issues and more."))
        #expect(scene.waitFor(["issues_liar", "issues_slow"]), "\(scene.names())")
        let refused = scene.server.apus("tools", "call", "issues_search", "--data", #"{"text": "x"}"#)
        #expect(refused.status != 0 && (refused.errors + refused.output).contains("Unknown tool"), "\(refused)")
        let shown = scene.server.apus("tools", "accept", "issues_search", "--dry-run")
        for line in [#"- "description": "Finds issues.""#, #"+ "description": "Finds issues and more.""#] {
            #expect(shown.errors.replacing("   \"", with: " \"").contains(line), "\(shown.errors)")
        }
        #expect(scene.names() == ["issues_liar", "issues_slow"])
        #expect(scene.server.apus("tools", "accept", "issues_search").status == 0)
        #expect(scene.waitFor(Self.all))
        // What was decided lasts.
        #expect(scene.server.apus("tools", "disable", "issues_slow").status == 0)
        #expect(scene.waitFor(["issues_liar", "issues_search"]))
        scene.server.kill9()
        try scene.server.start()
        #expect(scene.waitFor(["issues_liar", "issues_search"]))
        #expect(scene.server.apus("tools", "enable", "issues_slow").status == 0)
        #expect(scene.waitFor(Self.all))
        #expect(scene.server.apus("tools", "accept", "issues_search").status == 1)
    }

    @Test func toolsStayListedWhileTheirUpstreamIsDownAndComeBackWithIt() throws {
        var scene = try Scene()
        try scene.deploy()
        #expect(scene.waitFor(Self.all))
        scene.peer.signal(SIGKILL)
        _ = scene.peer.wait(seconds: 10)
        for _ in 0..<6 {
            let down = scene.server.apus("tools", "call", "issues_search", "--data", #"{"text": "x"}"#)
            #expect((down.output + down.errors).contains("backend unavailable, retry after"), "\(down)")
        }
        let refused = scene.server.apus("tools", "call", "issues_search", "--data", #"{"text": "x"}"#)
        #expect((refused.output + refused.errors).contains("did not answer the calls before"), "\(refused)")
        #expect(scene.names() == Self.all)
        // After a restart, too: the list is what was decided.
        scene.server.kill9()
        try scene.server.start()
        #expect(scene.waitFor(Self.all))
        scene.peer = try Scene.begin(scene.scratch, port: scene.port)
        defer { scene.peer.signal(SIGKILL) }
        let isBack = waitUntil(seconds: 60) {
            scene.server.apus("tools", "call", "issues_search", "--data", #"{"text": "x"}"#).output.contains(#""text": "x""#)
        }
        #expect(isBack)
    }

    @Test func progressIsToldAndACallThatIsLeftIsCancelledThere() throws {
        let scene = try Scene()
        defer { scene.peer.signal(SIGKILL) }
        try scene.deploy()
        #expect(scene.waitFor(Self.all))
        let call = try scene.server.begin("tools", "call", "issues_slow")
        #expect(waitUntil(seconds: 30) { call.errors.contains("half of it") }, "\(call.errors)")
        call.signal(SIGKILL)
        #expect(waitUntil(seconds: 30) { scene.record.contains(#"{"left": true}"#) })
    }

    @Test func aServerOfTheOfficialSDKIsAnUpstream() throws {
        guard access("\(Self.packages)/mcp", R_OK) == 0 else {
            return print("skipped: the official SDK is not installed (the tests of tools install it)")
        }
        let peer = try ChildProcess(
            "/usr/bin/python3",
            ["-B", "\(Self.root)/Tests/IntegrationTests/Peers/mcp_sdk_server.py", Self.packages, "0"], in: "/var/tmp")
        defer { peer.signal(SIGKILL) }
        try #require(waitUntil(seconds: 60) { peer.errors.contains("Uvicorn running") }, "\(peer.errors)")
        let said = peer.errors.split(separator: "http://127.0.0.1:").last?.prefix { $0.isNumber } ?? ""
        let port = try #require(Int(said), "\(peer.errors)")
        let server = try TestServer(arguments: ["--egress-allow-private", "127.0.0.1:\(port)"])
        try server.start()
        let path = "\(server.folder)/sums.yaml"
        try writeFile(
            path,
            "apiVersion: apus.dev/v1\nkind: Upstream\nmetadata: {name: sums}\nspec: {url: \"http://localhost:\(port)/mcp\"}\n")
        let deployed = server.apus("deploy", path, seconds: 60)
        #expect(deployed.status == 0, "\(deployed.errors)")
        let isListed = waitUntil(seconds: 40) { server.apus("tools", "list").output.contains("sums_add") }
        #expect(isListed, "\(server.apus("get", "upstreams").output)")
        let sum = server.apus("tools", "call", "sums_add", "--data", #"{"a": 2, "b": 40}"#)
        #expect(sum.output.contains("42"), "\(sum)")
        let failed = server.apus("tools", "call", "sums_fail", "--data", #"{"why": "because"}"#)
        #expect(failed.status == 1 && (failed.output + failed.errors).contains("Error executing tool fail"), "\(failed)")
    }

    /// `examples/sandboxed-mcp-server`: a server from the package index, which needs that to be reached.
    @Test func theExampleOfAServerFromThePackageIndexChecksItself() throws {
        let reached = try ChildProcess(
            "/usr/bin/python3", ["-m", "pip", "download", "--quiet", "--no-deps", "--dest", "/var/tmp/apus-mcp-probe", "mcp-server-time==2026.10.19"],
            in: "/var/tmp")
        guard reached.wait(seconds: 60) == 0 else {
            return print("skipped: the package index cannot be reached: \(reached.errors.suffix(200))")
        }
        let server = try TestServer()
        try server.start()
        let run = try ChildProcess(
            "/usr/bin/python3", ["-B", "\(Self.root)/examples/sandboxed-mcp-server/run.py"],
            environment: currentEnvironment().merging([
                "APUS": "\(server.tree)/bin/apus", "APUS_SERVER": server.url, "APUS_DATA": server.data,
            ]) { $1 }, in: "/var/tmp")
        #expect(run.wait(seconds: 240) == 0, "\(run.output)\(run.errors)")
        #expect(run.output.contains("Asia/Tokyo"))
    }
}
