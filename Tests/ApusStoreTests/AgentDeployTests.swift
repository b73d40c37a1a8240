import ApusCore
import Testing

@testable import ApusStore

/// Agents that are deployed: their rights come and go with the manifest, their token does not.
@Suite struct AgentDeployTests {
    var control = ControlFixture()

    private func name(_ text: String = "helper") throws -> ResourceName { try #require(ResourceName(.default, text)) }

    private static func yaml(_ spec: String, name: String = "helper", labels: String = "{}") -> String {
        "---\napiVersion: apus.dev/v1\nkind: Agent\nmetadata: {name: \(name), labels: \(labels)}\nspec: {\(spec)}\n"
    }

    @Test mutating func aDeployedAgentHasNoTokenUntilItIsRotated() throws {
        let helper = try self.name()
        let outcome = try #require(try self.control.deploy(Self.yaml("scopes: [a], limits: {concurrent: 2}")).first)
        #expect(outcome.kind == .principal && outcome.action == .created && outcome.generation == 1)
        var agent = try #require(self.control.queue.catalogue.principals[helper])
        #expect(agent.key == nil && agent.state(at: self.control.now) == .keyless)
        #expect(agent.roles.texts == ["caller@default"] && agent.agent?.limits.concurrent == 2)
        #expect(throws: ApusError.self) {
            try self.control.run(.createPrincipal(helper, agent))
        }
        _ = try self.control.run(.rotatePrincipal(helper, id: "one", hash: TokenHash(of: "one")))
        agent = try #require(self.control.queue.catalogue.principals[helper])
        #expect(agent.key?.hash == TokenHash(of: "one") && agent.state(at: self.control.now) == .active)
        // Each record comes back from the log as it was.
        for record in self.control.records { #expect(try ControlRecord(record.event) == record) }
    }

    @Test mutating func anotherDeployChangesRightsAndKeepsTheToken() throws {
        let helper = try self.name()
        let end = self.control.now + .seconds(60)
        let rights = AgentRights(servers: ["docs"], scopes: ["a"])
        _ = try self.control.run(
            .createPrincipal(
                helper,
                PrincipalDeployment(
                    id: "id", hash: TokenHash(of: "one"), roles: RoleGrants([RoleGrant(.caller, .namespace(.default))]),
                    created: self.control.now, creator: "boss", expires: end, agent: rights)))
        #expect(try self.control.deploy(Self.yaml("servers: [docs], scopes: [a]")).map(\.action) == [.unchanged])
        #expect(try self.control.deploy(Self.yaml("scopes: [b]", labels: "{team: x}")).map(\.action) == [.updated])
        let agent = try #require(self.control.queue.catalogue.principals[helper])
        #expect(agent.key?.hash == TokenHash(of: "one") && agent.expires == end && agent.creator == "boss")
        #expect(agent.agent == AgentRights(scopes: ["b"]) && agent.labels == ["team": "x"])
        #expect(try self.control.deploy(Self.yaml("scopes: [b]", labels: "{team: x}")).map(\.action) == [.unchanged])
        let last = try #require(self.control.records.last)
        #expect(try ControlRecord(last.event) == last)
    }

    @Test mutating func whatEndedIsMadeAnewWithoutItsOldToken() throws {
        let helper = try self.name()
        _ = try self.control.deploy(Self.yaml(""))
        _ = try self.control.run(.rotatePrincipal(helper, id: "one", hash: TokenHash(of: "one")))
        #expect(try self.control.run(.revokePrincipal(helper)).map(\.action) == [.revoked])
        #expect(throws: ApusError.self) {
            try self.control.run(.rotatePrincipal(helper, id: "two", hash: TokenHash(of: "two")))
        }
        #expect(try self.control.deploy(Self.yaml("")).map(\.action) == [.created])
        #expect(self.control.queue.catalogue.principals[helper]?.key == nil, "the token that was revoked stays worthless")
        #expect(try self.control.run(.revokePrincipal(helper)).map(\.action) == [.revoked])
    }

    @Test mutating func generationsAreChecked() throws {
        let helper = try self.name()
        #expect(try self.control.deploy(Self.yaml(""), ifMatch: 0).map(\.generation) == [1])
        #expect(throws: ApusError.self) { try self.control.deploy(Self.yaml("scopes: [a]"), ifMatch: 7) }
        #expect(throws: ApusError.self) { try self.control.run(.revokePrincipal(helper, ifMatch: 7)) }
        #expect(try self.control.run(.revokePrincipal(helper, ifMatch: 1)).map(\.action) == [.revoked])
        #expect(try self.control.deploy(Self.yaml(""), ifMatch: 0).map(\.action) == [.created], "what ended is not there")
    }

    @Test mutating func tokensAndTheServersOwnNameAreNoAgents() throws {
        let ci = try self.name("ci")
        _ = try self.control.run(
            .createPrincipal(
                ci,
                PrincipalDeployment(
                    id: "id", hash: TokenHash(of: "one"), roles: RoleGrants([]), created: self.control.now, creator: "boss")))
        for name in ["ci", "admin"] {
            let error = #expect(throws: ApusError.self) { try self.control.deploy(Self.yaml("", name: name)) }
            #expect(error?.code == .alreadyExists)
        }
        #expect(self.control.queue.catalogue.principals[ci]?.agent == nil)
    }

    @Test mutating func aDeployOfSeveralIsAllOrNothing() throws {
        let documents = Self.yaml("", name: "one") + Self.yaml("", name: "admin") + ControlFixture.topic("t")
        #expect(throws: ApusError.self) { try self.control.deploy(documents) }
        #expect(self.control.records.isEmpty && self.control.queue.catalogue.principals.isEmpty)
    }

    @Test func aCommandTellsWhoDeploysAndIsReadBack() throws {
        let command = ControlCommand.deploy(
            try ControlFixture.documents(Self.yaml("scopes: [a]")), ifMatch: 3, isDryRun: false, by: "boss")
        #expect(try ControlCommand(json: command.json) == command)
        let revoke = ControlCommand.revokePrincipal(try self.name(), ifMatch: 4)
        #expect(try ControlCommand(json: revoke.json) == revoke)
    }

    @Test func aPrincipalWithoutAKeyIsAnAgent() throws {
        let record = ControlRecord(
            kind: .principal, namespace: .default, name: "x", generation: 1, time: .zero,
            content: .principal(
                PrincipalDeployment(key: nil, roles: RoleGrants([]), created: .zero, creator: "boss")))
        #expect(throws: ApusError.self) { try ControlRecord(record.event) }
    }
}
