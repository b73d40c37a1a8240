internal import ApusCore
internal import ApusJSON

extension OperationDescription {
    static let system: [String: OperationDescription] = [
        "getHealth": OperationDescription(
            answers: [Answer(200, "The process answers.", [.json(Schema.object(["status": Schema.oneOf(["ok"])]))])]),
        "getReadiness": OperationDescription(
            answers: [
                Answer(200, "It takes work.", [.json(Schema.named("Readiness"))]),
                Answer(503, "It does not, and why.", [.json(Schema.named("Readiness"))]),
            ]),
        "getMetrics": OperationDescription(
            answers: [Answer(200, "One series a line.", [Content("text/plain; version=0.0.4; charset=utf-8")])]),
        "listInstances": OperationDescription(
            answers: [Answer(200, "The workers that exist now.", [.json(Schema.items(Schema.named("Instance")))])]),
        "getDoctor": OperationDescription(
            answers: [
                Answer(
                    200, "Each layer of isolation.",
                    [
                        .json(
                            Schema.items(
                                Schema.object(["name": Schema.text, "enforced": Schema.boolean, "detail": Schema.text]))
                        )
                    ])
            ]),
        "getOpenAPI": OperationDescription(
            "The same for every server of this version; `apus schema --openapi` prints it without one.",
            answers: [Answer(200, "This description, OpenAPI 3.1.", [.json(["type": "object"])])]),
    ]
}
