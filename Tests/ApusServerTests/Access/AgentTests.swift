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

    @Test func rightsAreBoundedInNumber() throws {
        func rights(_ count: Int) throws -> AgentRights {
            try AgentRights(json: ["scopes": .array((0..<count).map { .string("s\($0)") })])
        }
        #expect(try rights(Limits.Control.rightsPerAgent).scopes.count == Limits.Control.rightsPerAgent)
        #expect(throws: AgentRightsError.self) { try rights(Limits.Control.rightsPerAgent + 1) }
    }
}
