import ApusHTTP
import ApusJSON
import ApusTestSupport
import Testing

/// Agents as documents, against the built binary: what they may do follows their manifest, their token does not change with it.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct AgentManifestTests {
    private static func tool(_ name: String, scope: String, more: String = "") -> String {
        """
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: \(name)}
        spec:
          description: Says who it is.
          runtime: python3
          handler: main:\(name)
          source: .
          tool: {name: \(name), scopes: [\(scope)], input: {type: object}\(more)}

        """
    }

    private static func agent(_ spec: String) -> String {
        "---\napiVersion: apus.dev/v1\nkind: Agent\nmetadata: {name: helper}\nspec: {\(spec)}\n"
    }

    private static let code = "def reader(event, context):\n    return 'read'\n\ndef writer(event, context):\n    return 'written'\n"

    @Test func rightsFollowTheManifestAndTheTokenStays() throws {
        let server = try TestServer()
        try server.start()
        let files = ["main.py": Self.code]
        let tools = Self.tool("reader", scope: "r") + Self.tool("writer", scope: "w")
        server.deploy(
            try server.write("all", manifest: tools + Self.agent("scopes: [r], limits: {callsPerDay: 2}"), files: files))
        #expect(server.apus("get", "agents").output.contains("keyless"))
        // No token is made, and so none is printed, by a deploy: the first one is asked for.
        let made = server.apus("agent", "rotate", "helper")
        let token = made.output.filter { !$0.isWhitespace }
        #expect(made.status == 0 && token.hasPrefix("apus_"), "\(made)")
        func call(_ tool: String) throws -> JSONValue {
            try AgentCall(url: server.url, token: token).call(tool, capabilities: "{}")
        }
        #expect(try AgentCall.text(call("reader")) == "read")
        #expect(try call("writer")["error"]?["message"]?.string == "Unknown tool: writer")
        // What it may not use is to it like what is not there, to the byte.
        #expect(try "\(call("writer"))".replacing("writer", with: "nobody") == "\(call("nobody"))")
        #expect(try AgentCall.text(call("reader")) == "read")
        #expect(try AgentCall.text(call("reader")).contains("2 calls a day"), "the model is told of its bound")

        let path = "\(server.folder)/agent.yaml"
        try writeFile(path, Self.agent("scopes: [w], limits: {callsPerDay: 4}"))
        let changed = server.apus("deploy", path)
        #expect(changed.status == 0 && changed.output.contains("Agent") && changed.output.contains("updated"), "\(changed)")
        #expect(try AgentCall.text(call("writer")) == "written")
        #expect(try call("reader")["error"]?["message"]?.string == "Unknown tool: reader")
        #expect(server.apus("deploy", path).output.contains("unchanged"))
        #expect(server.apus("describe", "agent", "helper").output.contains("callsPerDay"))
        // What it called is counted to it.
        let isCharged = waitUntil(seconds: 20) {
            let report = try? JSONValue.parse(Array(server.apus("cost", "--by", "principal", "--output", "json").output.utf8))
            let item = report?["items"]?.array?.first { $0["name"]?.string == "helper" }
            return item?["calls"]?.integer == 3
        }
        #expect(isCharged, "\(server.apus("cost", "--by", "principal").output)")
        // It lasts.
        server.kill9()
        try server.start()
        #expect(try AgentCall.text(call("writer")) == "written")
        #expect(server.apus("delete", "agent", "helper").status == 0)
        #expect(try AgentCall(url: server.url, token: token).call("writer", capabilities: "{}")["code"] == "unauthenticated")
        #expect(server.apus("get", "agents").output.contains("revoked"))
        #expect(server.apus("describe", "agent", "nobody").status == 3)
    }

    @Test func limitsOfAToolAreOfEachCallerWhereverItAsks() throws {
        let server = try TestServer()
        try server.start()
        let few = Self.tool("reader", scope: "r", more: ", limits: {callsPerDay: 2}") + Self.tool("writer", scope: "r")
        let site = "---\napiVersion: apus.dev/v1\nkind: ToolServer\nmetadata: {name: site}\nspec: {tools: all}\n"
        server.deploy(try server.write("all", manifest: few + site, files: ["main.py": Self.code]))
        func token(_ name: String) -> String {
            server.apus("agent", "create", name, "--scope", "r", "--output", "json").output
        }
        let (ada, bob) = (try Self.token(of: token("ada")), try Self.token(of: token("bob")))
        func call(_ token: String, _ tool: String) throws -> JSONValue {
            try AgentCall(url: server.url, token: token).call(tool, capabilities: "{}")
        }
        #expect(try AgentCall.text(call(ada, "reader")) == "read")
        // The same tool on a tool server is the same tool.
        let onSite = try AgentCall(url: server.url, token: ada).call("reader", at: "/mcp/site", capabilities: "{}")
        #expect(AgentCall.text(onSite) == "read")
        let refused = try call(ada, "reader")
        #expect(refused["result"]?["isError"] == true, "\(refused)")
        #expect(AgentCall.text(refused).contains("2 calls of the tool 'reader' a day"), "\(refused)")
        #expect((refused["result"]?["_meta"]?["dev.apus/retryAfterMs"]?.integer ?? 0) > 0, "\(refused)")
        #expect(try AgentCall.text(call(ada, "writer")) == "written", "other tools are not meant")
        #expect(try AgentCall.text(call(bob, "reader")) == "read", "nor are other callers")
        // Days are counted on.
        #expect(server.terminate() == 0)
        try server.start()
        #expect(try AgentCall.text(call(ada, "reader")).contains("2 calls of the tool"))
        #expect(try AgentCall.text(call(bob, "reader")) == "read")
    }

    private static func token(of output: String) throws -> String {
        try #require(try JSONValue.parse(Array(output.utf8))["token"]?.string, "\(output)")
    }
}
