import ApusHTTP
import ApusJSON
import ApusTestSupport
import Testing

/// Agents as documents, against the built binary: what they may do follows their manifest, their token does not change with it.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct AgentManifestTests {
    private static func tool(_ name: String, scope: String) -> String {
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
          tool: {name: \(name), scopes: [\(scope)], input: {type: object}}

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
}
