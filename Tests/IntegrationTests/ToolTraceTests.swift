import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// One trace from an agent's message to what its call does, against the built binary.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct ToolTraceTests {
    private static let manifest =
        """
        apiVersion: apus.dev/v1
        kind: Topic
        metadata: {name: told}
        spec: {partitions: 1}
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: hears}
        spec:
          runtime: python3
          handler: main:hears
          source: .
          triggers: [{topic: told}]
        ---

        """
        + [("traced", ""), ("later", ", async: required"), ("fails", "")].map { name, more in
            """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: \(name)}
            spec:
              description: Says where in a trace it is.
              runtime: python3
              handler: main:\(name)
              source: .
              timeout: 30s
              emits: [told]
              tool: {name: \(name), input: {type: object}\(more)}

            """
        }.joined(separator: "---\n")

    private static let code = """
        def traced(event, context):
            context.emit("told", {"by": event.subject})
            return {"trace": context.trace}

        def later(event, context):
            return traced(event, context)

        def hears(event, context):
            return None

        def fails(event, context):
            raise ValueError("no")
        """

    private static let (trace, client) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")

    private struct Served {
        let receiver: SpanReceiver
        let server: TestServer
        let caller: ToolCaller

        init() throws {
            self.receiver = try SpanReceiver()
            self.server = try TestServer(
                variables: ["APUS_TELEMETRY_OTLP_ENDPOINT": "http://127.0.0.1:\(self.receiver.port)", "APUS_TELEMETRY_OTLP_SAMPLE": "0"])
            try self.server.start()
            self.server.deploy(
                try self.server.write("tools", manifest: ToolTraceTests.manifest, files: ["main.py": ToolTraceTests.code]))
            self.caller = ToolCaller(caller: try Caller(self.server))
        }

        /// Spans of the one trace, by name.
        func spans(_ name: String) -> [JSONValue] {
            self.receiver.spans().spans.values.filter {
                $0["traceId"]?.string == ToolTraceTests.trace && $0["name"]?.string == name
            }
        }

        func attribute(_ name: String, of span: JSONValue) -> String? {
            let value = span["attributes"]?.array?.first { $0["key"]?.string == name }?["value"]
            return value?["stringValue"]?.string ?? value?["intValue"]?.string
        }

        /// Calls within the trace, as the message says it.
        func call(_ tool: String, meta: [String: JSONValue] = [:]) throws -> HTTPResponse {
            let place: [String: JSONValue] = [
                "traceparent": .string("00-\(ToolTraceTests.trace)-\(ToolTraceTests.client)-01"), "tracestate": "vendor=1",
            ]
            return try self.caller.ask(
                "tools/call", ["name": .string(tool), "arguments": [:]], meta: place.merging(meta) { $1 })
        }
    }

    @Test func aCallsTraceGoesThroughWorkerEventsAndAudit() throws {
        let served = try Served()
        defer { served.receiver.close() }
        let answer = try served.call("traced")
        let result = try ToolCaller.message(answer)["result"]?["structuredContent"]
        let place = result?["trace"]?.string ?? ""
        #expect(place.hasPrefix("00-\(Self.trace)-"), "\(answer.text)")
        #expect(answer.header("traceresponse")?.hasPrefix("00-\(Self.trace)-") == true)
        #expect(waitUntil(seconds: 20) { !served.spans("attempt traced").isEmpty && !served.spans("tools/call traced").isEmpty })
        let call = try #require(served.spans("tools/call traced").first)
        #expect(call["parentSpanId"]?.string == Self.client && call["traceState"]?.string == "vendor=1")
        #expect(served.attribute("mcp.method.name", of: call) == "tools/call")
        #expect(served.attribute("gen_ai.tool.name", of: call) == "traced" && served.attribute("error.type", of: call) == nil)
        let attempt = try #require(served.spans("attempt traced").first)
        #expect(attempt["parentSpanId"] == call["spanId"])
        #expect(place == "00-\(Self.trace)-\(attempt["spanId"]?.string ?? "")-01")
        // What the function emitted goes on from there.
        #expect(waitUntil(seconds: 20) { served.server.consume("told").count == 1 })
        #expect(String(describing: served.server.consume("told")).contains("00-\(Self.trace)-\(Self.client)-01"), "where it began")
        #expect(waitUntil(seconds: 20) { !served.spans("process told").isEmpty })
        #expect(served.spans("process told").map { $0["parentSpanId"] } == [attempt["spanId"]])
        // And the audit says the same.
        let found = served.server.apus("audit", "search", "--subject", "traced", "--output", "json")
        #expect(found.output.contains("00-\(Self.trace)-\(call["spanId"]?.string ?? "-")-01"), "\(found.output)")
        // A result that says what went wrong is one.
        #expect(try ToolCaller.message(served.call("fails"))["result"]?["isError"] == true)
        #expect(waitUntil(seconds: 20) { !served.spans("tools/call fails").isEmpty })
        let failed = try #require(served.spans("tools/call fails").first)
        #expect(served.attribute("error.type", of: failed) == "tool_error" && failed["status"]?["code"]?.integer == 2)
        // So is an error of the protocol, of what no tool is.
        #expect(try ToolCaller.message(served.call("nothing"))["error"] != nil)
        #expect(waitUntil(seconds: 20) { served.spans("tools/call").contains { served.attribute("error.type", of: $0) == "-32602" } })
        #expect(served.receiver.spans().problems.isEmpty, "\(served.receiver.spans().problems)")
        #expect(served.server.terminate() == 0)
    }

    @Test func aTasksTraceGoesThroughTheLog() throws {
        let served = try Served()
        defer { served.receiver.close() }
        let made = try ToolCaller.message(served.call("later", meta: ToolCaller.takesTasks))
        #expect(made["result"]?["taskId"]?.string != nil, "\(made)")
        #expect(waitUntil(seconds: 30) { !served.spans("attempt later").isEmpty && served.server.consume("told").count == 1 })
        let call = try #require(served.spans("tools/call later").first)
        let attempt = try #require(served.spans("attempt later").first)
        // Between the call and the attempt is the delivery of what was durable before its answer.
        let deliveries = served.receiver.spans().spans.values.filter { $0["parentSpanId"] == call["spanId"] }
        #expect(deliveries.contains { $0["spanId"] == attempt["parentSpanId"] }, "\(served.receiver.spans().spans)")
        #expect(String(describing: served.server.consume("told")).contains(Self.trace))
        #expect(served.receiver.spans().problems.isEmpty, "\(served.receiver.spans().problems)")
        #expect(served.server.terminate() == 0)
    }

    /// Of a client that knows nothing of `_meta` the head of the request counts.
    @Test func theHeadOfTheRequestCountsWhereTheMessageSaysNothing() throws {
        let served = try Served()
        defer { served.receiver.close() }
        var head = ToolHead.head(for: "traced")
        head["traceparent"] = "00-\(Self.trace)-\(Self.client)-01"
        let answer = try served.caller.caller.send("POST", "/mcp", head, body: ToolHead.call("traced"))
        #expect(answer.text.contains("00-\(Self.trace)-"), "\(answer.text)")
        #expect(waitUntil(seconds: 20) { served.spans("tools/call traced").first?["parentSpanId"]?.string == Self.client })
        // Nobody who does not ask for it is recorded where no trace begins.
        #expect(try served.caller.call("traced")["result"]?["isError"] == false)
        #expect(served.server.terminate() == 0)
        #expect(served.spans("tools/call traced").count == 1)
        let others = served.receiver.spans().spans.values.filter { $0["traceId"]?.string != Self.trace }
        #expect(!others.contains { $0["name"]?.string == "tools/call traced" }, "\(others)")
    }
}
