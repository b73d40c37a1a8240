import ApusCore
import Testing

@testable import ApusStore

@Suite struct HTTPTriggerRuleTests {
    private func http(_ path: String, _ methods: String = "POST", name: String = "http") -> String {
        "{name: \(name), http: {path: \"\(path)\", methods: [\(methods)]}}"
    }

    private func conflict(_ body: () throws -> Void) -> String? {
        do {
            try body()
            return nil
        } catch {
            guard let error = error as? ApusError, error.code == .conflict else { return "not a conflict: \(error)" }
            return error.message
        }
    }

    @Test func whatAnotherFunctionAnswersIsRefusedAndNamed() throws {
        var fixture = ControlFixture()
        _ = try fixture.deploy(ControlFixture.function("first", self.http("/embed/{id}")))
        let message = self.conflict {
            _ = try fixture.deploy(
                ControlFixture.function("second", self.http("/embed/{name}", "GET, POST", name: "mine")))
        }
        #expect(
            message?.hasPrefix(
                "test.yaml:9:40: POST /embed/{name} is taken already: the other is of the function 'first' (trigger 'http')"
            )
                == true, "\(message ?? "accepted")")
        #expect(fixture.records.count == 1)
    }

    @Test func patternsThatAreAmbiguousAreRefused() throws {
        var fixture = ControlFixture()
        _ = try fixture.deploy(ControlFixture.function("first", self.http("/a/{x}")))
        let message = self.conflict { _ = try fixture.deploy(ControlFixture.function("second", self.http("/{y}/b"))) }
        #expect(message?.contains("neither is more specific") == true, "\(message ?? "accepted")")
    }

    @Test func otherMethodsMoreSpecificPathsAndOtherNamespacesAreFree() throws {
        var fixture = ControlFixture()
        _ = try fixture.deploy(ControlFixture.function("first", self.http("/a/{x}")))
        _ = try fixture.deploy(ControlFixture.function("second", self.http("/a/{x}", "GET")))
        _ = try fixture.deploy(ControlFixture.function("third", self.http("/a/b")))
        let elsewhere = ControlFixture.function("first", self.http("/a/{x}"))
            .replacing("{name: first}", with: "{name: first, namespace: team}")
        _ = try fixture.deploy(elsewhere)
        #expect(fixture.records.count == 4)
    }

    @Test func functionsOfOneDeployAreComparedAsTheyWillBe() throws {
        var fixture = ControlFixture()
        let both = self.conflict {
            _ = try fixture.deploy(
                ControlFixture.function("first", self.http("/a")) + ControlFixture.function("second", self.http("/a")))
        }
        #expect(both?.split(separator: "\n").count == 2, "\(both ?? "accepted")")
        // A path changes hands in one deploy.
        _ = try fixture.deploy(ControlFixture.function("first", self.http("/a")))
        _ = try fixture.deploy(
            ControlFixture.function("first", self.http("/b")) + ControlFixture.function("second", self.http("/a")))
        // And is free once its function is deleted.
        let second = try #require(ResourceName(.default, "second"))
        _ = try fixture.run(.deleteFunction(second, ifMatch: nil))
        _ = try fixture.deploy(ControlFixture.function("third", self.http("/a")))
    }
}
