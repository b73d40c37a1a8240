import ApusJSON
import ApusTestSupport
import Testing

/// Tools whose functions need a device, which is simulated: what their callers are told.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct DeviceToolTests {
    private static let variables = [
        "APUS_POOL_DEVICES_SIMULATE": "[{kind: h100, memory: 80Gi, count: 2, hostToDevice: 50Gi}]",
        "APUS_POOL_PRICES": "h100=3600,currency=EUR",
    ]

    private static let manifest = """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: draw}
        spec:
          description: Draws.
          runtime: python3
          handler: main:draw
          source: .
          timeout: 60s
          resources: {memory: 128Mi, hostMemory: 64Mi, gpu: {memory: 8Gi, count: 2}}
          scale: {min: 0, max: 1, gpuIdle: 1s, hostIdle: 1s}
          tool: {name: draw, input: {type: object}}
        """

    private static let code = """
        import time
        time.sleep(3)

        def draw(event, context):
            context.progress(1, 1, "drawn")
            time.sleep(0.05)
            return "a swift"
        """

    @Test func theResultSaysWhatItCostAndTheStartHowLongItTakes() throws {
        let server = try TestServer(variables: Self.variables)
        try server.start()
        server.deploy(try server.write("draw", manifest: Self.manifest, files: ["main.py": Self.code]))
        let caller = try Caller(server)
        let meta = "io.modelcontextprotocol"
        let body =
            #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"draw","arguments":{},"_meta":{"progressToken":"t","#
            + #""\#(meta)/protocolVersion":"2026-07-28","\#(meta)/clientCapabilities":{}}}}"#
        let head = [
            "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "draw",
        ]
        func call() throws -> [JSONValue] {
            let answer = try caller.send("POST", "/mcp", head, body: body)
            return answer.text.split(separator: "\n").filter { $0.hasPrefix("data: ") }
                .compactMap { try? JSONValue.parse(Array($0.dropFirst(6).utf8)) }
        }
        // The first start shows how long one takes; a later one that begins with nothing is told so.
        _ = try call()
        let isGone = waitUntil(seconds: 60) {
            let answer = server.apus("get", "instances", "--output", "json")
            let items = (try? JSONValue.parse(Array(answer.output.utf8)))?["items"]?.array
            return items?.contains { $0["function"]?.string == "draw" } == false
        }
        #expect(isGone, "\(server.apus("get", "instances").output)")
        let messages = try call()
        #expect(messages.first?["params"]?["progress"]?.integer == -1, "\(messages)")
        #expect(messages.first?["params"]?["message"]?.string?.contains("draw is being started, about") == true, "\(messages)")
        #expect(messages.dropFirst().first?["params"]?["message"]?.string == "drawn", "\(messages)")
        let told = try #require(messages.last?["result"]?["_meta"], "\(messages)")
        let running = try #require(told["dev.apus/timing"]?["runningMs"]?.integer, "\(told)")
        #expect(running >= 50 && told["dev.apus/timing"]?["start"]?.string != "ready", "\(told)")
        // Two devices, at a price of one a second.
        #expect(told["dev.apus/cost"]?["gpuMs"]?.integer == 2 * running, "\(told)")
        let amount = try #require(told["dev.apus/cost"]?["amount"]?.double, "\(told)")
        #expect(abs(amount - Double(2 * running) / 1_000) < 1e-6 && told["dev.apus/cost"]?["currency"]?.string == "EUR", "\(told)")
    }
}
