import ApusCore
import ApusHTTP
import ApusJSON
import ApusLoop
import Testing

@testable import ApusServer

/// Streams that listen, at their bound.
@Suite(.timeLimit(.minutes(3))) struct ListenBoundTests {
    private static let body =
        #"{"jsonrpc":"2.0","id":7,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},"#
        + #""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#
    private static let head = [
        HTTPHeader("Content-Type", "application/json"), HTTPHeader("Accept", "application/json, text/event-stream"),
        HTTPHeader("MCP-Protocol-Version", "2026-07-28"), HTTPHeader("Mcp-Method", "subscriptions/listen"),
    ]

    private final class Place: Sendable {}

    @Test func soManyStreamsOfAShardListenAndNoMore() throws {
        let bed = try ServerBed()
        defer { bed.server.stop() }
        let runtime = bed.server.shards[0]
        let stream = bed.stream("POST", "/mcp", headers: Self.head, body: Self.body)
        try ServerBed.until("it listens") { stream.read.contains("acknowledged") }
        // The one stream stands in every other place.
        let places = (1..<Limits.ToolEndpoint.listeners).map { _ in Place() }
        runtime.loop.runAndWait {
            guard let listener = runtime.tools.listeners.values.first else { return }
            for place in places { runtime.tools.listeners[ObjectIdentifier(place)] = listener }
        }
        #expect(runtime.loop.runAndWait { runtime.tools.listeners.count } == Limits.ToolEndpoint.listeners)
        let refused = try bed.ask("POST", "/mcp", headers: Self.head, body: Self.body)
        let error = try JSONValue.parse(refused.body)["error"]
        #expect(error?["code"]?.integer == 50_300, "\(String(decoding: refused.body, as: UTF8.self))")
        // A place that is free again is taken.
        runtime.loop.runAndWait { for place in places { runtime.tools.listeners[ObjectIdentifier(place)] = nil } }
        let next = bed.stream("POST", "/mcp", headers: Self.head, body: Self.body)
        try ServerBed.until("it listens too") { next.read.contains("acknowledged") }
    }
}
