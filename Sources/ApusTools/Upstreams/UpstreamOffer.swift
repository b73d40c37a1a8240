public import ApusCore
public import ApusManifest

/// What an upstream offers of its tools, for the catalog of its namespace.
public struct UpstreamOffer: Sendable {
    public let upstream: UpstreamManifest
    public let tools: [UpstreamDefinition]

    public init(upstream: UpstreamManifest, tools: [UpstreamDefinition]) {
        self.upstream = upstream
        self.tools = tools
    }

    /// What agents know a tool as.
    public static func name(of tool: String, prefix: String) -> ToolName { ToolName("\(prefix)_\(tool)") }
}

extension Tool {
    /// Where the calls of a tool go that another server has.
    public struct Remote: Sendable, Equatable {
        public let upstream: ResourceName
        /// As it is called there.
        public let tool: String
    }
}
