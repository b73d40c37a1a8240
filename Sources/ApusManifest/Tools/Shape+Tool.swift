internal import ApusCore
internal import ApusJSON

extension Shape {
    static let tool = ObjectShape([
        Field(
            "name", .text(.toolName),
            "What agents call it. What models do not take of it is replaced, and a hash makes the name distinct.",
            required: true),
        Field("title", .text(.any), "Its name for people."),
        Field(
            "input", .scalarOr(.text(.schema), .json),
            "The JSON Schema of its arguments: written here, or the path of a file beside the manifest; default: no arguments."
        ),
        Field(
            "output", .scalarOr(.text(.schema), .json),
            "The JSON Schema of its structured result, or a path to it; default: any result."),
        Field("annotations", .object(Self.annotations), "Hints for agents.", standard: [:]),
        Field("approval", Self.approval, "Whether a person is asked before a call begins.", standard: [:]),
        Field(
            "async", .choice([Choice("never"), Choice("auto"), Choice("required")]),
            "Whether a call becomes a task: for clients that can (auto), or always.", standard: "never"),
        Field(
            "questions", .choice([Choice("within"), Choice("before")]),
            "Whether a task asks its caller as a task, or with the call, before it becomes one.", standard: "within"),
        Field(
            "scopes", .list(.text(.scope), max: Limits.Manifest.scopes),
            "What a caller must be allowed, all of them; to others the tool is unknown.", standard: []),
        Field(
            "cache",
            .object(
                ObjectShape([
                    Field("time", .span(.seconds(1)...Self.days(7)), "How long.", required: true),
                    Field(
                        "for", .choice([Choice("principal"), Choice("everyone")]),
                        "Whether a result is for who called alone, or for all who may call.", standard: "principal"),
                ])),
            "How long a result answers the same call again; only for tools that are readOnly and idempotent."),
        Field("limits", Self.limits, "What one principal may make of it, on whichever server; those of the server count as well.", standard: [:]),
        Field(
            "maxResult", .bytes(1_024...(16 << 20)),
            "The largest result that is sent whole; a larger one becomes a link.",
            standard: "256Ki"),
        Field(
            "resultLimit", .bytes(1_024...Int64(Limits.largeResultBytes)),
            "The largest result that a call may have; a larger one fails. Above 16Mi, for text and bytes alone.", standard: "64Mi"),
        Field("keepResult", .span(.seconds(1)...Self.days(1)), "How long a result can be read that became a link.", standard: "1h"),
        Field(
            "version", .integer(1...Int64(Limits.Manifest.toolVersion)),
            "Functions that offer tools of one name are its versions, told apart by this.", standard: 1),
        Field(
            "weight", .integer(0...1_000),
            "Its part of the calls by name alone, against the weights of the other versions; 0 for none.", standard: 100
        ),
        Field(
            "exposed", .boolean, "Whether it can be called as NAME__vVERSION too, whatever its weight.", standard: false
        ),
        Field(
            "signature",
            .object(
                ObjectShape([
                    Field("key", .text(.any), "The public key of Ed25519, as Base64URL.", required: true),
                    Field("value", .text(.any), "The signature, as Base64URL.", required: true),
                ])),
            "Who stands for what it says, as `apus deploy --sign` writes it: then only what that key signs takes its place unseen."),
    ])

    private static let annotations = ObjectShape([
        Field("readOnly", .boolean, "It changes nothing."),
        Field("destructive", .boolean, "It may destroy or overwrite something."),
        Field("idempotent", .boolean, "The same call twice does no more than once."),
        Field("openWorld", .boolean, "It deals with things outside, such as the web."),
    ])

    private static let completion = Shape.wordOr(
        [Choice("function")],
        .map(
            key: .argument, value: .list(.text(.any), max: Limits.Manifest.completionValues),
            max: Limits.Manifest.promptArguments))

    static let prompt = ObjectShape([
        Field("name", .text(.toolName), "The prompt's name.", required: true),
        Field("title", .text(.any), "Its name for people."),
        Field(
            "arguments",
            .list(
                .object(
                    ObjectShape([
                        Field("name", .text(.argument), "Its name.", required: true),
                        Field("title", .text(.any), "Its name for people."),
                        Field("description", .text(.description), "What it is."),
                        Field("required", .boolean, "Whether it must be given.", standard: false),
                    ])), max: Limits.Manifest.promptArguments), "What may be given with it, texts all of them.",
            standard: []),
        Field(
            "complete", Self.completion,
            "Values offered while somebody types: lists by argument, or the function is asked."),
        Field("scopes", .list(.text(.scope), max: Limits.Manifest.scopes), "As those of a tool.", standard: []),
    ])

    static let resource = ObjectShape(
        [
            Field("name", .text(.any), "Its name; default: the function's."),
            Field("title", .text(.any), "Its name for people."),
            Field("uri", .text(.uri), "Its URI."),
            Field("template", .text(.uriTemplate), "A template of URIs, as `notes://{year}/{name}`."),
            Field("mimeType", .text(.any), "Its media type."),
            Field("complete", Self.completion, "As that of a prompt, for the template's variables."),
            Field("scopes", .list(.text(.scope), max: Limits.Manifest.scopes), "As those of a tool.", standard: []),
        ], exactlyOneOf: [["uri", "template"]])

    private static func selector(_ what: String) -> Shape {
        .wordOr(
            [Choice("all"), Choice("none")],
            .object(
                ObjectShape(
                    [
                        Field(
                            "labels", .map(key: .labelKey, value: .scalarText(.any), max: Limits.Manifest.labels),
                            "Those of functions with all of these labels."),
                        Field(
                            "names", .list(.text(.any), max: Limits.Manifest.serverNames),
                            "Those of these names: \(what)."),
                    ], exactlyOneOf: [["labels", "names"]])))
    }

    private static let approval = Shape.object(
        ObjectShape([
            Field(
                "when", .choice([Choice("never"), Choice("always"), Choice("destructive")]),
                "When a person is asked; destructive: unless a tool's annotations say that it only reads, or destroys nothing.",
                standard: "never"),
            Field("by", .choice([Choice("caller"), Choice("approver")]), "Who is asked.", standard: "caller"),
        ]))

    private static let limits = Shape.object(
        ObjectShape([
            Field("callsPerSecond", .integer(1...1_000_000), "Calls of one second."),
            Field("callsPerDay", .integer(1...1_000_000_000), "Calls of one day, in UTC."),
            Field("concurrency", .integer(1...100_000), "Calls in progress."),
        ]))

    static let toolServer = ObjectShape([
        Field("title", .text(.any), "Its name for people."),
        Field(
            "tools", Self.selector("tools, or NAME__vVERSION where that is exposed"), "Which tools.", standard: "all"),
        Field("prompts", Self.selector("prompts"), "Which prompts.", standard: "none"),
        Field("resources", Self.selector("functions, URIs or templates"), "Which resources.", standard: "none"),
        Field("instructions", .text(.description), "What agents are told about the server."),
        Field(
            "mode", .choice([Choice("full"), Choice("search")]), "Whether all tools are listed, or found by search.",
            standard: "full"),
        Field("limits", Self.limits, "Bounds of each principal.", standard: [:]),
        Field(
            "approval", Self.approval, "When a person is asked beside what the tools say themselves: the stricter counts.",
            standard: [:]),
        Field(
            "auth", .choice([Choice("required"), Choice("none")]),
            "Whether callers need a token; none only counts for callers on this machine.", standard: "required"),
        Field("keep", .span(.zero...Self.days(1)), "How long a client may keep a list.", standard: "60s"),
    ])
}
