import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Agents that get their tokens from an authorization server of somebody else, with the official SDK.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct OAuthAgentTests {
    private static let peer = "\(InstalledTree.packageRoot)/Tests/IntegrationTests/Peers/mcp_oauth.py"

    private static func manifest(_ tenant: String) -> String {
        """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: whose, namespace: \(tenant)}
        spec:
          description: Says whose it is.
          runtime: python3
          handler: main:\(tenant)
          source: .
          tool: {name: whose, input: {type: object}}
        """
    }

    /// Asks with the SDK, from the refusal without a token on.
    private static func call(_ server: TestServer, _ issuer: String, _ client: String, _ scope: String) throws -> JSONValue {
        let agent = try ChildProcess(
            "/usr/bin/python3",
            ["-B", Self.peer, MCPPeer.packages, "call", issuer, "\(server.url)/mcp", client, scope], in: "/var/tmp")
        #expect(agent.wait(seconds: 60) == 0, "\(agent.errors)")
        return try JSONValue.parse(Array(agent.output.utf8))
    }

    @Test func oneAddressServesTheTenantsOfAnIssuer() throws {
        if let reason = try MCPPeer.missing() { return print("skipped: \(reason)") }
        let authorization = try ChildProcess("/usr/bin/python3", ["-B", Self.peer, MCPPeer.packages, "serve"], in: "/var/tmp")
        let isServing = waitUntil(seconds: 30) { authorization.output.contains("\n") }
        try #require(isServing, "\(authorization.errors)")
        let issuer = "http://127.0.0.1:\(authorization.output.filter(\.isNumber))"
        let scratch = ScratchDirectory()
        try writeFile(
            "\(scratch.path)/apus.yaml",
            """
            auth:
              issuers:
                - issuer: \(issuer)
                  jwks: \(issuer)/keys
                  audience: http://apus.example
                  namespaceClaim: tenant
                  scopes: {"tools:call": caller, "tools:look": reader}
                  allowPrivate: true

            """)
        let server = try TestServer(arguments: ["--config", "\(scratch.path)/apus.yaml"])
        try server.start()
        for tenant in ["crimson", "azure"] {
            let folder = try server.write(
                tenant, manifest: Self.manifest(tenant),
                files: ["main.py": "def \(tenant)(event, context):\n    return '\(tenant)'\n"])
            server.deploy(folder)
        }
        for tenant in ["crimson", "azure"] {
            let answer = try Self.call(server, issuer, "\(tenant)-agent", "tools:call")
            #expect(answer["tools"] == ["whose"] && answer["text"]?.string == tenant, "\(answer)")
        }
        // A tenant that has nothing is shown nothing, and a scope that gives no right to call opens nothing.
        let empty = try Self.call(server, issuer, "green-agent", "tools:call")
        #expect(empty["problem"]?.string?.contains("Unknown tool") == true, "\(empty)")
        let reader = try Self.call(server, issuer, "crimson-reader", "tools:call")
        #expect(reader["problem"] != nil && reader["text"] == nil, "\(reader)")
    }
}
