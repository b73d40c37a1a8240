public import ApusCore
public import ApusManifest

/// What an upstream offers, for the catalog of its namespace.
public struct UpstreamOffer: Sendable {
    public let upstream: UpstreamManifest
    /// Of all kinds.
    public let definitions: [UpstreamDefinition]

    public init(upstream: UpstreamManifest, definitions: [UpstreamDefinition]) {
        self.upstream = upstream
        self.definitions = definitions
    }

    /// What those who decide about it name it by: a tool as agents know it, others after their kind. One segment of a path, whatever it
    /// is of.
    public static func handle(of key: String, prefix: String) -> String {
        let kind = UpstreamDefinition.kind(of: key)
        let name = kind == .tool ? key : String(key.dropFirst(kind.rawValue.count + 1))
        return switch kind {
        case .tool: self.name(of: name, prefix: prefix).text
        case .prompt: "prompt:\(self.name(of: name, prefix: prefix))"
        case .resource: "resource:\(ToolName(name))"
        case .template: "template:\(ToolName(name))"
        }
    }

    /// What agents know a tool or a prompt as.
    public static func name(of tool: String, prefix: String) -> ToolName { ToolName("\(prefix)_\(tool)") }
}

extension Tool {
    /// Where the calls of a tool go that another server has, the requests of a prompt, the reading of a resource.
    public struct Remote: Sendable, Equatable {
        public let upstream: ResourceName
        /// As it is called there; of a resource its URI, or its template.
        public let tool: String
    }
}
