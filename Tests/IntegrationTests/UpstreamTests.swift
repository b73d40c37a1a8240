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

        func deploy(
            _ more: String = "", refresh: String = "10s", name: String = "issues", at place: String = "/mcp", timeout: String = "20s"
        ) throws {
            let manifest = """
                apiVersion: apus.dev/v1
                kind: Upstream
                metadata: {name: \(name)}
                spec: {url: "https://localhost:\(self.port)\(place)", refresh: \(refresh), timeout: \(timeout)\(more)}
                """
            let path = "\(self.server.folder)/\(name).yaml"
            try writeFile(path, manifest)
            let deployed = self.server.apus("deploy", path, seconds: 60)
            #expect(deployed.status == 0, "\(deployed.errors)\(deployed.output)")
        }

        /// - Returns: the credential that the upstream is sent with each request.
        func deployWithSecret() throws -> String {
            let secret = "s3cret-\(UInt64.random(in: 0 ... .max))"
            #expect(self.server.apus(arguments: ["secret", "set", "ISSUES"], input: secret).status == 0)
            try self.deploy(#", inject: [{secret: ISSUES, prefix: "Bearer "}]"#)
            #expect(self.waitFor(UpstreamTests.all), "\(self.names()) \(self.server.apus("get", "upstreams").output)")
            return secret
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
        let secret = try scene.deployWithSecret()
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
        // Who decided what, with the hashes of what was accepted before and what is now.
        let audit = try JSONValue.parse(
            scene.server.apus("audit", "search", "--subject", "issues_search", "--output", "json").output)["items"]?.array ?? []
        let accepted = try #require(audit.first { $0["kind"] == "change" && $0["code"] == "accepted" }, "\(audit)")
        let (new, old) = (accepted["sha256"]?.string ?? "", accepted["sha256Before"]?.string ?? "")
        #expect(new.utf8.count == 64 && old.utf8.count == 64 && new != old && accepted["principal"] == "admin", "\(accepted)")
        #expect(scene.server.apus("audit", "verify").status == 0)
        let switched = scene.server.apus("audit", "search", "--subject", "issues_slow").output
        #expect(switched.contains("disabled") && switched.contains("enabled"), "\(switched)")
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

    @Test func anUpstreamThatWithholdsItsListHoldsUpNobodyElses() throws {
        let scene = try Scene()
        defer { scene.peer.signal(SIGKILL) }
        let hold = "\(scene.tools).hold"
        try writeFile(hold, "")
        try scene.deploy(name: "slow", at: "/slow", timeout: "10m")
        #expect(waitUntil(seconds: 40) { scene.record.contains(#""path": "/slow""#) && scene.record.contains("tools/list") })
        // It is asked and does not answer. Lists are given, and another's is asked for, taken and refreshed.
        #expect(scene.names() == [])
        try scene.deploy()
        #expect(scene.waitFor(Self.all), "\(scene.names())")
        let called = scene.server.apus("tools", "call", "issues_search", "--data", #"{"text": "x"}"#)
        #expect(called.output.contains(#""text": "x""#), "\(called)")
        try writeFile(scene.tools, Self.list(search: "Finds issues and more."))
        #expect(scene.waitFor(["issues_liar", "issues_slow"]), "\(scene.names())")
        #expect(!scene.server.apus("get", "upstreams").output.contains("gives no list"))
        #expect(unlink(hold) == 0)
        #expect(scene.waitFor(["issues_liar", "issues_slow", "slow_liar", "slow_search", "slow_slow"]), "\(scene.names())")
    }

    @Test func aListThatChangedDuringACallIsAskedForAtOnceAndListenersAreTold() throws {
        let scene = try Scene()
        defer { scene.peer.signal(SIGKILL) }
        try scene.deploy(refresh: "1h")
        #expect(scene.waitFor(Self.all))
        let token = try Caller(scene.server).token
        let listener = try ChildProcess(
            "/usr/bin/python3",
            ["-B", "-u", "\(Self.root)/Tests/IntegrationTests/Peers/mcp_listen.py", "\(scene.server.url)/mcp", token], in: "/var/tmp")
        defer { listener.signal(SIGKILL) }
        #expect(waitUntil(seconds: 30) { listener.output.contains("acknowledged") }, "\(listener.output)\(listener.errors)")
        try writeFile(scene.tools, Self.list(search: "Finds issues and more."))
        let called = scene.server.apus("tools", "call", "issues_search", "--data", #"{"text": "announce"}"#)
        #expect(called.status == 0, "\(called)")
        #expect(scene.waitFor(["issues_liar", "issues_slow"]), "\(scene.names())")
        #expect(waitUntil(seconds: 30) { listener.output.contains("notifications/tools/list_changed") }, "\(listener.output)")
    }

    /// An upstream that quotes the credential it is sent, plain or written with escapes, does not tell it to agents.
    @Test func whatAnUpstreamAsksIsMasked() throws {
        let scene = try Scene()
        defer { scene.peer.signal(SIGKILL) }
        let secret = try scene.deployWithSecret()
        let tools = ToolCaller(caller: try Caller(scene.server))
        let meta: [String: JSONValue] = [
            "io.modelcontextprotocol/clientCapabilities": ["elicitation": ["form": [:], "url": [:]]]
        ]
        var params: [String: JSONValue] = ["name": "issues_search", "arguments": ["text": "ask"]]
        let asked = try tools.ask("tools/call", params, meta: meta)
        #expect(!asked.text.contains(secret), "\(asked.text)")
        let result = try #require(try ToolCaller.message(asked)["result"], "\(asked.text)")
        let (form, page) = (result["inputRequests"]?["who"]?["params"], result["inputRequests"]?["page"]?["params"])
        #expect(form?["message"]?.string == "is *** yours?", "\(asked.text)")
        let name = form?["requestedSchema"]?["properties"]?["name"]
        #expect(name?["description"]?.string == "beside ***" && name?["default"]?.string == "***", "\(asked.text)")
        #expect(page?["url"]?.string == "https://example.com/?key=***", "\(asked.text)")
        // What it wants back is sealed, and it gets back what it gave.
        params["requestState"] = result["requestState"]
        params["inputResponses"] = ["who": ["action": "accept", "content": ["name": "Ada"]], "page": ["action": "accept"]]
        let answered = try tools.ask("tools/call", params, meta: meta)
        #expect(try ToolCaller.message(answered)["result"]?["content"]?[0]?["text"]?.string == #"{"text": "ask"}"#, "\(answered.text)")
        #expect(!answered.text.contains(secret) && !answered.text.contains("input_required"), "\(answered.text)")
        #expect(scene.record.contains(#""requestState": "state with \#(secret)""#), "\(scene.record.suffix(2_000))")
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

    /// A server of the official SDK, and an upstream that is it; nil where the SDK is not installed.
    private static func sums() throws -> (peer: ChildProcess, url: String, server: TestServer)? {
        guard access("\(Self.packages)/mcp", R_OK) == 0 else {
            print("skipped: the official SDK is not installed (the tests of tools install it)")
            return nil
        }
        let peer = try ChildProcess(
            "/usr/bin/python3",
            ["-B", "\(Self.root)/Tests/IntegrationTests/Peers/mcp_sdk_server.py", Self.packages, "0"], in: "/var/tmp")
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
        return (peer, "http://127.0.0.1:\(port)/mcp", server)
    }

    @Test func aServerOfTheOfficialSDKIsAnUpstream() throws {
        guard let (peer, _, server) = try Self.sums() else { return }
        defer { peer.signal(SIGKILL) }
        let sum = server.apus("tools", "call", "sums_add", "--data", #"{"a": 2, "b": 40}"#)
        #expect(sum.output.contains("42"), "\(sum)")
        let failed = server.apus("tools", "call", "sums_fail", "--data", #"{"why": "because"}"#)
        #expect(failed.status == 1 && (failed.output + failed.errors).contains("Error executing tool fail"), "\(failed)")
    }

    /// What a client of the official SDK asks, is asked and is told, at the server itself and through us.
    private static func relayed(_ url: String, _ token: String, _ prefix: String, _ mode: String, _ answer: String) throws -> JSONValue {
        let client = try ChildProcess(
            "/usr/bin/python3",
            [
                "-B", "\(Self.root)/Tests/IntegrationTests/Peers/mcp_relay.py", Self.packages, mode, url, token, prefix, answer,
            ], in: "/var/tmp")
        #expect(client.wait(seconds: 120) == 0, "\(client.output)\(client.errors.suffix(3_000))")
        return try JSONValue.parse(client.output)
    }

    @Test func questionsAndProgressThroughUsAreThoseOfTheServerItself() throws {
        guard let (peer, url, server) = try Self.sums() else { return }
        defer { peer.signal(SIGKILL) }
        let token = try Caller(server).token
        for mode in ["2026-07-28", "auto", "legacy"] {
            let direct = try Self.relayed(url, "", "", mode, "accept")
            #expect(direct["calls"]?["order"]?["text"]?.string == "soup of size 7 for Ada", "\(direct)")
            let ours = try Self.relayed("\(server.url)/mcp", token, "sums_", mode, "accept")
            #expect(ours["calls"] == direct["calls"], "\(mode)")
            #expect(ours["asked"] == direct["asked"], "\(mode)")
            #expect(ours["told"] == direct["told"], "\(mode)")
            #expect(direct["asked"]?.array?.count == 3 && direct["told"]?.array?.count == 3, "\(direct)")
        }
        let declined = try Self.relayed("\(server.url)/mcp", token, "sums_", "2026-07-28", "decline")
        #expect(declined["calls"]?["order"]?["error"]?.boolean == true, "\(declined)")
        // A client that cannot be asked is told so by the tool, and goes on.
        for mode in ["2026-07-28", "legacy"] {
            let mute = try Self.relayed("\(server.url)/mcp", token, "sums_", mode, "mute")
            for tool in ["order", "muse"] {
                #expect(mute["calls"]?[tool]?["error"]?.boolean == true, "\(mute)")
            }
            #expect(mute["calls"]?["steps"]?["text"] == "done", "\(mute)")
        }
    }

    private static func offers(_ url: String, _ token: String, _ prefix: String, _ mode: String) throws -> JSONValue {
        let client = try ChildProcess(
            "/usr/bin/python3",
            ["-B", "\(Self.root)/Tests/IntegrationTests/Peers/mcp_offers.py", Self.packages, mode, url, token, prefix], in: "/var/tmp")
        #expect(client.wait(seconds: 120) == 0, "\(client.output)\(client.errors.suffix(3_000))")
        return try JSONValue.parse(client.output)
    }

    @Test func promptsResourcesAndCompletionThroughUsAreThoseOfTheServerItself() throws {
        guard let (peer, url, server) = try Self.sums() else { return }
        defer { peer.signal(SIGKILL) }
        let token = try Caller(server).token
        for mode in ["2026-07-28", "legacy"] {
            let direct = try Self.offers(url, "", "", mode)
            let ours = try Self.offers("\(server.url)/mcp", token, "sums_", mode)
            #expect(direct["note://monday/morning"]?[0]?["text"]?.string == "morning of monday", "\(direct)")
            for name in direct.object?.names ?? [] {
                #expect(ours[name] == direct[name], "\(mode) \(name): \(ours[name] ?? .null) is not \(direct[name] ?? .null)")
            }
        }
        // Each can be hidden and shown like a tool.
        #expect(server.apus("describe", "upstream", "sums").output.contains("prompt:sums_welcome"))
        #expect(server.apus("tools", "disable", "prompt:sums_welcome").status == 0)
        let hidden = try AgentCall(url: server.url, token: token).list("prompts")
        #expect(hidden["result"]?["prompts"]?.array?.isEmpty == true, "\(hidden)")
        #expect(server.apus("tools", "enable", "prompt:sums_welcome").status == 0)
        let shown = try AgentCall(url: server.url, token: token).list("prompts")
        #expect(shown["result"]?["prompts"]?[0]?["name"]?.string == "sums_welcome", "\(shown)")
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
