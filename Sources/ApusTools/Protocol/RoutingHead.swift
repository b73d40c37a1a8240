/// What the head of a request over HTTP says of the message in its body. Each value in a list, since one that comes twice is refused.
public struct RoutingHead: Sendable, Equatable {
    public var versions: [String] = []
    public var methods: [String] = []
    public var names: [String] = []
    /// `Mcp-Param-*`, with the lower-case name that follows the prefix.
    public var parameters: [(name: String, value: String)] = []
    /// `Content-Type` names JSON.
    public var isJSON = true
    /// `Accept` lists JSON and streams of events.
    public var acceptsBoth = true
    public var sessionID: String?
    /// It comes from an agent without heads, by way of `apus mcp --stdio`: what heads repeat of arguments is not there.
    public var isBridged = false

    public init() {}

    public static let bridgeHeader = "Mcp-Apus-Bridge"
    public static let parameterPrefix: StaticString = "mcp-param-"

    public static func == (left: Self, right: Self) -> Bool {
        left.versions == right.versions && left.methods == right.methods && left.names == right.names
            && left.isJSON == right.isJSON && left.acceptsBoth == right.acceptsBoth && left.sessionID == right.sessionID
            && left.parameters.elementsEqual(right.parameters) { $0 == $1 }
    }
}
