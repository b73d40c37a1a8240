internal import ApusCore
internal import ApusJSON

extension OperationDescription {
    static let upstreams: [String: OperationDescription] = [
        "listUpstreams": OperationDescription(
            parameters: [position],
            answers: [
                Answer(
                    200, "The upstreams of the namespace, by name.", [.json(Schema.items(Schema.named("Upstream")))])
            ],
            codes: positionCodes),
        "getUpstream": OperationDescription(
            "With `tools`: every tool that it lists or listed, and what is decided about it.", parameters: [position],
            answers: [Answer(200, "The upstream.", [.json(Schema.named("Upstream"))])],
            codes: positionCodes + [.notFound]),
        "putUpstream": OperationDescription(
            "The body is the manifest, whose name is that of the path.", parameters: [ifMatch],
            body: [.json(Schema.named("Manifest"), example: upstreamExample)],
            answers: [Answer(200, "What became of it.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + deployCodes),
        "deleteUpstream": OperationDescription(
            "Its tools go with it, and what was accepted of them.", parameters: [ifMatch],
            answers: [Answer(200, "It is gone.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + [.notFound]),
        "getTool": OperationDescription(
            "By the name that agents know, whether they see it now or not: of an upstream's what was accepted, and what waits.",
            parameters: [position],
            answers: [Answer(200, "The tool.", [.json(["oneOf": [Schema.named("UpstreamTool"), Schema.named("OwnTool")]])])],
            codes: positionCodes + [.notFound]),
        "acceptTool": OperationDescription(
            "Agents see it from then on. `sha256` names what was looked at: a tool that has changed since is not accepted.",
            body: [.json(Schema.object(["sha256": Schema.hash]), example: acceptExample)],
            answers: [Answer(200, "It is accepted.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + [.notFound, .conflict, .invalidArgument, .invalidJSON]),
        "disableTool": OperationDescription(
            "Agents neither see nor call it until it is enabled, whatever is deployed meanwhile.",
            answers: [Answer(200, "It is hidden.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + [.notFound]),
        "enableTool": OperationDescription(
            answers: [Answer(200, "It is shown.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + [.notFound]),
    ]

    private static let acceptExample: JSONValue = [
        "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    ]

    private static let upstreamExample: JSONValue = [
        "apiVersion": "apus.dev/v1", "kind": "Upstream", "metadata": ["name": "issues"],
        "spec": ["url": "https://mcp.example.com/mcp", "prefix": "issues"],
    ]
}
