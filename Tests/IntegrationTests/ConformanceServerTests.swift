import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// `make conformance-server`: what the public conformance suite is run against.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct ConformanceServerTests {
    private static func leftovers() throws -> Set<String> {
        let list = try ChildProcess("bash", ["-c", "ls -d /var/tmp/apus-conformance-* 2>/dev/null; true"], in: "/var/tmp")
        #expect(list.wait(seconds: 20) == 0)
        return Set(list.output.split(separator: "\n").map(String.init))
    }

    /// A port that nobody listens at now.
    private static func freePort() throws -> UInt16 {
        let code = "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); print(s.getsockname()[1])"
        let ask = try ChildProcess("/usr/bin/python3", ["-c", code], in: "/var/tmp")
        #expect(ask.wait(seconds: 20) == 0)
        return try #require(UInt16(ask.output.filter(\.isNumber)))
    }

    @Test(arguments: [SIGINT, SIGTERM]) func itServesItsFixturesToAnybodyHereAndLeavesNothing(_ signal: CInt) throws {
        let before = try Self.leftovers()
        let port = try Self.freePort()
        let url = "http://127.0.0.1:\(port)/mcp/open"
        let script = try ChildProcess(
            "\(InstalledTree.packageRoot)/scripts/conformance-server", [],
            environment: currentEnvironment().merging([
                "APUS": "\(try InstalledTree.path.get())/bin/apus", "PORT": "\(port)",
            ]) { $1 }, in: "/var/tmp")
        let isServing = waitUntil(seconds: 120) { script.output.contains("conformance server --url \(url)") }
        #expect(isServing, "\(script.output)\(script.errors)")
        let data = try #require(try Self.leftovers().subtracting(before).first)

        let client = try HTTPClient()
        let answer = try client.request(
            "POST", url, headers: ToolHead.head(for: "test_simple_text").map { HTTPHeader($0.key, $0.value) },
            body: Array(ToolHead.call("test_simple_text").utf8))
        #expect(answer.status == 200, "\(answer.text)")
        #expect(answer.text.contains("This is a simple text response for testing."), "\(answer.text)")
        var head = ToolHead.head(for: "")
        (head["Mcp-Method"], head["Mcp-Name"]) = ("tools/list", nil)
        let list =
            #"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"#
            + #""2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#
        // It follows what its fixtures ask for, from a moment on that nobody is told of.
        let trigger = "test_trigger_tool_change"
        let isChanged = try waitUntil(seconds: 60) {
            _ = try client.request(
                "POST", url, headers: ToolHead.head(for: trigger).map { HTTPHeader($0.key, $0.value) },
                body: Array(ToolHead.call(trigger).utf8))
            return try client.request(
                "POST", url, headers: head.map { HTTPHeader($0.key, $0.value) }, body: Array(list.utf8)
            ).text.contains("It was changed ")
        }
        #expect(isChanged, "\(script.output)\(script.errors)")

        script.signal(signal)
        #expect(script.wait(seconds: 60) == 0, "\(script.output)\(script.errors)")
        #expect(access(data, F_OK) != 0, "\(data) is left")
        let processes = try ChildProcess("bash", ["-c", "pgrep -af -- '\(data)' || true"], in: "/var/tmp")
        _ = processes.wait(seconds: 20)
        let left = processes.output.split(separator: "\n").filter { !$0.contains("pgrep") }
        #expect(left.isEmpty, "\(left)")
    }
}
