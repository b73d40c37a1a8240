public import ApusCore
public import ApusManifest

/// A named set of tools, prompts and resources at one URL.
public final class ToolServer: Sendable {
    public let name: ResourceName
    public let title: String?
    public let tools: ToolServerManifest.Selector
    public let prompts: ToolServerManifest.Selector
    public let resources: ToolServerManifest.Selector
    /// What agents are told about it.
    public let instructions: String?
    public let mode: ToolServerManifest.Mode
    public let authentication: ToolServerManifest.Authentication
    /// How long a client may keep a list.
    public let keep: TimeSpan
    public let bounds: ToolManifest.Bounds
    public let approval: ToolManifest.Approval

    public var namespace: Namespace { self.name.namespace }

    public init(_ manifest: ToolServerManifest) {
        self.name = manifest.name
        self.title = manifest.title
        self.tools = manifest.tools
        self.prompts = manifest.prompts
        self.resources = manifest.resources
        self.instructions = manifest.instructions
        self.mode = manifest.mode
        self.authentication = manifest.authentication
        self.keep = manifest.keep
        self.bounds = manifest.bounds
        self.approval = manifest.approval
    }
}

extension ToolServerManifest.Selector {
    /// - Parameter names: those under which it can be selected.
    func takes(names: [String], labels: [String: String]) -> Bool {
        switch self {
        case .none: false
        case .all: true
        case .labels(let wanted): wanted.allSatisfy { labels[$0.key] == $0.value }
        case .names(let wanted): names.contains(where: wanted.contains)
        }
    }
}
