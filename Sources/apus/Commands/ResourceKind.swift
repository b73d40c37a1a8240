internal import ApusCore

/// The kinds that `get` knows; `describe` and `delete` know those that are deployed.
enum ResourceKind: String, CaseIterable {
    case function
    case topic
    /// A named set of tools at one URL.
    case toolServer = "tool-server"
    /// Another MCP server whose tools are offered.
    case upstream
    /// A principal that calls tools.
    case agent
    /// A worker and its state; of the whole server, and only to be looked at.
    case instance
    /// Asynchronous; deleting one cancels it.
    case invocation
    /// A scheduled trigger; only to be looked at.
    case schedule
    /// A revision of one function; only to be looked at.
    case revision
    /// A trigger on a topic, and how far it is; only to be looked at.
    case subscription
    /// An accelerator of the server; only to be looked at.
    case device

    /// As in paths of the API.
    var plural: String { "\(self.rawValue)s" }

    /// - Parameter word: `function`, `functions`, `fn`, …
    /// - Throws: usage with a guess.
    init(_ word: String) throws {
        switch word.lowercased() {
        case "function", "functions", "fn": self = .function
        case "topic", "topics": self = .topic
        case "tool-server", "tool-servers", "toolserver", "toolservers": self = .toolServer
        case "upstream", "upstreams": self = .upstream
        case "agent", "agents": self = .agent
        case "instance", "instances": self = .instance
        case "invocation", "invocations": self = .invocation
        case "schedule", "schedules": self = .schedule
        case "revision", "revisions": self = .revision
        case "subscription", "subscriptions", "sub", "subs": self = .subscription
        case "device", "devices": self = .device
        default:
            let known = Self.allCases.map(\.plural)
            throw UsageError(
                "there is no kind '\(word)'\(DidYouMean.hint(word, known)); expected \(known.joined(separator: ", "))")
        }
    }

    /// `KIND NAME`, or `NAME` alone for a function.
    static func parse(
        _ arguments: ParsedArguments, besides others: Set<ResourceKind> = []
    ) throws -> (kind: ResourceKind, name: String) {
        let first = arguments["KIND"] ?? ""
        guard let name = arguments["NAME"] else { return (.function, first) }
        let kind = try ResourceKind(first)
        guard others.union([.function, .topic, .toolServer, .upstream, .agent, .invocation]).contains(kind) else {
            throw UsageError(
                "expected a function, a topic, a tool server, an upstream, an agent or an invocation: 'apus get \(kind.plural)' shows "
                    + "the \(kind.plural)"
            )
        }
        return (kind, name)
    }
}
