public import ApusCore
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

    /// - Returns: nil when the function offers no resource at one URI.
    public init?(_ function: FunctionManifest, revision: String) {
        guard let manifest = function.resource, case .uri(let uri) = manifest.address else { return nil }
        self.uri = uri
        self.function = function.name
        self.revision = revision
        self.mimeType = manifest.mimeType
        self.labels = function.labels
        self.scopes = manifest.scopes
        self.encoded = manifest.item("uri", uri, description: function.about)
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
        self.encoded = manifest.item("uriTemplate", text, description: function.about)
    }
}

extension ResourceManifest {
    fileprivate func item(_ key: String, _ address: String, description: String?) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        writer.member(key, address)
        writer.member("name", self.name)
        if let title = self.title { writer.member("title", title) }
        if let description { writer.member("description", description) }
        if let mimeType = self.mimeType { writer.member("mimeType", mimeType) }
        writer.endObject()
        return writer.bytes
    }
}
