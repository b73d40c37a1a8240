import ApusHTTP
import ApusJSON
import ApusTestSupport
import Testing

/// How many tasks of agents there are in each state, as a scrape sees it.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct TaskMetricTests {
    private static let code = """
        import time

        def work(event, context):
            what = event.data["what"]
            if what == "fail":
                raise RuntimeError("it cannot")
            if what == "ask":
                return context.ask({"type": "object", "properties": {"name": {"type": "string"}}}, "Who?")["name"]
            if what == "wait":
                time.sleep(300)
            return what
        """

    private static let manifest = """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: work}
        spec:
          runtime: python3
          handler: main:work
          source: .
          timeout: 300s
          scale: {max: 4}
          tool: {name: work, input: {type: object}, async: auto}
        """

    @Test func tasksAreCountedByStateAndSurviveTheServer() throws {
        let server = try TestServer()
        try server.start()
        server.deploy(try server.write("work", manifest: Self.manifest, files: ["main.py": Self.code]))
        var tools = ToolCaller(caller: try Caller(server))
        let meta: [String: JSONValue] = [
            "io.modelcontextprotocol/clientCapabilities": [
                "elicitation": ["form": [:]], "extensions": ["io.modelcontextprotocol/tasks": [:]],
            ]
        ]
        func begin(_ what: String) throws -> JSONValue {
            let answer = try tools.ask("tools/call", ["name": "work", "arguments": ["what": .string(what)]], meta: meta)
            return try #require(try ToolCaller.message(answer)["result"]?["taskId"], "\(answer.text)")
        }
        func counts(_ wanted: [String: Int]) throws -> Bool {
            let text = try tools.caller.send("GET", "/metrics").text
            return wanted.allSatisfy { text.contains("apus_mcp_tasks{state=\"\($0.key)\"} \($0.value)\n") }
        }
        #expect(try counts(["working": 0, "input_required": 0, "completed": 0, "failed": 0, "cancelled": 0]))
        for what in ["done", "done", "fail", "ask"] { _ = try begin(what) }
        let given = try begin("wait")
        _ = try begin("wait")
        // What is called without becoming a task is none.
        #expect(AgentCall.text(try tools.call("work", ["what": "plain"])) == "plain")
        let isCounted = try waitUntil(seconds: 30) { try counts(["working": 2, "input_required": 1, "completed": 3, "failed": 0]) }
        #expect(isCounted)
        _ = try tools.ask("tasks/cancel", ["taskId": given], meta: meta)
        #expect(try waitUntil(seconds: 30) { try counts(["working": 1, "cancelled": 1]) })
        server.kill9()
        try server.start()
        tools = ToolCaller(caller: try Caller(server))
        let all = ["working": 1, "input_required": 1, "completed": 3, "failed": 0, "cancelled": 1]
        #expect(try waitUntil(seconds: 30) { try counts(all) })
        #expect(server.terminate(seconds: 60) == 0)
    }
}
