public import ApusCore
internal import ApusCrypto
internal import ApusJSON
public import ApusManifest

/// A function as a tool, ready to be listed and called. Made once at a deploy, shared by all snapshots that have it.
public final class Tool: Sendable {
    /// As manifests name it.
    public let name: ToolName
    public let function: ResourceName
    /// The function's revision that this was made of.
    public let revision: String
    public let version: Int
    /// Its part of the calls by name alone, against the other versions.
    public let weight: Int
    public let isExposed: Bool
    public let title: String?
    public let description: String?
    /// The JSON Schema's text as it was written, on one line.
    public let inputSchema: [UInt8]
    public let outputSchema: [UInt8]?
    public let annotations: ToolManifest.Annotations
    public let labels: [String: String]
    public let approval: ToolManifest.Approval
    public let asynchronous: ToolManifest.Asynchrony
    public let questions: ToolManifest.Questions
    /// Each of these a caller must have.
    public let scopes: [String]
    public let cache: ToolManifest.Cache?
    /// Of each principal.
    public let bounds: ToolManifest.Bounds
    /// Bytes of a result that are sent as they are.
    public let maxResult: Int64
    /// Bytes of a result that a call may have at all.
    public let resultLimit: Int64
    /// How long a result can be read that became a link.
    public let keepResult: TimeSpan
    /// How long one call may take.
    public let timeout: TimeSpan
    /// Arguments that clients repeat as `Mcp-Param-*` headers.
    public let headers: [HeaderParameter]
    /// The SHA-256 over name, title, description, schemas and annotations, in hexadecimal.
    public let digest: String
    /// The item of `tools/list`, without the brackets of the list.
    public let encoded: [UInt8]
    /// Where its calls go if another server has it; then ``function`` is the one that speaks with that server.
    public let remote: Remote?

    public var namespace: Namespace { self.function.namespace }

    /// - Returns: nil when the function offers no tool, or its schemas were not read from their files.
    public init?(_ function: FunctionManifest, revision: String) {
        guard let manifest = function.tool, let input = manifest.input.text else { return nil }
        if let output = manifest.output, output.text == nil { return nil }
        self.name = ToolName(manifest.name)
        self.function = function.name
        self.revision = revision
        self.version = manifest.version
        self.weight = manifest.weight
        self.isExposed = manifest.isExposed
        self.title = manifest.title
        self.description = function.about
        self.inputSchema = input
        self.outputSchema = manifest.output?.text
        self.annotations = manifest.annotations
        self.labels = function.labels
        self.approval = manifest.approval
        self.asynchronous = manifest.asynchrony
        self.questions = manifest.questions
        self.scopes = manifest.scopes
        self.cache = manifest.cache
        self.bounds = manifest.bounds
        self.maxResult = manifest.maxResult
        self.resultLimit = manifest.resultLimit
        self.keepResult = manifest.keepResult
        self.timeout = function.timeout
        self.headers = HeaderParameter.all(in: input)
        let parts = ToolItem(
            name: self.name, title: manifest.title, description: function.about, inputSchema: input,
            outputSchema: manifest.output?.text, annotations: manifest.annotations)
        self.digest = parts.digest
        self.encoded = parts.encoded(digest: self.digest)
        self.remote = nil
    }

    /// A tool that an upstream has, as it was accepted.
    init(_ definition: UpstreamDefinition, of upstream: UpstreamManifest) {
        self.name = UpstreamOffer.name(of: definition.name, prefix: upstream.prefix)
        self.function = upstream.function
        self.revision = ""
        self.version = 1
        self.weight = 100
        self.isExposed = false
        self.title = definition.title
        self.description = definition.about
        self.inputSchema = definition.input
        self.outputSchema = definition.output
        self.annotations = definition.annotations
        self.labels = upstream.labels
        self.approval = ToolManifest.Approval(when: .never, by: .caller)
        self.asynchronous = .never
        self.questions = .within
        self.scopes = upstream.scopes
        self.cache = nil
        self.bounds = ToolManifest.Bounds()
        self.maxResult = 256 << 10
        self.resultLimit = Int64(Limits.resultBytes)
        self.keepResult = .seconds(3_600)
        self.timeout = upstream.timeout
        self.headers = []
        let parts = ToolItem(
            name: self.name, title: definition.title, description: definition.about, inputSchema: definition.input,
            outputSchema: definition.output, annotations: definition.annotations)
        self.digest = parts.digest
        self.encoded = parts.encoded(digest: self.digest)
        self.remote = Remote(upstream: upstream.name, tool: definition.name)
    }

    /// The item of `tools/list` under another name: that of an exposed version.
    public func encoded(as name: ToolName) -> [UInt8] {
        ToolItem(
            name: name, title: self.title, description: self.description, inputSchema: self.inputSchema,
            outputSchema: self.outputSchema, annotations: self.annotations
        ).encoded(digest: self.digest)
    }

    /// What its exposed version is called.
    public var versionName: ToolName { ToolName("\(self.name)__v\(self.version)") }
}
