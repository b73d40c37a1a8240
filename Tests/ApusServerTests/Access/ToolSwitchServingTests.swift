import ApusCore
import ApusHTTP
import ApusJSON
import Testing

@testable import ApusServer

/// Tools of functions that are hidden over HTTP: who sees what, who is told, and what the audit says.
@Suite struct ToolSwitchServingTests {
    private static func json(_ response: HTTPResponse) throws -> JSONValue { try JSONValue.parse(response.body) }

    private static func manifest(_ about: String) -> String {
        #"{"apiVersion":"apus.dev/v1","kind":"Function","metadata":{"name":"search"},"spec":{"runtime":"python3","#
            + #""handler":"main:run","source":".","description":"\#(about)","tool":{"name":"search","input":{"type":"object"}}}}"#
    }

    private static func deploy(_ bed: TokenBed, _ about: String) throws {
        let bundle = HTTPHeader("Apus-Bundle", try bed.bed.makeBundle(["main.py": "def run(event, context): pass\n"]))
        let done = try bed.ask("PUT", "/v1/functions/search", token: bed.bed.token, headers: [bundle], body: Self.manifest(about))
        #expect(done.status == 200, "\(String(decoding: done.body, as: UTF8.self))")
    }

    private static func headers(_ method: String, _ token: String, name: String? = nil) -> [HTTPHeader] {
        [
            HTTPHeader("Authorization", "Bearer \(token)"), HTTPHeader("Content-Type", "application/json"),
            HTTPHeader("Accept", "application/json, text/event-stream"),
            HTTPHeader("MCP-Protocol-Version", "2026-07-28"), HTTPHeader("Mcp-Method", method),
        ] + (name.map { [HTTPHeader("Mcp-Name", $0)] } ?? [])
    }

    private static func message(_ method: String, _ more: String = "") -> String {
        let meta = "io.modelcontextprotocol"
        return #"{"jsonrpc":"2.0","id":1,"method":"\#(method)","params":{\#(more)"_meta":{"\#(meta)/protocolVersion":"2026-07-28","#
            + #""\#(meta)/clientCapabilities":{}}}}"#
    }

    private static func listed(_ bed: TokenBed, _ token: String) throws -> [String] {
        let answer = try bed.ask("POST", "/mcp", token: nil, headers: Self.headers("tools/list", token), body: Self.message("tools/list"))
        return try Self.json(answer)["result"]?["tools"]?.array?.compactMap { $0["name"]?.string } ?? ["\(answer.status)"]
    }

    @Test func aHiddenToolIsUnknownUntilItIsShownAgain() throws {
        let bed = try TokenBed()
        defer { bed.bed.server.stop() }
        let ann = try bed.token("ann", ["caller@default"])
        let dep = try bed.token("dep", ["deployer@default"])
        try Self.deploy(bed, "Finds.")
        #expect(try Self.listed(bed, ann) == ["search"])
        let stream = ServerBed.Stream(
            bed.bed, "POST", "/mcp", headers: Self.headers("subscriptions/listen", ann),
            body: Self.message("subscriptions/listen", #""notifications":{"toolsListChanged":true},"#), hasToken: false,
            isPaused: { false })
        try ServerBed.until("acknowledged") { stream.read.contains("subscriptions/acknowledged") }

        #expect(try bed.ask("POST", "/v1/tools/search/disable", token: ann).status == 403)
        #expect(try bed.ask("POST", "/v1/tools/search/disable", token: dep).status == 200)
        try ServerBed.until("told") { stream.read.contains("notifications/tools/list_changed") }
        #expect(try Self.listed(bed, ann) == [])
        let call = try bed.ask(
            "POST", "/mcp", token: nil, headers: Self.headers("tools/call", ann, name: "search"),
            body: Self.message("tools/call", #""name":"search","arguments":{},"#))
        #expect(try Self.json(call)["error"]?["message"] == "Unknown tool: search")
        // A deploy does not bring it back.
        try Self.deploy(bed, "Finds more.")
        #expect(try Self.listed(bed, ann) == [])
        let shown = try Self.json(bed.ask("GET", "/v1/tools/search", token: dep))
        #expect(shown["state"] == "disabled" && shown["by"] == "dep" && shown["function"] == "search")
        let digest = try #require(shown["sha256"]?.string)

        #expect(try bed.ask("POST", "/v1/tools/search/enable", token: dep).status == 200)
        #expect(try Self.listed(bed, ann) == ["search"])
        #expect(try Self.json(bed.ask("GET", "/v1/tools/search", token: dep))["state"] == "offered")
        #expect(try bed.ask("POST", "/v1/tools/nothing/disable", token: dep).status == 404)
        let accept = try bed.ask("POST", "/v1/tools/search/accept", token: dep, body: #"{"sha256":"\#(digest)"}"#)
        #expect(accept.status == 409, "what a function says is deployed with it")

        // Who did what, with the hash of what it was about.
        let audit = try Self.json(bed.ask("GET", "/v1/audit?subject=search", token: bed.bed.token))["items"]?.array ?? []
        let changes = audit.filter { $0["kind"] == "change" }
        #expect(changes.compactMap { $0["code"]?.string } == ["created", "disabled", "updated", "enabled"])
        #expect(changes.compactMap { $0["principal"]?.string } == ["admin", "dep", "admin", "dep"])
        #expect(changes.last?["sha256"]?.string == digest && changes.first?["sha256"]?.string != digest)
    }

    @Test func whatIsRefusedIsKeptToo() throws {
        let bed = try TokenBed()
        defer { bed.bed.server.stop() }
        let boss = try bed.token("boss", ["admin@default"])
        let order = #"{"name":"helper"}"#
        #expect(try bed.ask("POST", "/v1/agents", token: boss, body: order).status == 201)
        #expect(try bed.ask("POST", "/v1/agents", token: boss, body: order).status == 409)
        #expect(try bed.ask("POST", "/v1/agents/helper/rotate", token: boss).status == 201)
        let manifest =
            #"{"apiVersion":"apus.dev/v1","kind":"Agent","metadata":{"name":"helper"},"spec":{"scopes":["a"]}}"#
        #expect(try bed.ask("PUT", "/v1/agents/helper", token: boss, body: manifest).status == 200)
        #expect(try bed.ask("DELETE", "/v1/agents/helper", token: boss).status == 200)
        let audit = try Self.json(bed.ask("GET", "/v1/audit?subject=agent/helper", token: bed.bed.token))["items"]?.array ?? []
        #expect(audit.compactMap { $0["code"]?.string } == ["created", "already_exists", "rotated", "updated", "revoked"])
        #expect(audit.compactMap { $0["decision"]?.string } == ["allowed", "refused", "allowed", "allowed", "allowed"])
    }
}
