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
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: walker}
        spec:
          description: Says where it is, step by step.
          runtime: python3
          handler: main:walk
          source: .
          timeout: 60s
          tool: {name: walk, input: {type: object}}
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: asker}
        spec:
          description: Asks for a name.
          runtime: python3
          handler: main:ask
          source: .
          timeout: 60s
          tool: {name: ask, input: {type: object}}
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: later}
        spec:
          description: Takes its time, and gives back what it was given.
          runtime: python3
          handler: main:later
          source: .
          timeout: 60s
          scale: {max: 4}
          tool: {name: later, input: {type: object}, async: auto}
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: asks-later}
        spec:
          description: Asks for a name, in a task.
          runtime: python3
          handler: main:ask
          source: .
          timeout: 60s
          scale: {max: 4}
          tool: {name: ask_later, input: {type: object}, async: auto}
        """

    private static let code = """
        import time

        def embed(event, context):
            return {"id": event.id}

        def wait(event, context):
            context.progress(1, 2, "began")
            while not context.cancelled:
                time.sleep(0.05)

        def walk(event, context):
            for step in range(1, 41):
                context.progress(step, 40, "x" * 1000)
                time.sleep(0.1)
            return "walked"

        def ask(event, context):
            answer = context.ask({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}, "Who?")
            return f"Hello, {answer['name']}!"

        def later(event, context):
            time.sleep(event.data.get("seconds", 0))
            return {"given": event.data.get("value")}
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

    /// Two servers that share their work, and an agent that both know.
    private static func serving(_ limits: String...) throws -> (ManyNodesTests.Site, Turns) {
        let site = try ManyNodesTests.Site(2, manifest: Self.manifest, code: Self.code)
        #expect(site.waitForShares(of: [0, 1], seconds: 60), "\(site.logs)")
        let made = site.nodes[0].apus(arguments: ["agent", "create", "agent", "--output", "json"] + limits)
        let token = try #require(try JSONValue.parse(Array(made.output.utf8))["token"]?.string, "\(made.errors)")
        let turns = Turns(callers: try site.nodes.map { try Caller($0) }, token: token)
        let isKnown = waitUntil(seconds: 30) {
            site.nodes.indices.allSatisfy { index in
                (try? turns.callers[index].send(
                    "POST", "/mcp", Self.head.merging(["Authorization": "Bearer \(token)"]) { $1 },
                    body: Self.message(0, "initialize", #"{"protocolVersion":"2025-11-25","capabilities":{}}"#), isKnown: false
                ).status) == 200
            }
        }
        #expect(isKnown, "\(site.logs)")
        return (site, turns)
    }

    /// A request whose answer is a stream, read while it comes.
    private static func stream(
        _ site: ManyNodesTests.Site, _ node: Int, _ token: String, _ method: String, _ headers: [String: String],
        _ body: String? = nil
    ) throws -> ChildProcess {
        try site.nodes[node].begin(
            program: "/usr/bin/curl",
            ["-sN", "-X", method, "\(site.nodes[node].url)/mcp", "-H", "Authorization: Bearer \(token)"]
                + headers.flatMap { ["-H", "\($0.key): \($0.value)"] } + (body.map { ["-d", $0] } ?? []))
    }

    private static func lastEvent(_ output: String) -> String? {
        output.split(separator: "\n").last { $0.hasPrefix("id: ") }.map { String($0.dropFirst(4)) }
    }

    /// The messages of a stream that was read.
    private static func messages(_ output: String) -> [JSONValue] {
        output.split(separator: "\n").filter { $0.hasPrefix("data: {") }.compactMap {
            try? JSONValue.parse(Array($0.dropFirst(6).utf8))
        }
    }

    /// A session whose client is at either server in turn, while both live.
    @Test func aSessionReachesWhicheverServerHoldsItsCalls() throws {
        let (site, turns) = try Self.serving()
        func send(_ node: Int, _ method: String, _ headers: [String: String], _ body: String? = nil) throws -> HTTPResponse {
            let head = headers.merging(["Authorization": "Bearer \(turns.token)"]) { $1 }
            return try turns.callers[node].send(method, "/mcp", head, body: body, isKnown: false)
        }
        let begun = try send(
            0, "POST", Self.head,
            Self.message(1, "initialize", #"{"protocolVersion":"2025-11-25","capabilities":{"elicitation":{}}}"#))
        let id = try #require(begun.header("Mcp-Session-Id"), "\(begun.text)")
        let session = Self.head.merging(["Mcp-Session-Id": id, "MCP-Protocol-Version": "2025-11-25"]) { $1 }

        // A question that one server asks is answered at the other.
        let asking = try Self.stream(
            site, 0, turns.token, "POST", session, Self.message(2, "tools/call", #"{"name":"ask","arguments":{}}"#))
        let hasAsked = waitUntil(seconds: 60) { asking.output.contains("elicitation/create") }
        #expect(hasAsked, "\(asking.output)\(asking.errors)\(site.logs)")
        let question = try #require(
            Self.messages(asking.output).first { $0["method"]?.string == "elicitation/create" }?["id"]?.string)
        let answer = #"{"jsonrpc":"2.0","id":"\#(question)","result":{"action":"accept","content":{"name":"Ada"}}}"#
        #expect(try send(1, "POST", session, answer).status == 202)
        let isGreeted = waitUntil(seconds: 60) { asking.output.contains("Hello, Ada!") }
        #expect(isGreeted, "\(asking.output)\(site.logs)")
        _ = asking.wait(seconds: 20)

        // A stream that broke is read on at the other, without gap or repetition.
        let walking = try Self.stream(
            site, 0, turns.token, "POST", session,
            Self.message(3, "tools/call", #"{"name":"walk","arguments":{},"_meta":{"progressToken":"p"}}"#))
        let hasSteps = waitUntil(seconds: 60) { walking.output.contains(#""progress":3"#) }
        #expect(hasSteps, "\(walking.output)\(walking.errors)")
        walking.signal(SIGKILL)
        _ = walking.wait(seconds: 20)
        // What was cut off in the middle is sent again.
        let whole = String(walking.output.prefix(upTo: walking.output.endOfLastEvent))
        let last = try #require(Self.lastEvent(whole))
        let reading = try Self.stream(
            site, 1, turns.token, "GET",
            ["Accept": "text/event-stream", "Mcp-Session-Id": id, "Last-Event-ID": last])
        #expect(reading.wait(seconds: 60) == 0, "\(reading.output)\(reading.errors)\(site.logs)")
        let all = Self.messages(whole) + Self.messages(reading.output)
        let steps = all.compactMap { $0["params"]?["progress"]?.integer }
        #expect(steps == steps.sorted() && Set(steps).count == steps.count && steps.last == 40, "\(steps)")
        #expect(all.last?["id"] == 3 && reading.output.contains("walked"), "\(reading.output)")

        // A call that one server runs is cancelled at the other.
        let waiting = try Self.stream(
            site, 0, turns.token, "POST", session,
            Self.message(4, "tools/call", #"{"name":"wait","arguments":{},"_meta":{"progressToken":"p"}}"#))
        let isRunning = waitUntil(seconds: 60) { waiting.output.contains("began") }
        #expect(isRunning, "\(waiting.output)\(waiting.errors)")
        let cancel = #"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":4}}"#
        #expect(try send(1, "POST", session, cancel).status == 202)
        #expect(waiting.wait(seconds: 30) == 0, "\(waiting.output)\(site.logs)")

        // What is ended at one is over at both.
        #expect(try send(1, "DELETE", session).status == 204)
        let isOver = try waitUntil(seconds: 30) { try send(0, "POST", session, Self.message(5, "ping", "{}")).status == 404 }
        #expect(isOver, "\(site.logs)")
    }

    /// M6: an agent without session loses nothing but connections, however its servers come and go.
    @Test func anAgentMakesAllItsCallsThoughItsServersAreKilledInTurn() throws {
        if let reason = try MCPPeer.missing() { return print("skipped: \(reason)") }
        let count = getenv("APUS_SOAK") == nil ? 90 : 1_000
        let (site, turns) = try Self.serving()
        let addresses = "\(site.nodes[0].folder)/addresses"
        func tellAddresses() throws {
            try writeFile("\(addresses).new", site.nodes.map { "\($0.url)/mcp\n" }.joined())
            #expect(rename("\(addresses).new", addresses) == 0)
        }
        try tellAddresses()
        let agent = try ChildProcess(
            "/usr/bin/python3",
            [
                "-B", "\(InstalledTree.packageRoot)/Tests/IntegrationTests/Peers/mcp_many.py", MCPPeer.packages,
                turns.token, "\(count)", addresses,
            ], in: "/var/tmp")
        func waitFor(_ part: Double) -> Bool {
            waitUntil(seconds: count > 100 ? 900 : 240) {
                let done = agent.output.split(separator: "\n").last { $0.hasPrefix("at ") }
                return (done.flatMap { Int($0.dropFirst(3)) } ?? 0) >= Int(part * Double(count))
            }
        }
        let rounds = count > 100 ? 6 : 2
        for round in 0..<rounds {
            let (here, other) = (round % 2, 1 - round % 2)
            #expect(waitFor(Double(round) / Double(rounds) + 0.05), "\(agent.output)\(site.logs)")
            site.nodes[here].kill9()
            // What it had begun is the other's from then on.
            #expect(waitFor((Double(round) + 0.5) / Double(rounds)), "\(agent.output)\(site.logs)")
            try site.nodes[here].start()
            try tellAddresses()
            #expect(site.waitForShares(of: [here, other], seconds: 60), "\(site.logs)")
        }
        let status = agent.wait(seconds: 300)
        print(agent.output.split(separator: "\n").last.map(String.init) ?? "nothing was said")
        #expect(status == 0, "\(agent.output)\(agent.errors.suffix(2_000))")
        #expect(agent.output.contains("\(count) calls") && agent.output.contains(" 0 errors"), "\(agent.output)")
        #expect(!agent.output.contains(" 0 sent again"), "no server was missed: \(agent.output)")
    }

    /// Whoever is asked at one server answers at the other, which may not have heard of the question yet.
    @Test func answersToTasksAreTakenByWhicheverServer() throws {
        if let reason = try MCPPeer.missing() { return print("skipped: \(reason)") }
        let (site, turns) = try Self.serving()
        let addresses = "\(site.nodes[0].folder)/addresses"
        try writeFile(addresses, site.nodes.map { "\($0.url)/mcp\n" }.joined())
        let agent = try ChildProcess(
            "/usr/bin/python3",
            [
                "-B", "\(InstalledTree.packageRoot)/Tests/IntegrationTests/Peers/mcp_many.py", MCPPeer.packages,
                turns.token, "120", addresses, "asking_tasks",
            ], in: "/var/tmp")
        #expect(agent.wait(seconds: 240) == 0, "\(agent.output)\(agent.errors.suffix(2_000))\(site.logs)")
        #expect(agent.output.contains("120 calls") && agent.output.contains(" 0 errors"), "\(agent.output)")
    }

    /// Bounds hold on all servers together, and a day's calls are counted on after a restart.
    @Test func anAgentsBoundsAreTheSameOnAllServersAndThroughRestarts() throws {
        let perDay = 12
        let (site, served) = try Self.serving("--per-day", "\(perDay)")
        var turns = served
        func call() throws -> (isRefused: Bool, answer: JSONValue) {
            let json = try Self.json(try turns.send("POST", ToolHead.head(for: "answer"), ToolHead.call("answer")).0)
            return (json["result"]?["_meta"]?["dev.apus/retryAfterMs"] != nil, json)
        }
        // The look of whether all know the agent called nothing. Each call waits until the other server may know of it.
        var admitted = 0
        let isFull = try waitUntil(seconds: 60) {
            let (isRefused, answer) = try call()
            if isRefused { return true }
            #expect(answer["result"]?["isError"] == false, "\(answer)")
            admitted += 1
            return admitted > 2 * perDay
        }
        #expect(isFull && admitted >= perDay && admitted < 2 * perDay, "\(admitted) were let in\(site.logs)")
        // From then on by both, also after one was killed and came back.
        let isKnown = try waitUntil(seconds: 30) { try call().isRefused && call().isRefused }
        #expect(isKnown)
        site.nodes[1].kill9()
        try site.nodes[1].start()
        turns = Turns(callers: [try Caller(site.nodes[1])], token: turns.token)
        let isBack = waitUntil(seconds: 60) { (try? call())?.answer["result"] != nil }
        #expect(isBack, "\(site.logs)")
        for _ in 0..<3 {
            let (isRefused, answer) = try call()
            #expect(isRefused, "\(answer)")
        }
    }

    @Test func aSessionAndAModernClientGoOnWhicheverServerIsLeft() throws {
        let (site, served) = try Self.serving()
        var turns = served
        let token = turns.token
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
        let lost = try Self.stream(
            site, first, token, "POST", session,
            Self.message(3, "tools/call", #"{"name":"wait","arguments":{},"_meta":{"progressToken":"p"}}"#))
        let hasBegun = waitUntil(seconds: 60) { lost.output.contains("notifications/progress") }
        #expect(hasBegun, "\(lost.output)\(lost.errors)")
        let event = try #require(Self.lastEvent(lost.output))
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

extension String {
    /// Behind the last event that is whole.
    fileprivate var endOfLastEvent: Index {
        self.ranges(of: "\n\n").last?.upperBound ?? self.startIndex
    }
}
