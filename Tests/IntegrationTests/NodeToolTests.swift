import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Agents of both eras against two servers on one Kafka that take turns, and are killed.
@Suite(
    .serialized, .enabled(if: KafkaBroker.isThere, Comment(rawValue: KafkaBroker.skipReason)),
    .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start servers, which needs root"))
struct NodeToolTests {
    private static let manifest = """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: worker}
        spec:
          description: Answers with the id of its event.
          runtime: python3
          handler: main:embed
          source: .
          scale: {max: 4}
          tool: {name: answer, input: {type: object}}
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: waiter}
        spec:
          description: Says that it began, and ends when it must.
          runtime: python3
          handler: main:wait
          source: .
          timeout: 60s
          tool: {name: wait, input: {type: object}}
        """

    private static let code = """
        import time

        def embed(event, context):
            return {"id": event.id}

        def wait(event, context):
            context.progress(1, 2, "began")
            while not context.cancelled:
                time.sleep(0.05)
        """

    /// Sends each request to the next server, and to the one after it where nobody answers.
    private struct Turns {
        let callers: [Caller]
        let token: String
        var next = 0
        var resent = 0

        mutating func send(
            _ method: String, _ headers: [String: String], _ body: String? = nil
        ) throws -> (HTTPResponse, Int) {
            let head = headers.merging(["Authorization": "Bearer \(self.token)"]) { $1 }
            for attempt in 0..<2 {
                let index = self.next % self.callers.count
                self.next += 1
                do {
                    return (try self.callers[index].send(method, "/mcp", head, body: body, isKnown: false), index)
                } catch where attempt == 0 { self.resent += 1 }
            }
            throw ApusTestFailure("no server answers")
        }
    }

    private struct ApusTestFailure: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    private static let head = ["Content-Type": "application/json", "Accept": "application/json, text/event-stream"]

    private static func message(_ id: Int, _ method: String, _ params: String) -> String {
        #"{"jsonrpc":"2.0","id":\#(id),"method":"\#(method)","params":\#(params)}"#
    }

    /// The answer, which may be the last event of a stream.
    private static func json(_ response: HTTPResponse) throws -> JSONValue {
        let line = response.text.split(separator: "\n").last { $0.hasPrefix("data: {") }
        return try JSONValue.parse(line.map { Array($0.dropFirst(6).utf8) } ?? response.body)
    }

    @Test func aSessionAndAModernClientGoOnWhicheverServerIsLeft() throws {
        let site = try ManyNodesTests.Site(2, manifest: Self.manifest, code: Self.code)
        #expect(site.waitForShares(of: [0, 1], seconds: 60), "\(site.logs)")
        let made = site.nodes[0].apus("agent", "create", "agent", "--output", "json")
        let token = try #require(try JSONValue.parse(Array(made.output.utf8))["token"]?.string, "\(made.errors)")
        var turns = Turns(callers: try site.nodes.map { try Caller($0) }, token: token)
        let isKnown = waitUntil(seconds: 30) {
            site.nodes.indices.allSatisfy { index in
                (try? turns.callers[index].send(
                    "POST", "/mcp", Self.head.merging(["Authorization": "Bearer \(token)"]) { $1 },
                    body: Self.message(0, "initialize", #"{"protocolVersion":"2025-11-25","capabilities":{}}"#), isKnown: false
                ).status) == 200
            }
        }
        #expect(isKnown, "\(site.logs)")

        let (begun, first) = try turns.send(
            "POST", Self.head, Self.message(1, "initialize", #"{"protocolVersion":"2025-11-25","capabilities":{}}"#))
        let id = try #require(begun.header("Mcp-Session-Id"), "\(begun.text)")
        let session = Self.head.merging(["Mcp-Session-Id": id, "MCP-Protocol-Version": "2025-11-25"]) { $1 }
        let call = Self.message(2, "tools/call", #"{"name":"answer","arguments":{}}"#)
        for _ in 0..<6 {
            let (answer, _) = try turns.send("POST", session, call)
            #expect(try Self.json(answer)["result"]?["isError"] == false, "\(answer.text)")
        }

        // A call and its stream are of the server that holds them.
        let lost = try site.nodes[first].begin(
            program: "/usr/bin/curl",
            ["-sN", "-X", "POST", "\(site.nodes[first].url)/mcp", "-H", "Authorization: Bearer \(token)"]
                + session.flatMap { ["-H", "\($0.key): \($0.value)"] }
                + [
                    "-d",
                    Self.message(3, "tools/call", #"{"name":"wait","arguments":{},"_meta":{"progressToken":"p"}}"#),
                ])
        let hasBegun = waitUntil(seconds: 60) { lost.output.contains("notifications/progress") }
        #expect(hasBegun, "\(lost.output)\(lost.errors)")
        let event = try #require(
            lost.output.split(separator: "\n").last { $0.hasPrefix("id: ") }.map { String($0.dropFirst(4)) })
        site.nodes[first].kill9()
        _ = lost.wait(seconds: 20)
        #expect(!lost.output.contains(#""id":3"#), "the call was not lost: \(lost.output)")

        // The session goes on at the other one, its stream does not; nor is it taken for one of the same number there.
        for _ in 0..<4 {
            let (answer, _) = try turns.send("POST", session, call)
            #expect(try Self.json(answer)["result"]?["isError"] == false, "\(answer.text)")
        }
        #expect(turns.resent > 0)
        let resumed = ["Accept": "text/event-stream", "Mcp-Session-Id": id, "Last-Event-ID": event]
        #expect(try turns.send("GET", resumed).0.status == 404)

        // An agent of 2026-07-28 has nothing that could be lost, while the killed one comes back.
        let modern = ToolHead.head(for: "answer")
        for round in 0..<40 {
            if round == 10 { try site.nodes[first].start() }
            if round == 20 { site.nodes[1 - first].kill9() }
            if round == 10 || round == 20 {
                turns = Turns(callers: try site.nodes.map { try Caller($0) }, token: token, next: turns.next)
                let others = turns
                let isBack = waitUntil(seconds: 60) {
                    var turns = others
                    let answer = try? turns.send("POST", modern, ToolHead.call("answer", id: 0)).0
                    return answer?.status == 200 && answer?.text.contains(#""isError":false"#) == true
                }
                #expect(isBack, "\(site.logs)")
            }
            let (answer, _) = try turns.send("POST", modern, ToolHead.call("answer", id: round))
            let json = try Self.json(answer)
            #expect(answer.status == 200 && json["id"] == .integer(Int64(round)), "\(answer.text)")
            #expect(json["result"]?["isError"] == false, "\(round): \(answer.text)")
        }
        // The session, too, is taken up by the one that came back.
        let (last, _) = try turns.send("POST", session, call)
        #expect(try Self.json(last)["result"]?["isError"] == false, "\(last.text)")
    }
}
