internal import ApusCore
internal import ApusJSON
internal import ApusStore

extension OperationDescription {
    static let secrets: [String: OperationDescription] = [
        "listSecrets": OperationDescription(
            "Nobody can read a value again: only functions that name the secret are given it.", parameters: [position],
            answers: [
                Answer(200, "The secrets of the namespace, by name.", [.json(Schema.items(Schema.named("Secret")))])
            ],
            codes: positionCodes),
        "getSecret": OperationDescription(
            parameters: [position, secretName],
            answers: [Answer(200, "What is known of it.", [.json(Schema.named("Secret"))])],
            codes: positionCodes + [.secretNotFound]),
        "setSecret": OperationDescription(
            """
            The body is the value: text in UTF-8 without zero bytes, 1 to \(Limits.Secrets.valueBytes) bytes. It is kept sealed. Workers \
            of functions that use the secret finish what they have, and others that know the new value take their place.
            """,
            parameters: [secretName], body: [Content("text/plain")],
            answers: [Answer(200, "It is set.", [.json(Schema.named("Secret"))], headers: positioned)],
            codes: controlCodes),
        "deleteSecret": OperationDescription(
            "Refused with `conflict` while a deployed function names it.", parameters: [secretName],
            answers: [Answer(200, "It is gone.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + [.secretNotFound]),
        "rotateKey": OperationDescription(
            "Values and versions stay, and no worker is started anew. Those under a key that this server lacks are left as they are.",
            answers: [
                Answer(
                    200, "What was sealed anew.",
                    [
                        .json(
                            Schema.object([
                                "key": Schema.said(Schema.text, "The newest master key"), "resealed": Schema.count,
                                "unreadable": Schema.list(
                                    Schema.object(["namespace": Schema.label, "name": Schema.text])),
                            ]))
                    ])
            ],
            codes: controlCodes + [.secretUnavailable]),
    ]

    private static let secretName = Parameter.path(
        "name", Schema.text("API_TOKEN", pattern: "^[A-Za-z_][A-Za-z0-9_]{0,\(Limits.Secrets.nameBytes - 1)}$"),
        "The secret's name.")
}
