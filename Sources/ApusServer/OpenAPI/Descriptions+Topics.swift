internal import ApusCore
internal import ApusJSON

extension OperationDescription {
    static let topics: [String: OperationDescription] = [
        "readEvent": OperationDescription(
            "By `Accept` in binary, structured or batched mode.",
            answers: [
                Answer(
                    200, "The event.",
                    [
                        Content("application/cloudevents+json"), Content("application/cloudevents-batch+json"),
                        Content("*/*"),
                    ]),
                Answer(204, "The event has no data; its attributes are headers."),
            ],
            codes: [.topicNotFound, .offsetOutOfRange, .recordExpired, .notFound, .reservedName, .logFailed]),
        "allowWebhook": OperationDescription(
            "The handshake of CloudEvents' webhooks: who sends `WebHook-Request-Origin` is told the rate it may send at.",
            answers: [Answer(200, "It may send."), Answer(204, "What methods there are.")],
            codes: [.topicNotFound, .reservedName]),
        "publishEvents": OperationDescription(
            """
            CloudEvents 1.0 in structured, batched or binary mode. Without any `ce-` header the body is the data of one event, and \
            id, source and type are made up. The event's key is `partitionkey`, or the header `Apus-Key`. Answered once the log has \
            all of them, or none.
            """,
            parameters: [
                .header("Apus-Key", Schema.text("customer-17"), "The key of a single event."),
                .header("Idempotency-Key", Schema.text("3f0c-41"), idempotency),
            ],
            body: [
                Content("application/cloudevents+json", Schema.named("CloudEvent"), example: eventExample),
                Content("application/cloudevents-batch+json", Schema.list(Schema.named("CloudEvent"))),
                .json(Schema.anything, example: ["text": "hello"]), Content("application/octet-stream"),
            ],
            answers: [
                Answer(202, "The log has them.", [.json(Schema.named("Receipt"))], headers: positioned + repeated)
            ],
            codes: [
                .invalidEvent, .invalidJSON, .unsupportedMediaType, .eventTooLarge, .limitReached, .topicNotFound,
                .reservedName, .logFull, .diskFull, .logFailed, .expired, .conflict, .notYetSupported,
            ]),
        "readEvents": OperationDescription(
            "With `Accept: text/event-stream` each event as it comes, until the client leaves.",
            parameters: [
                .query(
                    "from", Schema.text("earliest"),
                    "`earliest`, `latest`, a time, an offset, or `partition:offset` pairs with commas between them."),
                .query("partition", Schema.integer(0...1_023), "Only this partition."),
                .query("limit", Schema.integer(1...10_000, default: 100), "How many events at most."),
                .query("headers", Schema.oneOf(["true", "false"]), "Whether record headers are shown."),
            ],
            answers: [
                Answer(
                    200, "Events, the oldest first.",
                    [
                        Content("application/cloudevents-batch+json", Schema.list(["type": "object"])),
                        Content("text/event-stream"),
                    ], headers: [("Apus-Next", "The `from` with which to go on.")])
            ],
            codes: [.topicNotFound, .reservedName, .offsetOutOfRange, .logFailed, .logDamaged, .recordExpired],
            isEndless: true),
        "listTopics": OperationDescription(
            parameters: [position],
            answers: [
                Answer(200, "The topics of the namespace, by name.", [.json(Schema.items(Schema.named("Topic")))])
            ],
            codes: positionCodes),
        "getTopic": OperationDescription(
            parameters: [position], answers: [Answer(200, "The topic.", [.json(Schema.named("Topic"))])],
            codes: positionCodes + [.topicNotFound, .reservedName]),
        "putTopic": OperationDescription(
            "The body is the manifest, whose name is that of the path.", parameters: [ifMatch],
            body: [.json(Schema.named("Manifest"), example: topicExample)],
            answers: [Answer(200, "What became of it.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + deployCodes),
        "deleteTopic": OperationDescription(
            "With its events. One that a function uses is not deleted.", parameters: [ifMatch],
            answers: [Answer(200, "It is gone.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + [.topicNotFound, .reservedName]),
    ]

    private static let eventExample: JSONValue = [
        "specversion": "1.0", "id": "1", "source": "/shop", "type": "com.example.order",
        "partitionkey": "customer-17", "data": ["amount": 3],
    ]

    private static let topicExample: JSONValue = [
        "apiVersion": "apus.dev/v1", "kind": "Topic", "metadata": ["name": "documents"], "spec": ["partitions": 4],
    ]
}
