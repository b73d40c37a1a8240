import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Tools that call tools: `functions/run-code` as users deploy it, and functions of their own.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct ToolsThatCallTests {
    private static func tool(_ name: String, _ input: String = "{type: object}", _ extra: String = "") -> String {
        """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: \(name)}
        spec:
          runtime: python3
          handler: main:\(name)
          source: .
          timeout: 60s
          scale: {max: 8}
          tool: {name: \(name), input: \(input)\(extra)}

        """
    }

    private static let manifest = [
        tool(
            "add",
            "{type: object, properties: {a: {type: integer}, b: {type: integer}}, required: [a, b], additionalProperties: false}"),
        tool("hidden", "{type: object}", ", scopes: [vault]"), tool("nested"), tool("large"), tool("slow"), tool("asks"),
        tool("leaves"),
        "apiVersion: apus.dev/v1\nkind: ToolServer\nmetadata: {name: small}\nspec: {tools: {names: [run_code, large]}}\n",
    ].joined(separator: "---\n")

    private static let code = """
        import time
        import apus

        def add(event, context):
            return {"sum": event.data["a"] + event.data["b"], "caller": context.caller}

        def hidden(event, context):
            return "open"

        def nested(event, context):
            return context.call("add", a=1, b=2)

        def large(event, context):
            return "x" * event.data.get("size", 1)

        def slow(event, context):
            for step in range(600):
                if context.cancelled:
                    raise apus.Reject("cancelled")
                time.sleep(0.1)

        def asks(event, context):
            return context.ask({"type": "object", "properties": {"a": {"type": "string"}}}, "What?")

        def leaves(event, context):
            import threading
            def call():
                try:
                    context.call("slow")
                except Exception:
                    pass
            thread = threading.Thread(target=call, daemon=True)
            thread.start()
            time.sleep(1)
            return "left"
        """

    private func serving() throws -> (TestServer, ToolCaller) {
        let server = try TestServer()
        try server.start()
        server.deploy("\(InstalledTree.packageRoot)/functions/run-code")
        server.deploy(try server.write("tools", manifest: Self.manifest, files: ["main.py": Self.code]))
        return (server, ToolCaller(caller: try Caller(server)))
    }

    private func agent(_ server: TestServer, _ name: String, _ arguments: [String] = []) throws -> String {
        let made = server.apus(arguments: ["agent", "create", name] + arguments + ["--output", "json"])
        return try #require(try JSONValue.parse(Array(made.output.utf8))["token"]?.string, "\(made.errors)")
    }

    private func records(_ server: TestServer, _ arguments: [String]) throws -> [JSONValue] {
        let found = server.apus(arguments: ["audit", "search", "--limit", "500", "--output", "json"] + arguments)
        let json = try JSONValue.parse(Array(found.output.utf8))
        // Deploys of the tools are records too, which these tests do not count.
        return (json["items"]?.array ?? json.array ?? []).filter { $0["kind"]?.string == "call" }
    }

    private func text(_ answer: JSONValue) -> String {
        (answer["result"]?["content"]?.array ?? []).compactMap { $0["text"]?.string }.joined()
    }

    private func result(_ answer: JSONValue) -> JSONValue? { answer["result"]?["structuredContent"]?["result"] }

    @Test func twentyToolsAreCalledInOneCallWithTheCallersRights() throws {
        let (server, admin) = try self.serving()
        let token = try self.agent(server, "worker")
        let agent = ToolCaller(caller: admin.caller, token: token)
        let answer = try agent.run(
            "total = 0\nfor n in range(20):\n    total = call('add', a=total, b=n)['sum']\ntotal, call('add', a=0, b=0)['caller']")
        #expect(self.result(answer) == [190, "worker"], "\(answer)")
        #expect(answer["result"]?["structuredContent"]?["calls"] == 21)
        // Each is in the audit under its own name, beside the one that made them.
        let inner = try self.records(server, ["--principal", "worker", "--subject", "add"])
        #expect(inner.count == 21 && inner.allSatisfy { $0["decision"]?.string == "allowed" }, "\(inner)")
        #expect(try self.records(server, ["--principal", "worker", "--subject", "run_code"]).count == 1)

        // What is refused surfaces in the script: arguments that do not fit, tools that this caller may not see or that there are not.
        let refused = try agent.run(
            """
            seen = []
            for name, arguments in (("add", {"a": "x", "b": 1}), ("hidden", {}), ("nothing", {}), ("add", {"a": 1})):
                try:
                    call(name, arguments)
                except CallFailed as failure:
                    seen.append([failure.code, failure.message])
            seen
            """)
        let seen = try #require(self.result(refused)?.array, "\(refused)")
        #expect(seen.count == 4)
        #expect(seen[0][0]?.string == "tool_failed" && seen[0][1]?.string?.contains("/a") == true, "\(seen)")
        #expect(seen[1] == ["invalid_argument", "Unknown tool: hidden"])
        #expect(seen[2] == ["invalid_argument", "Unknown tool: nothing"])
        #expect(try self.records(server, ["--principal", "worker", "--subject", "hidden", "--decision", "refused"]).count == 1)
        // The administrator sees it, and the same script goes through.
        #expect(self.result(try admin.run("call('hidden')")) == "open")
        // One that nobody catches is an error that the model reads.
        let failed = try agent.run("print('before')\ncall('hidden')")
        #expect(failed["result"]?["isError"] == true)
        #expect(self.text(failed).contains("Unknown tool: hidden") && self.text(failed).contains("before"), "\(failed)")
        // Nobody's rights, nobody's tools.
        let direct = server.apus("invoke", "run-code", "--data", #"{"code": "call('add', a=1, b=2)"}"#)
        #expect(direct.status != 0 && direct.errors.contains("nobody does"), "\(direct.errors)")
    }

    @Test func depthCountServersAndBoundsHold() throws {
        let (server, admin) = try self.serving()
        // Depth: as an agent calls it, it may call; as a script does, not.
        #expect(try admin.call("nested")["result"]?["structuredContent"]?["sum"] == 3)
        let deep = try admin.run("call('nested')")
        #expect(deep["result"]?["isError"] == true && self.text(deep).contains("the depth is one"), "\(deep)")

        let counted = try admin.run(
            """
            done = 0
            for n in range(103):
                try:
                    call("add", a=n, b=1)
                    done += 1
                except CallFailed as failure:
                    last = failure.code
            done, last
            """)
        #expect(self.result(counted) == [100, "limit_reached"], "\(counted)")

        // What is too much for a model is not for a script; past its own bound it is told.
        #expect(self.result(try admin.run("len(call('large', size=3_000_000))")) == 3_000_000)
        let large = try admin.run("call('large', size=5_000_000)")
        #expect(large["result"]?["isError"] == true && self.text(large).contains("at most 4194304"), "\(large)")
        let arguments = try admin.run("call('add', a='x' * 300_000, b=1)")
        #expect(self.text(arguments).contains("at most"), "\(arguments)")

        // Nobody can be asked.
        let asked = try admin.run("call('asks')")
        #expect(asked["result"]?["isError"] == true, "\(asked)")

        // A tool server holds for scripts, too.
        let small = ToolCaller(caller: admin.caller, path: "/mcp/small")
        #expect(self.result(try small.run("call('large')")) == "x")
        #expect(self.text(try small.run("call('add', a=1, b=2)")).contains("Unknown tool: add"))

        // Bounds of the caller count each call: the outer one and two inner ones.
        let token = try self.agent(server, "short", ["--per-day", "3"])
        let bounded = ToolCaller(caller: admin.caller, token: token)
        let over = try bounded.run("[call('add', a=n, b=0)['sum'] for n in range(3)]")
        #expect(over["result"]?["isError"] == true && self.text(over).contains("3 calls a day"), "\(over)")
    }

    @Test func whatACallStartedEndsWithIt() throws {
        let (server, admin) = try self.serving()
        // The caller leaves while a script waits for a tool.
        let client = try server.begin("tools", "call", "run_code", "--data", #"{"code": "call('slow')"}"#)
        let runs = waitUntil(seconds: 30) { server.apus("get", "instances").output.contains("slow") }
        #expect(runs, "\(server.apus("get", "instances").output)")
        client.signal(SIGKILL)
        _ = client.wait(seconds: 10)
        let isCancelled = waitUntil(seconds: 30) {
            let found = (try? self.records(server, ["--subject", "slow"])) ?? []
            return found.count == 1 && found.allSatisfy { $0["code"]?.string == "cancelled" }
        }
        #expect(isCancelled, "\(server.apus("audit", "search", "--subject", "slow").output)")
        // A function that returns while a call of its own is under way.
        #expect(self.text(try admin.call("leaves")) == "left")
        let isGivenUp = waitUntil(seconds: 30) {
            ((try? self.records(server, ["--subject", "slow"])) ?? []).filter { $0["code"]?.string == "cancelled" }.count >= 2
        }
        #expect(isGivenUp, "\(server.apus("audit", "search", "--subject", "slow").output)")
        #expect(self.result(try admin.run("call('add', a=1, b=1)['sum']")) == 2)
    }
}
