public import ApusCore
internal import ApusCrypto
internal import ApusJSON
public import ApusManifest

/// What agents may read of a function: at one URI.
public final class Resource: Sendable {
    public let uri: String
    public let function: ResourceName
    public let revision: String
    public let mimeType: String?
    public let labels: [String: String]
    public let scopes: [String]
    /// The item of `resources/list`.
    public let encoded: [UInt8]
    /// Who has it, if it is another server.
    public let remote: Tool.Remote?

    /// - Returns: nil when the function offers no resource at one URI.
    public init?(_ function: FunctionManifest, revision: String) {
        guard let manifest = function.resource, case .uri(let uri) = manifest.address else { return nil }
        self.uri = uri
        self.function = function.name
        self.revision = revision
        self.mimeType = manifest.mimeType
        self.labels = function.labels
        self.scopes = manifest.scopes
        self.encoded = ResourceItem(manifest, function.about).encoded("uri", uri)
        self.remote = nil
    }

    /// A resource that an upstream has, as it was accepted; nil for what is none.
    init?(_ definition: UpstreamDefinition, of upstream: UpstreamManifest) {
        guard definition.kind == .resource else { return nil }
        self.uri = definition.name
        self.function = upstream.function
        self.revision = definition.revision
        self.mimeType = definition.mimeType
        self.labels = upstream.labels
        self.scopes = upstream.scopes
        self.encoded = ResourceItem(definition).encoded("uri", definition.name)
        self.remote = Tool.Remote(upstream: upstream.name, tool: definition.name)
    }
}

/// What agents may read of a function: at the URIs of a template.
public final class ResourceTemplate: Sendable {
    public let template: URITemplate
    public let function: ResourceName
    public let revision: String
    public let mimeType: String?
    public let completion: PromptManifest.Completion?
    public let labels: [String: String]
    public let scopes: [String]
    /// The item of `resources/templates/list`.
    public let encoded: [UInt8]
    /// Who has it, if it is another server.
    public let remote: Tool.Remote?

    /// - Returns: nil when the function offers no template.
    public init?(_ function: FunctionManifest, revision: String) {
        guard let manifest = function.resource, case .template(let text) = manifest.address,
            let template = URITemplate(text)
        else { return nil }
        self.template = template
        self.function = function.name
        self.revision = revision
        self.mimeType = manifest.mimeType
        self.completion = manifest.completion
        self.labels = function.labels
        self.scopes = manifest.scopes
        self.encoded = ResourceItem(manifest, function.about).encoded("uriTemplate", text)
        self.remote = nil
    }

    /// A template that an upstream has, as it was accepted; nil for what is none.
    init?(_ definition: UpstreamDefinition, of upstream: UpstreamManifest) {
        guard definition.kind == .template, let template = URITemplate(definition.name) else { return nil }
        self.template = template
        self.function = upstream.function
        self.revision = definition.revision
        self.mimeType = definition.mimeType
        self.completion = .function
        self.labels = upstream.labels
        self.scopes = upstream.scopes
        self.encoded = ResourceItem(definition).encoded("uriTemplate", definition.name)
        self.remote = Tool.Remote(upstream: upstream.name, tool: definition.name)
    }
}

/// What a list says of a resource or a template besides its address.
private struct ResourceItem {
    var name: String
    var title: String?
    var about: String?
    var mimeType: String?

    init(_ manifest: ResourceManifest, _ about: String?) {
        (self.name, self.title, self.about, self.mimeType) = (manifest.name, manifest.title, about, manifest.mimeType)
    }

    init(_ definition: UpstreamDefinition) {
        self.name = definition.label ?? definition.name
        (self.title, self.about, self.mimeType) = (definition.title, definition.about, definition.mimeType)
    }

    func encoded(_ key: String, _ address: String) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member(key, address)
        writer.member("name", self.name)
        if let title { writer.member("title", title) }
        if let about { writer.member("description", about) }
        if let mimeType { writer.member("mimeType", mimeType) }
        writer.endObject()
        return writer.bytes
    }
}

extension UpstreamDefinition {
    /// What says another thing is another revision.
    var revision: String { Hex.encode(SHA256.hash(self.canonical)) }
}
