import ApusCore
import ApusJSON
import ApusManifest
import Testing

@testable import ApusStore

/// Upstreams on the control topic: deployed with the function that speaks with them, listed, decided about, deleted.
struct UpstreamControlTests {
    private static func upstream(_ name: String, _ spec: String = "url: \"https://mcp.example.com/mcp\"") -> String {
        "---\napiVersion: apus.dev/v1\nkind: Upstream\nmetadata: {name: \(name)}\nspec: {\(spec)}\n"
    }

    private static let server = """
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: clock}
        spec: {runtime: mcp, handler: python3 server.py}

        """

    private static func documents(_ yaml: String) throws -> [DeployDocument] {
        try Manifest.parse(yaml, file: "test.yaml").map { DeployDocument(manifest: $0, bundle: ControlFixture.bundle) }
    }

    private func deploy(_ yaml: String, _ fixture: inout ControlFixture) throws {
        _ = try fixture.run(.deploy(try Self.documents(yaml), ifMatch: nil, isDryRun: false))
    }

    private func name(_ text: String) throws -> ResourceName { try #require(ResourceName(.default, text)) }

    private func tool(_ name: String, _ about: String = "Finds.") throws -> UpstreamDefinition {
        try #require(
            UpstreamDefinition(["name": .string(name), "description": .string(about), "inputSchema": ["type": "object"]]))
    }

    @Test func anAddressComesAndGoesWithItsFunction() throws {
        var fixture = ControlFixture()
        try self.deploy(Self.upstream("issues"), &fixture)
        let name = try self.name("issues")
        #expect(fixture.queue.catalogue.upstreams[name] != nil)
        #expect(fixture.queue.catalogue.functions[name]?.manifest.runtime == .mcp)
        #expect(throws: ApusError.self) { try fixture.run(.deleteFunction(name, ifMatch: nil)) }
        #expect(throws: ApusError.self) { try fixture.deploy(ControlFixture.function("issues", "")) }
        _ = try fixture.run(.takeUpstreamList(name, [try self.tool("a")]))
        #expect(fixture.queue.catalogue.upstreamTools[name]?.entries.count == 1)
        _ = try fixture.run(.deleteUpstream(name, ifMatch: nil))
        #expect(fixture.queue.catalogue.upstreams.isEmpty && fixture.queue.catalogue.upstreamTools.isEmpty)
        #expect(fixture.queue.catalogue.functions.isEmpty)
        #expect(throws: ApusError.self) { try fixture.run(.deleteUpstream(name, ifMatch: nil)) }
    }

    @Test func aFunctionThatIsNamedMustBeAServer() throws {
        var fixture = ControlFixture()
        #expect(throws: ApusError.self) { try self.deploy(Self.upstream("clock", "function: clock"), &fixture) }
        try self.deploy(Self.server + Self.upstream("clock", "function: clock"), &fixture)
        #expect(fixture.queue.catalogue.upstreams.count == 1 && fixture.queue.catalogue.functions.count == 1)
        _ = try fixture.deploy(ControlFixture.function("plain", ""))
        #expect(throws: ApusError.self) { try self.deploy(Self.upstream("p", "function: plain"), &fixture) }
        // The name of a function that is there already, and a prefix that another has.
        #expect(throws: ApusError.self) { try self.deploy(Self.upstream("plain"), &fixture) }
        #expect(throws: ApusError.self) { try self.deploy(Self.upstream("other", "function: clock, prefix: clock"), &fixture) }
    }

    @Test func listsThatSayNothingNewWriteNothingAndDecisionsLast() throws {
        var fixture = ControlFixture()
        try self.deploy(Self.upstream("issues"), &fixture)
        let name = try self.name("issues")
        _ = try fixture.run(.takeUpstreamList(name, [try self.tool("a")]))
        let count = fixture.records.count
        _ = try fixture.run(.takeUpstreamList(name, [try self.tool("a")]))
        #expect(fixture.records.count == count)
        let changed = try self.tool("a", "Finds more.")
        _ = try fixture.run(.takeUpstreamList(name, [changed]))
        #expect(fixture.queue.catalogue.upstreamTools[name]?.entries["a"]?.offered == nil)
        _ = try fixture.run(.switchUpstreamTool(name, tool: "a", .accept(digest: UpstreamTools.digest(changed))))
        _ = try fixture.run(.switchUpstreamTool(name, tool: "a", .disable))
        // The records alone bring it all back.
        var catalogue = Catalogue()
        for record in fixture.records { _ = try catalogue.apply(try ControlRecord(record.event)) }
        #expect(catalogue.upstreams == fixture.queue.catalogue.upstreams)
        #expect(catalogue.upstreamTools[name]?.entries["a"]?.state == "disabled")
    }

    @Test func whatTheManifestPinsIsAcceptedThereAlone() throws {
        var fixture = ControlFixture()
        let pins = "url: \"https://mcp.example.com/mcp\", pins: {a: \(String(repeating: "0a", count: 32))}"
        try self.deploy(Self.upstream("issues", pins), &fixture)
        let (name, tool) = (try self.name("issues"), try self.tool("a"))
        _ = try fixture.run(.takeUpstreamList(name, [tool]))
        #expect(throws: ApusError.self) {
            try fixture.run(.switchUpstreamTool(name, tool: "a", .accept(digest: UpstreamTools.digest(tool))))
        }
    }

    @Test func commandsComeBackFromTheirJSON() throws {
        let name = try self.name("issues")
        let commands: [ControlCommand] = [
            .deleteUpstream(name, ifMatch: 3), .takeUpstreamList(name, [try self.tool("a"), try self.tool("b")]),
            .switchUpstreamTool(name, tool: "a", .accept(digest: "ff")), .switchUpstreamTool(name, tool: "a", .disable),
            .switchUpstreamTool(name, tool: "a", .enable),
        ]
        for command in commands { #expect(try ControlCommand(json: command.json) == command) }
    }
}
