import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// What an agent's calls may cost, against the built binary.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct AgentBudgetTests {
    private static let manifest = ["spend", "later", "talk", "sheet"].map { name in
        let offer =
            switch name {
            case "later": "tool: {name: later, input: {type: object}, async: required}"
            case "talk": "prompt: {name: talk}"
            case "sheet": "resource: {name: sheet, uri: \"shop://sheet\", mimeType: text/plain}"
            default: "tool: {name: spend, input: {type: object, properties: {n: {type: integer}}}}"
            }
        return """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: \(name)}
            spec:
              description: Takes its time.
              runtime: python3
              handler: main:handle
              source: .
              timeout: 30s
              \(offer)

            """
    }.joined(separator: "---\n")

    private static let code = """
        import time
        def handle(event, context):
            time.sleep(0.05)
            return "done"
        """

    private static func agent(_ server: TestServer, _ name: String, _ arguments: String...) throws -> String {
        let made = server.apus(arguments: ["agent", "create", name] + arguments + ["--output", "json"])
        return try #require(try JSONValue.parse(Array(made.output.utf8))["token"]?.string, "\(made.errors)")
    }

    private static func isRefused(_ answer: JSONValue) -> Bool {
        answer["result"]?["_meta"]?["dev.apus/retryAfterMs"] != nil
    }

    @Test func aBudgetThatIsUsedUpEndsCallsUntilTheNextDay() throws {
        // 50 ms of these functions cost more than a hundredth.
        let server = try TestServer(variables: ["APUS_POOL_PRICES": "hostGiB=100,cpu=1000,currency=EUR"])
        try server.start()
        server.deploy(try server.write("tools", manifest: Self.manifest, files: ["main.py": Self.code]))
        let admin = try ToolCaller(caller: Caller(server))
        let token = try Self.agent(server, "spender", "--budget", "0.01")
        #expect(server.apus("agent", "list").output.contains("0.01 spent/day"))
        #expect(server.apus("agent", "create", "other", "--budget", "0").status == 2)
        var spender = ToolCaller(caller: admin.caller, token: token)

        let first = try spender.call("spend")
        #expect(first["result"]?["isError"] == false, "\(first)")
        let second = try spender.call("spend")
        let text = second["result"]?["content"]?[0]?["text"]?.string ?? ""
        #expect(second["result"]?["isError"] == true && text.contains("0.01 EUR a day"), "\(second)")
        #expect((second["result"]?["_meta"]?["dev.apus/retryAfterMs"]?.integer ?? 0) > 0)
        // What no model reads is answered as HTTP does.
        for (method, params) in [
            ("prompts/get", ["name": "talk"]), ("resources/read", ["uri": "shop://sheet"]),
        ] as [(String, [String: JSONValue])] {
            let answer = try spender.ask(method, params)
            #expect(answer.status == 429 && (answer.header("Retry-After").flatMap { Int($0) } ?? 0) > 0, "\(answer.text)")
            let error = try ToolCaller.message(answer)["error"]
            #expect(error?["code"]?.integer == 42_900 && error?["data"]?["retryAfterMs"] != nil, "\(answer.text)")
            #expect(try admin.ask(method, params).status == 200, "others are not held up")
        }
        #expect(try spender.ask("tools/list").status == 200)
        #expect(try spender.call("spend", ["n": "no number"])["result"]?["isError"] == true)

        // A task costs when it ran, wherever that was.
        let waiting = ToolCaller(caller: admin.caller, token: try Self.agent(server, "waiting", "--budget", "0.01"))
        let made = try ToolCaller.message(
            waiting.ask("tools/call", ["name": "later", "arguments": [:]], meta: ToolCaller.takesTasks))
        #expect(made["result"]?["taskId"]?.string != nil, "\(made)")
        let isSpent = waitUntil(seconds: 30) {
            let answer = try? waiting.ask("tools/call", ["name": "later", "arguments": [:]], meta: ToolCaller.takesTasks)
            return answer.flatMap { try? ToolCaller.message($0) }.map(Self.isRefused) ?? false
        }
        #expect(isSpent)

        // Who reads the records and the metrics sees why.
        let found = server.apus("audit", "search", "--principal", "spender", "--decision", "refused", "--output", "json")
        let records = try JSONValue.parse(Array(found.output.utf8))
        let codes = (records["items"]?.array ?? records.array ?? []).compactMap { $0["code"]?.string }
        #expect(codes.contains("budgetPerDay") && codes.contains("arguments"), "\(found.output)")
        let metrics = try admin.caller.send("GET", "/metrics").text
        for line in [
            #"mcp_server_operation_duration_seconds_count{method="tools/call",namespace="default",tool="spend",status="ok"} 1"#,
            #"mcp_server_operation_duration_seconds_count{method="tools/call",namespace="default",tool="spend",status="tool_error"} 2"#,
            #"mcp_server_operation_duration_seconds_count{method="prompts/get",namespace="default",tool="",status="error"} 1"#,
            #"apus_mcp_refused_total{reason="rateLimited"} 2"#, #"apus_mcp_refused_total{reason="arguments"} 1"#,
        ] { #expect(metrics.contains(line), "\(line)\n\(metrics.split(separator: "\n").filter { $0.contains("mcp") && !$0.contains("bucket") })") }

        // A restart forgets nothing of it.
        #expect(server.terminate() == 0)
        try server.start()
        spender = ToolCaller(caller: try Caller(server), token: token)
        #expect(Self.isRefused(try spender.call("spend")))
        // More money, and it goes on.
        let manifest = """
            apiVersion: apus.dev/v1
            kind: Agent
            metadata: {name: spender}
            spec: {limits: {budgetPerDay: 1000}}
            """
        server.deploy(try server.write("agent", manifest: manifest))
        #expect(try spender.call("spend")["result"]?["isError"] == false)
    }

    @Test func aBudgetWithoutPricesIsRefusedAndOneThatLostThemIsTold() throws {
        let server = try TestServer()
        try server.start()
        let made = server.apus("agent", "create", "spender", "--budget", "2.5")
        #expect(made.status == 1 && made.errors.contains("[invalid_argument]") && made.errors.contains("APUS_POOL_PRICES"), "\(made.errors)")
        let manifest = """
            apiVersion: apus.dev/v1
            kind: Agent
            metadata: {name: spender}
            spec: {limits: {budgetPerDay: 2.5}}
            """
        let folder = try server.write("agent", manifest: manifest)
        let deployed = server.apus("deploy", folder)
        #expect(deployed.status == 1 && deployed.errors.contains("[invalid_argument]"), "\(deployed.output)\(deployed.errors)")
        #expect(!server.apus("agent", "list").output.contains("spender"), "nothing was made")
        #expect(server.apus("agent", "create", "other", "--per-day", "5").status == 0)
        #expect(!server.log.contains("never used up"))

        // With prices both are made, and nothing is said.
        #expect(server.terminate() == 0)
        server.variables["APUS_POOL_PRICES"] = "cpu=1"
        try server.start()
        #expect(server.apus("deploy", folder).status == 0)
        let list = server.apus("agent", "list").output
        #expect(list.contains("2.5 spent/day") && !list.contains("(no prices)"), "\(list)")

        // Without them again it is told wherever one looks.
        #expect(server.terminate() == 0)
        server.variables["APUS_POOL_PRICES"] = nil
        try server.start()
        #expect(server.apus("agent", "list").output.contains("2.5 spent/day (no prices)"))
        #expect(server.log.contains("the budget of the agent 'spender' is never used up"), "\(server.log)")
    }
}
