import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Results of tools that are too large for memory, on the built binary.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct LargeResultTests {
    private static let code = """
        LINE = "0123456789abcdef0123456789abcde\\n"

        def much(event, context):
            size = event.data["bytes"]
            text = (LINE * (size // len(LINE) + 1))[:size]
            return text if event.data.get("text") else text.encode()

        def listed(event, context):
            secret = context.secret("KEY")
            return {"items": [LINE * 32] * (event.data["bytes"] // 1024), "key": secret}

        def yields(event, context):
            for _ in range(event.data["bytes"] >> 16):
                yield (LINE * 2048).encode()

        def rows(event, context):
            for number in range(event.data["bytes"] // 1024):
                yield {"number": number, "text": LINE * 32, "key": context.secret("KEY")}

        def tells(event, context):
            secret = context.secret("KEY")
            return (secret + " \\n") * (event.data["bytes"] // len(secret))
        """

    private static let nodeCode = "export const handle = (event) => Buffer.alloc(event.data.bytes, 'y');"

    private static func manifest(
        _ tool: String, _ handler: String, _ more: String = "", runtime: String = "python3", secrets: Bool = false
    ) -> String {
        """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: \(tool)}
        spec:
          description: Returns much.
          runtime: \(runtime)
          handler: \(handler)
          source: .
          resources: {memory: 1Gi}
          timeout: 60s
          \(secrets ? "secrets: [KEY]" : "")
          tool: {name: \(tool), input: {type: object}\(more)}
        """
    }

    /// With two loops functions and callers meet on different ones.
    @Test(arguments: [1, 2]) func fiftyMebibytesAreKeptOnDiskAndReadInParts(_ loops: Int) throws {
        if let reason = try MCPPeer.missing() { return print("skipped: \(reason)") }
        let server = try TestServer(arguments: ["--shards", "\(loops)"])
        try server.start()
        #expect(server.apus(arguments: ["secret", "set", "KEY"], input: "s3cret-of-the-shop").status == 0)
        let manifests = [
            Self.manifest("much", "main:much"), Self.manifest("tells", "main:tells", secrets: true),
            Self.manifest("brief", "main:much", ", keepResult: 2s"), Self.manifest("bounded", "main:much", ", resultLimit: 2Mi"),
            Self.manifest("listed", "main:listed", secrets: true), Self.manifest("yields", "main:yields"),
            Self.manifest("rows", "main:rows", secrets: true),
            Self.manifest("few-yields", "main:yields", ", resultLimit: 4Mi"),
            Self.manifest("node", "main:handle", runtime: "node"), Self.manifest("exec", "sh main.sh", runtime: "exec"),
        ]
        let files = ["main.py": Self.code, "main.mjs": Self.nodeCode, "main.sh": "yes | head -c 20971520\n"]
        server.deploy(try server.write("large", manifest: manifests.joined(separator: "\n---\n"), files: files))
        let made = server.apus("token", "create", "--name", "other", "--role", "caller", "--output", "json")
        let other = try #require(try JSONValue.parse(Array(made.output.utf8))["token"]?.string, "\(made.errors)")
        let pid = try #require(server.process?.pid)
        let peer = try ChildProcess(
            "/usr/bin/python3",
            [
                "-B", "\(InstalledTree.packageRoot)/Tests/IntegrationTests/Peers/mcp_large.py", MCPPeer.packages, "\(server.url)/mcp",
                try Caller(server).token, other, "\(pid)",
            ], environment: currentEnvironment(), in: "/var/tmp")
        #expect(peer.wait(seconds: 240) == 0, "\(peer.output)\(peer.errors.suffix(4_000))")
        #expect(peer.output.contains("expectations hold"), "\(peer.output)")
        print(peer.output)
        // The audit says how much it was, and which.
        let found = server.apus("audit", "search", "--output", "json")
        #expect(found.output.contains("resultSha256") && found.output.contains("52428800"), "\(found.output.suffix(2_000))\(found.errors)")
        #expect(server.terminate() == 0)
    }
}
