import ApusCore
import ApusManifest
import Testing

/// `kind: Agent`: a principal that calls tools, and what it may do.
struct AgentManifestTests {
    private func text(_ spec: String) -> String {
        "apiVersion: apus.dev/v1\nkind: Agent\nmetadata: {name: helper, labels: {team: search}}\nspec: {\(spec)}\n"
    }

    private func agent(_ spec: String) throws -> AgentManifest {
        guard case .agent(let agent) = try Manifest.parse(self.text(spec), file: "f.yaml")[0] else {
            throw ApusError(.internal, "no agent")
        }
        return agent
    }

    @Test func whatAnAgentMayDoIsRead() throws {
        let agent = try self.agent(
            "servers: [search, docs, search], scopes: [\"files:read\"], limits: {callsPerMinute: 60, concurrent: 4, callsPerDay: 1000, budgetPerDay: 2.5}")
        #expect(agent.name.name == "helper" && agent.labels == ["team": "search"])
        #expect(agent.servers == ["search", "docs"], "saying it twice says it once")
        #expect(agent.scopes == ["files:read"])
        #expect(agent.limits == CallBounds(callsPerMinute: 60, concurrent: 4, callsPerDay: 1_000, budgetPerDay: Money(2.5)))
        #expect(try Manifest(json: Manifest.agent(agent).toJSON()) == .agent(agent))
    }

    @Test func anAgentWithoutAnythingReachesAllAndHoldsNoScope() throws {
        let agent = try self.agent("")
        #expect(agent.servers.isEmpty && agent.scopes.isEmpty && agent.limits == CallBounds())
        #expect(try Manifest(json: Manifest.agent(agent).toJSON()) == .agent(agent))
    }

    @Test(arguments: [
        ("servers: [No Server]", "expected 1 to 63 of a-z"), ("servers: all", "expected a list"),
        ("scopes: [\"a b\"]", "expected 1 to 128 of letters"), ("limits: {callsPerMinute: 0}", "a whole number from 1"),
        ("limits: {budgetPerDay: 0}", "a number above 0"), ("limits: {budgetPerDay: much}", "a number above 0"),
        ("limits: {callsPerMinut: 5}", "did you mean `callsPerMinute`?"), ("roles: [admin]", "unknown field `roles`"),
        ("key: x", "unknown field `key`"),
    ])
    func eachMistakeIsTold(spec: String, expected: String) {
        let error = #expect(throws: ManifestErrors.self) { try Manifest.parse(self.text(spec), file: "f.yaml") }
        #expect(error.map { "\($0)" }?.contains(expected) == true, "\(error.map { "\($0)" } ?? "")")
    }

    @Test func rightsAreBoundedInNumber() throws {
        func scopes(_ count: Int) -> String { "scopes: [\((0..<count).map { "s\($0)" }.joined(separator: ", "))]" }
        #expect(try self.agent(scopes(Limits.Manifest.agentRights)).scopes.count == Limits.Manifest.agentRights)
        #expect(throws: ManifestErrors.self) {
            try Manifest.parse(self.text(scopes(Limits.Manifest.agentRights + 1)), file: "f.yaml")
        }
    }
}
