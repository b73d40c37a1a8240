import ApusCore
import ApusManifest
import Testing

/// Functions that are an MCP server: a command that speaks over its standard input and output, or the URL of one.
struct MCPManifestTests {
    private func text(_ more: String, handler: String = "python3 -m mcp_server_time") -> String {
        """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: clock}
        spec:
          runtime: mcp
          handler: \(handler)
          \(more)
        """
    }

    private func function(_ text: String) throws -> FunctionManifest {
        guard case .function(let function) = try Manifest.parse(text, file: "f.yaml")[0] else {
            throw ApusError(.internal, "no function")
        }
        return function
    }

    @Test func aCommandIsKeptForOnePrincipalUnlessTheManifestSaysOtherwise() throws {
        let standard = try self.function(self.text(""))
        #expect(standard.reuse == .principal && standard.profile == .exec && standard.scale.idle == .seconds(60))
        #expect(try self.function(self.text("reuse: function")).reuse == .function)
        #expect(try self.function(self.text("reuse: never")).reuse == .never)
        #expect(try self.function(self.text("dependencies: requirements.txt")).dependencies?.file == "requirements.txt")
    }

    @Test func anAddressIsSharedAndRunsOurOwnCode() throws {
        let manifest = try self.function(
            self.text(
                "sandbox: {network: {allow: [\"tools.example.com:443\"]}}", handler: "https://tools.example.com/mcp"))
        #expect(manifest.reuse == .function && manifest.profile == .python)
        // What was checked once is checked again where it comes back from the log.
        let again = try Manifest(json: Manifest.function(manifest).toJSON())
        #expect(again == .function(manifest))
    }

    @Test(arguments: [
        ("batch: {maxSize: 2, maxWait: 5ms}", "expected none with the runtime mcp"),
        ("triggers: [{topic: t}]", "agents call its tools through an Upstream"),
        ("tool: {name: x, input: {type: object}}", "an Upstream offers what the server lists"),
        ("concurrency: 33", "expected at most 32 with the runtime mcp"),
        ("resources: {processes: 1}", "expected at least 2"),
        ("scale: {min: 1}", "expected 0 with `reuse: principal`"),
        ("resources: {gpu: {memory: 1Gi}}\n  reuse: function", "expected python3 or native"),
    ])
    func whatMakesNoSenseIsRefused(more: String, words: String) {
        #expect(errors(self.text(more)).contains { $0.contains(words) }, "\(errors(self.text(more)))")
    }

    @Test(arguments: ["https://user@example.com/mcp", "http://", "https://example.com/mcp#part", "https://example.com:99999/"])
    func anAddressThatIsNoneIsRefused(url: String) {
        #expect(errors(self.text("", handler: "\"\(url)\"")).contains { $0.contains("without a user and a fragment") })
    }

    @Test func onlyMCPServersAreKeptForOnePrincipal() {
        let text = Samples.smallest.replacing("\"main:echo\"}", with: "\"main:echo\", reuse: principal}")
        #expect(errors(text).contains { $0.contains("only MCP servers are kept for one principal") }, "\(errors(text))")
    }
}
