internal import ApusCore
internal import ApusJSON
internal import ApusStore

extension OperationDescription {
    static let deployments: [String: OperationDescription] = [
        "storeBundle": OperationDescription(
            "A function's files as a tar archive, stored once under the SHA-256 of the archive.",
            parameters: [
                .header("Apus-Bundle", Schema.hash, "The hash of the archive, in hexadecimal.", isRequired: true)
            ],
            body: [Content("application/octet-stream")],
            answers: [
                Answer(201, "It is stored.", [.json(Schema.object(["bundle": Schema.hash]))]),
                Answer(200, "It was there already.", [.json(Schema.object(["bundle": Schema.hash]))]),
            ],
            codes: [.bundleInvalid, .bundleTooLarge, .diskFull]),
        "deploy": OperationDescription(
            """
            Documents of any namespace that the token may deploy to, all or none. The answer comes as JSON values, a line each: \
            `{"stage", "message"}` while it goes on, then `{"result": […]}` or `{"error": {"code", "message"}}`.
            """,
            parameters: [ifMatch],
            body: [.json(deployRequest, example: deployExample)],
            answers: [
                Answer(200, "It was taken; the last line says how it ended.", [Content("application/x-ndjson")])
            ],
            codes: [.invalidJSON, .manifestInvalid, .reservedName, .notYetSupported]),
    ]

    private static let deployRequest = Schema.object(
        [
            "documents": [
                "type": "array", "minItems": 1, "maxItems": .number(Limits.Control.documentsPerDeploy),
                "items": Schema.object(
                    ["manifest": Schema.named("Manifest")],
                    optional: ["bundle": Schema.said(Schema.hash, "Of a function")]),
            ]
        ],
        optional: [
            "dryRun": Schema.said(Schema.boolean, "Decide and tell, write nothing"),
            "wait": Schema.said(Schema.boolean, "End once each function has started, or could not"),
        ])

    private static let deployExample: JSONValue = [
        "documents": [
            [
                "manifest": [
                    "apiVersion": "apus.dev/v1", "kind": "Topic", "metadata": ["name": "documents"],
                    "spec": ["partitions": 4],
                ]
            ]
        ],
        "dryRun": true,
    ]
}
