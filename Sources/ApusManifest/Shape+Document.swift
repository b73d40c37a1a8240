internal import ApusCore
internal import ApusJSON

/// The kinds of documents.
enum DocumentKind: String, CaseIterable {
    case function = "Function"
    case topic = "Topic"
    case toolServer = "ToolServer"
    case upstream = "Upstream"
    case agent = "Agent"

    /// The whole document.
    var shape: ObjectShape {
        let isTopic = self == .topic
        return ObjectShape([
            Field("apiVersion", .choice([Choice(Self.apiVersion)]), "The version of this format.", required: true),
            Field("kind", .choice([Choice(self.rawValue)]), "What the document describes.", required: true),
            Field("metadata", .object(Self.metadata(isTopic ? .topic : .label)), "Name and namespace.", required: true),
            Field("spec", .object(self.spec), "What it shall be.", required: !isTopic, standard: isTopic ? [:] : nil),
        ])
    }

    static let apiVersion = "apus.dev/v1"

    private static func metadata(_ name: TextRule) -> ObjectShape {
        ObjectShape([
            Field("name", .text(name), "Its name, unique among its kind in the namespace.", required: true),
            Field(
                "namespace", .text(.label), "The namespace it belongs to; default: the one the command is used with."),
            Field(
                "labels", .map(key: .labelKey, value: .scalarText(.any), max: Limits.Manifest.labels),
                "For people and for selecting.",
                standard: [:]),
        ])
    }

    private var spec: ObjectShape {
        switch self {
        case .function: Shape.function
        case .topic: Shape.topic
        case .toolServer: Shape.toolServer
        case .upstream: Shape.upstream
        case .agent: Shape.agent
        }
    }
}

extension Shape {
    static let topic = ObjectShape([
        Field(
            "partitions", .integer(1...Int64(Limits.partitionsPerTopic)),
            "How many partitions; a key's order holds within one.", standard: 4),
        Field(
            "retention",
            .object(
                ObjectShape([
                    Field(
                        "time", .wordOr([Choice("unlimited")], .span(.seconds(1)...Self.days(36_500))),
                        "How long records are kept; default 7d, unlimited for compacted topics."),
                    Field(
                        "size", .wordOr([Choice("unlimited")], .bytes((1 << 20)...(1 << 50))),
                        "How many bytes of records are kept; default 10Gi, unlimited for compacted topics."),
                ])),
            "When old records go.", standard: [:]),
        Field("compact", .boolean, "Keep the newest record of each key only; records need a key.", standard: false),
    ])

    static let upstream = ObjectShape(
        [
            Field("url", .text(.url), "Where the other MCP server is."),
            Field("function", .text(.label), "A function with the runtime mcp."),
            Field(
                "prefix", .text(.toolName),
                "Put in front of its tools' names, with a `_`; default: the upstream's name, its hyphens as `_`."),
            Field(
                "pins", .map(key: .any, value: .text(.sha256), max: Limits.Manifest.pins),
                "The SHA-256 of each tool that may be offered, by the upstream's own names; without, what is seen first is taken."
            ),
            Field(
                "inject", .list(.object(Self.upstreamInjection), max: Limits.Network.injections),
                "Secrets that requests get as a header on their way out.", standard: []),
            Field(
                "scopes", .list(.text(.scope), max: Limits.Manifest.scopes),
                "Each of these a caller of its tools must have.", standard: []),
            Field("timeout", .span(.milliseconds(1)...Self.days(1)), "How long one call may take.", standard: "30s"),
            Field("refresh", .span(.seconds(10)...Self.days(1)), "How often its list is asked for.", standard: "5m"),
        ], exactlyOneOf: [["url", "function"]])

    private static let upstreamInjection = ObjectShape([
        Field("secret", .text(.secret), "The name of the secret, set with `apus secret set` before.", required: true),
        Field("header", .text(.any), "The header.", standard: "Authorization"),
        Field("prefix", .text(.any), "What stands before the secret in the header, as `Bearer `.", standard: ""),
    ])

    static let agent = ObjectShape([
        Field(
            "servers", .list(.text(.label), max: Limits.Manifest.agentRights),
            "The tool servers that it reaches; none: all of its namespace.", standard: []),
        Field(
            "scopes", .list(.text(.scope), max: Limits.Manifest.agentRights), "The scopes of tools that it holds.",
            standard: []),
        Field(
            "limits",
            .object(
                ObjectShape([
                    Field("callsPerMinute", .integer(Self.callCounts), "Calls of one minute, evenly spaced."),
                    Field("concurrent", .integer(Self.callCounts), "Calls in progress."),
                    Field("callsPerDay", .integer(Self.callCounts), "Calls of one day, in UTC."),
                    Field("budgetPerDay", .money, "What its calls of one day, in UTC, may cost, in the currency of `pool.prices`."),
                ])), "How much it may call; what is left out has no bound.", standard: [:]),
    ])

    private static let callCounts: ClosedRange<Int64> = 1...1_000_000_000

    static func days(_ count: Int64) -> TimeSpan { .seconds(count * 86_400) }
}
