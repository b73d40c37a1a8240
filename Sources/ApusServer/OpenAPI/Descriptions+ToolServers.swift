internal import ApusCore
internal import ApusJSON

extension OperationDescription {
    static let toolServers: [String: OperationDescription] = [
        "listToolServers": OperationDescription(
            parameters: [position],
            answers: [
                Answer(
                    200, "The tool servers of the namespace, by name.",
                    [.json(Schema.items(Schema.named("ToolServer")))])
            ],
            codes: positionCodes),
        "getToolServer": OperationDescription(
            parameters: [position],
            answers: [Answer(200, "The tool server.", [.json(Schema.named("ToolServer"))])],
            codes: positionCodes + [.notFound]),
        "putToolServer": OperationDescription(
            "The body is the manifest, whose name is that of the path.", parameters: [ifMatch],
            body: [.json(Schema.named("Manifest"), example: toolServerExample)],
            answers: [Answer(200, "What became of it.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + deployCodes),
        "deleteToolServer": OperationDescription(
            "Its tools stay: they belong to functions.", parameters: [ifMatch],
            answers: [Answer(200, "It is gone.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + [.notFound]),
        "listTools": OperationDescription(
            """
            With `query` the tools that it is about, the best first, else all. Callers see what they may call; those who may see functions \
            see all.
            """,
            parameters: [
                .query("server", Schema.label, "Only those that this tool server shows."),
                .query("query", Schema.text, "What is to be done."),
                .query("limit", Schema.count, "How many are found at most; 5 unless said otherwise."),
            ],
            answers: [Answer(200, "The tools.", [.json(Schema.items(Schema.named("Tool")))])],
            codes: [.notFound, .invalidArgument]),
    ]

    private static let toolServerExample: JSONValue = [
        "apiVersion": "apus.dev/v1", "kind": "ToolServer", "metadata": ["name": "search"],
        "spec": ["tools": ["labels": ["team": "search"]], "instructions": "Tools of the search team."],
    ]
}
