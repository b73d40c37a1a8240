/// What a client can ask, or tell.
public enum ProtocolMethod: String, Sendable, CaseIterable {
    case discover = "server/discover"
    case listTools = "tools/list"
    case callTool = "tools/call"
    case listPrompts = "prompts/list"
    case getPrompt = "prompts/get"
    case listResources = "resources/list"
    case listTemplates = "resources/templates/list"
    case readResource = "resources/read"
    case complete = "completion/complete"
    case listen = "subscriptions/listen"
    // Of the extension for tasks.
    case getTask = "tasks/get"
    case updateTask = "tasks/update"
    case cancelTask = "tasks/cancel"
    // In sessions only.
    case initialize
    case ping
    case setLogLevel = "logging/setLevel"
    case subscribe = "resources/subscribe"
    case unsubscribe = "resources/unsubscribe"

    /// Whether it is known to clients of that era.
    public func exists(in era: Era) -> Bool {
        switch self {
        case .listTools, .callTool, .listPrompts, .getPrompt, .listResources, .listTemplates, .readResource, .complete:
            true
        case .discover, .listen, .getTask, .updateTask, .cancelTask: era == .modern
        case .initialize, .ping, .setLogLevel, .subscribe, .unsubscribe: era == .legacy
        }
    }

    /// May ask its caller for input on the way.
    public var mayAsk: Bool { self == .callTool || self == .getPrompt || self == .readResource }
}
