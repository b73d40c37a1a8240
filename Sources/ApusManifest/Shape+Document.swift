internal import ApusCore
internal import ApusJSON

/// The kinds of documents, those without effect yet included.
enum DocumentKind: String, CaseIterable {
    case function = "Function"
    case topic = "Topic"
    case toolServer = "ToolServer"
    case upstream = "Upstream"
    case agent = "Agent"

    var support: Support {
        switch self {
        case .function, .topic, .toolServer: .now
        case .upstream, .agent: .later
        }
    }

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
            Field("prefix", .text(.toolName), "Put in front of its tools' names."),
            Field("pins", .json, "Hashes of the tools that were accepted."),
        ], exactlyOneOf: [["url", "function"]])

    static let agent = ObjectShape([
        Field("servers", .list(.text(.label), max: 64), "The tool servers it may use."),
        Field("scopes", .list(.text(.any), max: 64), "What it may do."),
        Field("limits", .json, "Its bounds."),
    ])

    static func days(_ count: Int64) -> TimeSpan { .seconds(count * 86_400) }
}
