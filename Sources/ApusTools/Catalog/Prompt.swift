public import ApusCore
internal import ApusJSON
public import ApusManifest

/// A prompt that a function gives.
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
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("name", self.name.text)
        if let title = manifest.title { writer.member("title", title) }
        if let about = function.about { writer.member("description", about) }
        if !manifest.arguments.isEmpty {
            writer.key("arguments")
            writer.beginArray()
            for argument in manifest.arguments { Self.write(argument, to: &writer) }
            writer.endArray()
        }
        writer.endObject()
        self.encoded = writer.bytes
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
