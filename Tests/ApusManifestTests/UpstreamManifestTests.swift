import ApusCore
import ApusManifest
import Testing

/// `kind: Upstream`: another MCP server, over HTTP or as a function of ours.
struct UpstreamManifestTests {
    private func text(_ spec: String) -> String {
        "apiVersion: apus.dev/v1\nkind: Upstream\nmetadata: {name: my-issues}\nspec: {\(spec)}\n"
    }

    private func upstream(_ spec: String) throws -> UpstreamManifest {
        guard case .upstream(let upstream) = try Manifest.parse(self.text(spec), file: "f.yaml")[0] else {
            throw ApusError(.internal, "no upstream")
        }
        return upstream
    }

    @Test func anAddressMakesAFunctionThatReachesItAlone() throws {
        let upstream = try self.upstream(
            "url: \"https://mcp.example.com/mcp\", inject: [{secret: TOKEN, prefix: \"Bearer \"}], scopes: [issues]")
        #expect(upstream.prefix == "my_issues" && upstream.timeout == .seconds(30) && upstream.refresh == .seconds(300))
        let function = try #require(upstream.ownFunction)
        #expect(function.name == upstream.name && function.runtime == .mcp && function.reuse == .function)
        #expect(function.network?.allow.map(\.description) == ["mcp.example.com:443"])
        let injection = try #require(function.network?.inject.first)
        #expect(injection.secret == "TOKEN" && injection.header == "authorization" && injection.prefix == "Bearer ")
        // The function's manifest is one that a deploy takes, and comes back from the log as it was.
        #expect(try Manifest(json: Manifest.function(function).toJSON()) == .function(function))
        #expect(try Manifest(json: Manifest.upstream(upstream).toJSON()) == .upstream(upstream))
    }

    @Test func aFunctionIsNamed() throws {
        let upstream = try self.upstream(
            "function: clock, prefix: c, pins: {now: \(String(repeating: "A", count: 64))}, refresh: 1m")
        #expect(upstream.ownFunction == nil && upstream.function.name == "clock" && upstream.prefix == "c")
        #expect(upstream.pins == ["now": String(repeating: "a", count: 64)])
        #expect(try Manifest(json: Manifest.upstream(upstream).toJSON()) == .upstream(upstream))
    }

    @Test(arguments: [
        ("url: \"https://user@example.com/\"", "without a user"),
        ("url: \"https://example.com/\", function: f", "one of"),
        ("prefix: a", "one of"),
        ("function: f, inject: [{secret: A}]", "is for an upstream with a `url`"),
        ("url: \"http://example.com/\", inject: [{secret: A}]", "are only sent encrypted"),
        ("url: \"https://example.com/\", inject: [{secret: A, header: Host}]", "a header for credentials"),
        ("url: \"https://example.com/\", inject: [{secret: A, header: Mcp-Name}]", "a header for credentials"),
        ("function: f, prefix: a.b", "expected at most 32"),
        ("function: f, pins: {a: b}", "64 hexadecimal digits"),
        ("function: f, refresh: 1s", "refresh"),
    ])
    func whatMakesNoSenseIsRefused(spec: String, words: String) {
        let found = errors(self.text(spec))
        #expect(found.contains { $0.contains(words) }, "\(found)")
    }
}
