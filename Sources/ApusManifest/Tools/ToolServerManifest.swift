public import ApusCore

/// A named set of tools, prompts and resources at one URL, `/mcp/NAME`: checked, defaults filled in.
public struct ToolServerManifest: Sendable, Equatable {
    /// Which ones of its namespace.
    public enum Selector: Sendable, Equatable {
        case none
        case all
        /// Those of functions that have all of these labels.
        case labels([String: String])
        case names([String])
    }

    /// Whether all tools are listed, or found by search.
    public enum Mode: String, Sendable, CaseIterable { case full, search }

    /// Whether callers need a token.
    public enum Authentication: String, Sendable, CaseIterable { case required, none }

    public var name: ResourceName
    public var labels: [String: String]
    public var title: String?
    public var tools: Selector
    public var prompts: Selector
    public var resources: Selector
    /// What agents are told about the server.
    public var instructions: String?
    public var mode: Mode
    public var authentication: Authentication
    /// How long a client may keep a list.
    public var keep: TimeSpan
    /// Of each principal, for all tools of the server together.
    public var bounds: ToolManifest.Bounds
    /// What callers of this server need beside what the manifests of the tools say.
    public var approval: ToolManifest.Approval
    /// Where the fields stand in the file; no part of equality and of the JSON form.
    public var locations: SourceLocations

    public var namespace: Namespace { self.name.namespace }
}
