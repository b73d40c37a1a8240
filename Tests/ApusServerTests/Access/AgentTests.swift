import ApusCore
import ApusHTTP
import ApusJSON
import ApusStore
import Testing

@testable import ApusServer

@Suite struct AgentTests {
    private static func json(_ response: HTTPResponse) throws -> JSONValue { try JSONValue.parse(response.body) }

    @Test func anAgentIsMadeRotatedAndRevoked() throws {
        let bed = try TokenBed()
        let admin = try bed.token("boss", ["admin@default"])
        let order = #"{"name":"helper","servers":["search"],"scopes":["files:read"],"limits":{"callsPerMinute":60}}"#
        let made = try bed.ask("POST", "/v1/agents", token: admin, body: order)
        #expect(made.status == 201 && made.header("Cache-Control") == "no-store")
        let agent = try Self.json(made)
        let first = try #require(agent["token"]?.string)
        #expect(agent["servers"] == ["search"] && agent["limits"]?["callsPerMinute"]?.integer == 60)
        #expect(agent["roles"] == ["caller@default"])

        let listed = try bed.ask("GET", "/v1/agents", token: admin)
        #expect(try Self.json(listed)["items"]?[0]?["scopes"] == ["files:read"])
        #expect(!String(decoding: listed.body, as: UTF8.self).contains(first))
        #expect(try bed.ask("GET", "/v1/principal", token: first).status == 200)
        #expect(try bed.ask("GET", "/v1/functions", token: first).status == 403, "it calls, and no more")
        #expect(try bed.ask("POST", "/v1/agents", token: admin, body: order).status == 409)

        let rotated = try Self.json(bed.ask("POST", "/v1/agents/helper/rotate", token: admin))
        let second = try #require(rotated["token"]?.string)
        #expect(try bed.ask("GET", "/v1/principal", token: first).status == 401)
        #expect(try bed.ask("GET", "/v1/principal", token: second).status == 200)

        #expect(try bed.ask("DELETE", "/v1/agents/helper", token: admin).status == 200)
        #expect(try bed.ask("GET", "/v1/principal", token: second).status == 401)
        #expect(try bed.ask("POST", "/v1/agents/helper/rotate", token: admin).status == 409)
        #expect(try bed.ask("POST", "/v1/agents/nobody/rotate", token: admin).status == 404)
    }

    /// Its servers, scopes and bounds hold for tools: no other way to functions leads around them.
    @Test func anAgentHasNoWayToFunctionsBesideItsTools() throws {
        let bed = try TokenBed()
        let admin = try bed.token("boss", ["admin@default"])
        let made = try Self.json(bed.ask("POST", "/v1/agents", token: admin, body: #"{"name":"helper","servers":["search"]}"#))
        let agent = try #require(made["token"]?.string)
        let caller = try bed.token("caller", ["caller@default"])
        let id = String(repeating: "0", count: 32)
        for (method, path, allowed) in [
            ("POST", "/v1/functions/hello/invoke", 404), ("GET", "/v1/invocations/\(id)", 404),
            ("DELETE", "/v1/invocations/\(id)", 404),
        ] {
            #expect(try bed.ask(method, path, token: caller, body: "{}").status == allowed, "\(method) \(path)")
            let refused = try bed.ask(method, path, token: agent, body: "{}")
            let text = String(decoding: refused.body, as: UTF8.self)
            #expect(refused.status == 403 && text.contains("/mcp"), "\(method) \(path): \(text)")
        }
        let free = try Self.json(bed.ask("POST", "/v1/agents", token: admin, body: #"{"name":"free"}"#))
        let token = try #require(free["token"]?.string)
        #expect(try bed.ask("POST", "/mcp", token: token, body: "{}").status == 400, "let in, and told that this is no message")
    }

    @Test func aTokenIsNoAgent() throws {
        let bed = try TokenBed()
        let admin = try bed.token("boss", ["admin@default"])
        _ = try bed.create(#"{"name":"ci","roles":["deployer"]}"#, with: admin)
        #expect(try bed.ask("POST", "/v1/agents/ci/rotate", token: admin).status == 404)
        #expect(try Self.json(bed.ask("GET", "/v1/agents", token: admin))["items"]?.array?.isEmpty == true)
    }

    @Test(arguments: [
        "[]", "{}", #"{"name":"No"}"#, #"{"name":"a","roles":["admin"]}"#, #"{"name":"a","servers":"x"}"#,
        #"{"name":"a","servers":["No Server"]}"#, #"{"name":"a","scopes":["a b"]}"#, #"{"name":"a","scopes":[""]}"#,
        #"{"name":"a","limits":{"callsPerMinute":0}}"#, #"{"name":"a","limits":{"calls":1}}"#,
        #"{"name":"a","limits":[]}"#, #"{"name":"a","expiresIn":"soon"}"#,
    ])
    func whatIsNoAgentIsRefused(order: String) throws {
        let bed = try TokenBed()
        let admin = try bed.token("boss", ["admin@default"])
        #expect(try bed.ask("POST", "/v1/agents", token: admin, body: order).status == 400)
    }

    private static func manifest(_ spec: String) -> String {
        #"{"apiVersion":"apus.dev/v1","kind":"Agent","metadata":{"name":"helper"},"spec":{\#(spec)}}"#
    }

    @Test func anAgentIsDeployedAndItsTokenStays() throws {
        let bed = try TokenBed()
        let admin = try bed.token("boss", ["admin@default"])
        let deployer = try bed.token("dep", ["deployer@default"])
        let first = Self.manifest(#""scopes":["files:read"],"limits":{"callsPerMinute":60}"#)
        // What an agent may do is said by those who make agents.
        #expect(try bed.ask("PUT", "/v1/agents/helper", token: deployer, body: first).status == 403)
        let body = #"{"documents":[{"manifest":\#(first)}]}"#
        #expect(try bed.ask("POST", "/v1/deployments", token: deployer, body: body).status == 403)
        #expect(try bed.ask("GET", "/v1/agents/helper", token: admin).status == 404)
        let deployed = try bed.ask("POST", "/v1/deployments", token: admin, body: body)
        #expect(String(decoding: deployed.body, as: UTF8.self).contains(#""kind":"Agent","namespace":"default","name":"helper","action":"created""#))
        let shown = try bed.ask("GET", "/v1/agents/helper", token: admin)
        #expect(try Self.json(shown)["state"] == "keyless" && shown.header("ETag") == "\"1\"")
        #expect(try Self.json(shown)["id"] == nil && Self.json(shown)["creator"] == "boss")
        #expect(try Self.json(bed.ask("GET", "/v1/tokens", token: admin))["items"]?.array?.contains { $0["name"] == "helper" } == false)

        let rotated = try Self.json(bed.ask("POST", "/v1/agents/helper/rotate", token: admin))
        let token = try #require(rotated["token"]?.string)
        #expect(try bed.ask("GET", "/v1/principal", token: token).status == 200)
        let second = Self.manifest(#""servers":["docs"],"scopes":["files:write"]"#)
        let stale = [HTTPHeader("If-Match", "\"1\"")]
        #expect(try bed.ask("PUT", "/v1/agents/helper", token: admin, headers: stale, body: second).status == 409)
        let put = try bed.ask("PUT", "/v1/agents/helper", token: admin, headers: [HTTPHeader("If-Match", "\"2\"")], body: second)
        #expect(try Self.json(put)["action"] == "updated" && Self.json(put)["kind"] == "Agent")
        #expect(try bed.ask("GET", "/v1/principal", token: token).status == 200, "the token stays")
        let changed = try Self.json(bed.ask("GET", "/v1/agents/helper", token: admin))
        #expect(changed["servers"] == ["docs"] && changed["scopes"] == ["files:write"] && changed["limits"]?.object?.isEmpty == true)
        // What is shown is what deploys the same.
        let again = String(decoding: try #require(changed["manifest"]).encoded(), as: UTF8.self)
        #expect(try Self.json(bed.ask("PUT", "/v1/agents/helper", token: admin, body: again))["action"] == "unchanged")
        #expect(try bed.ask("DELETE", "/v1/agents/helper", token: admin, headers: stale).status == 409)
        #expect(try bed.ask("DELETE", "/v1/agents/helper", token: admin).status == 200)
        #expect(try bed.ask("GET", "/v1/principal", token: token).status == 401)
    }

    @Test func whoListensIsToldThatItSeesOtherListsNow() throws {
        let bed = try TokenBed()
        let admin = try bed.token("boss", ["admin@default"])
        let made = try Self.json(bed.ask("POST", "/v1/agents", token: admin, body: #"{"name":"helper","scopes":["a"]}"#))
        let token = try #require(made["token"]?.string)
        let meta = "io.modelcontextprotocol"
        let listen =
            #"{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true},"#
            + #""_meta":{"\#(meta)/protocolVersion":"2026-07-28","\#(meta)/clientCapabilities":{}}}}"#
        let stream = ServerBed.Stream(
            bed.bed, "POST", "/mcp",
            headers: [
                HTTPHeader("Authorization", "Bearer \(token)"), HTTPHeader("Content-Type", "application/json"),
                HTTPHeader("Accept", "application/json, text/event-stream"),
                HTTPHeader("MCP-Protocol-Version", "2026-07-28"), HTTPHeader("Mcp-Method", "subscriptions/listen"),
            ], body: listen, hasToken: false, isPaused: { false })
        try ServerBed.until("subscriptions/acknowledged") { stream.read.contains("subscriptions/acknowledged") }
        #expect(try bed.ask("PUT", "/v1/agents/helper", token: admin, body: Self.manifest(#""scopes":["b"]"#)).status == 200)
        try ServerBed.until("notifications/tools/list_changed") { stream.read.contains("notifications/tools/list_changed") }
        // Where it may not be any more its stream ends, as a subscription ends.
        #expect(try bed.ask("PUT", "/v1/agents/helper", token: admin, body: Self.manifest(#""servers":["docs"]"#)).status == 200)
        try ServerBed.until("the end") { stream.read.contains(#""resultType":"complete""#) }
    }

    @Test func rightsAreBoundedInNumber() throws {
        func rights(_ count: Int) throws -> AgentRights {
            try AgentRights(json: ["scopes": .array((0..<count).map { .string("s\($0)") })])
        }
        #expect(try rights(Limits.Control.rightsPerAgent).scopes.count == Limits.Control.rightsPerAgent)
        #expect(throws: AgentRightsError.self) { try rights(Limits.Control.rightsPerAgent + 1) }
    }
}
