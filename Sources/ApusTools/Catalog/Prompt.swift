public import ApusCore
internal import ApusJSON
public import ApusManifest

/// A prompt that a function gives, or another server.
public final class Prompt: Sendable {
    public let name: ToolName
    public let function: ResourceName
    public let revision: String
    public let title: String?
    public let description: String?
    public let arguments: [PromptManifest.Argument]
    public let completion: PromptManifest.Completion?
    public let labels: [String: String]
    public let scopes: [String]
    /// The item of `prompts/list`.
    public let encoded: [UInt8]
    /// Who gives it, if it is another server; then ``function`` is the one that speaks with it.
    public let remote: Tool.Remote?

    /// - Returns: nil when the function gives no prompt.
    public init?(_ function: FunctionManifest, revision: String) {
        guard let manifest = function.prompt else { return nil }
        self.name = ToolName(manifest.name)
        self.function = function.name
        self.revision = revision
        self.title = manifest.title
        self.description = function.about
        self.arguments = manifest.arguments
        self.completion = manifest.completion
        self.labels = function.labels
        self.scopes = manifest.scopes
        self.encoded = Self.item(self.name, manifest.title, function.about, manifest.arguments)
        self.remote = nil
    }

    /// A prompt that an upstream has, as it was accepted; nil for what is none.
    init?(_ definition: UpstreamDefinition, of upstream: UpstreamManifest) {
        guard definition.kind == .prompt else { return nil }
        self.name = UpstreamOffer.name(of: definition.name, prefix: upstream.prefix)
        self.function = upstream.function
        self.revision = definition.revision
        self.title = definition.title
        self.description = definition.about
        self.arguments = definition.arguments
        self.completion = .function
        self.labels = upstream.labels
        self.scopes = upstream.scopes
        self.encoded = Self.item(self.name, definition.title, definition.about, definition.arguments)
        self.remote = Tool.Remote(upstream: upstream.name, tool: definition.name)
    }

    private static func item(
        _ name: ToolName, _ title: String?, _ about: String?, _ arguments: [PromptManifest.Argument]
    ) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("name", name.text)
        if let title { writer.member("title", title) }
        if let about { writer.member("description", about) }
        if !arguments.isEmpty {
            writer.key("arguments")
            writer.beginArray()
            for argument in arguments { Self.write(argument, to: &writer) }
            writer.endArray()
        }
        writer.endObject()
        return writer.bytes
    }

    private static func write(_ argument: PromptManifest.Argument, to writer: inout JSONWriter) {
        writer.beginObject()
        writer.member("name", argument.name)
        if let title = argument.title { writer.member("title", title) }
        if let about = argument.about { writer.member("description", about) }
        writer.member("required", argument.isRequired)
        writer.endObject()
    }
}
