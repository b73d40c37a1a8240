import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Functions that are an MCP server of somebody else's, which speaks over its standard input and output, in a sandbox.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct MCPServerTests {
    /// Counts its calls, and tells what it sees of the world.
    static let server = """
        import json, os, socket, sys, time
        calls = 0
        for line in sys.stdin:
            message = json.loads(line)
            if "id" not in message:
                continue
            answer = {"jsonrpc": "2.0", "id": message["id"]}
            if message["method"] == "initialize":
                answer["result"] = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "t", "version": "1"}}
            elif message["method"] == "tools/call":
                calls += 1
                name = message["params"]["name"]
                if name == "hang":
                    time.sleep(600)
                if name == "die":
                    os._exit(3)
                try:
                    socket.create_connection(("127.0.0.1", 8787), 1)
                    reach = "connected"
                except OSError as error:
                    reach = "refused"
                answer["result"] = {"calls": calls, "secret": len(os.environ.get("KEY", "")), "reach": reach, "user": os.getuid() != 0}
            else:
                answer["error"] = {"code": -32601, "message": "unknown"}
            print(json.dumps(answer), flush=True)

        """

    private static let manifest = """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: counter}
        spec:
          runtime: mcp
          handler: python3 server.py
          secrets: [KEY]
          timeout: 3s
        """

    private func call(_ name: String) -> String { #"{"method":"tools/call","params":{"name":"\#(name)"}}"# }

    @Test func aServerOfToolsRunsInASandboxOneForEachPrincipal() throws {
        let server = try TestServer()
        try server.start()
        #expect(server.apus(arguments: ["secret", "set", "KEY"], input: "s3cret").status == 0)
        server.deploy(try server.write("counter", manifest: Self.manifest, files: ["server.py": Self.server]))
        for count in 1...2 {
            let answer = server.apus("invoke", "counter", "--data", self.call("count"))
            let result = try JSONValue.parse(Array(answer.output.utf8))["result"]
            #expect(result?["calls"]?.integer == Int64(count), "\(answer)")
            #expect(result?["secret"]?.integer == 6 && result?["reach"]?.string == "refused", "\(answer)")
            #expect(result?["user"]?.boolean == true)
        }
        let made = server.apus("token", "create", "--name", "other", "--role", "caller", "--output", "json")
        let token = try #require(try JSONValue.parse(Array(made.output.utf8))["token"]?.string, "\(made.errors)")
        let other = try Caller(server).send(
            "POST", "/v1/functions/counter/invoke",
            ["Content-Type": "application/json", "Authorization": "Bearer \(token)"], body: self.call("count"),
            isKnown: false)
        #expect(try JSONValue.parse(Array(other.text.utf8))["result"]?["calls"]?.integer == 1, "\(other.text)")
    }

    @Test func aServerThatHangsOrDiesCostsItsCallersNoMoreThanTheirCall() throws {
        let server = try TestServer()
        try server.start()
        #expect(server.apus(arguments: ["secret", "set", "KEY"], input: "x").status == 0)
        server.deploy(try server.write("counter", manifest: Self.manifest, files: ["server.py": Self.server]))
        let died = server.apus("invoke", "counter", "--data", self.call("die"))
        #expect((died.errors + died.output).contains("exit code 3"), "\(died)")
        let hung = server.apus("invoke", "counter", "--data", self.call("hang"))
        #expect(hung.status == 1, "\(hung)")
        let again = waitUntil(seconds: 30) {
            server.apus("invoke", "counter", "--data", self.call("count")).output.contains(#""calls""#)
        }
        #expect(again)
        let junk = server.apus("invoke", "counter", "--data", #"{"id": 1, "method": "x"}"#)
        #expect((junk.errors + junk.output).contains("`method` and `params` alone"), "\(junk)")
    }
}
