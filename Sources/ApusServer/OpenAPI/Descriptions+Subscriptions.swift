internal import ApusCore
internal import ApusJSON
internal import ApusStore

extension OperationDescription {
    /// How far triggers on topics are, and giving them a stretch of their topic once more.
    static let subscriptions: [String: OperationDescription] = [
        "listSubscriptions": OperationDescription(
            "Replays that go on are listed behind their trigger. Counters count since the server's start.",
            parameters: [
                .query("function", Schema.label, "Of this function only."),
                .query("trigger", Schema.label, "Of triggers of this name only."),
                .query("partitions", Schema.oneOf(["true", "false"]), "Whether to show each partition."),
            ],
            answers: [Answer(200, "By function and trigger.", [.json(subscriptionList)])]),
        "createReplay": OperationDescription(
            "Beside what the trigger is given anyway, with a position of its own; handlers see that it is a replay. It ends by itself.",
            body: [.json(replayOrder, example: ["trigger": "documents", "from": "2026-01-31T12:00:00Z", "rate": 100])],
            answers: [
                Answer(200, "With `dryRun`: what it would come to.", [.json(Schema.named("Replay"))]),
                Answer(201, "It goes on.", [.json(Schema.named("Replay"))], headers: positioned),
            ],
            codes: controlCodes + [.functionNotFound, .notFound, .invalidJSON, .limitReached], isBodyOptional: true),
        "listReplays": OperationDescription(
            "The newest first; of those that ended the last \(Limits.Control.endedReplaysPerFunction).",
            answers: [Answer(200, "Its replays.", [.json(Schema.items(Schema.named("Replay")))])],
            codes: [.functionNotFound]),
        "listAllReplays": OperationDescription(
            answers: [Answer(200, "The newest first.", [.json(Schema.items(Schema.named("Replay")))])]),
        "getReplay": OperationDescription(
            parameters: [replayID], answers: [Answer(200, "The replay.", [.json(Schema.named("Replay"))])],
            codes: [.functionNotFound, .notFound]),
        "cancelReplay": OperationDescription(
            "What runs of it goes on; nothing more of it is begun.", parameters: [replayID],
            answers: [Answer(200, "It is over.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + [.functionNotFound, .notFound]),
        "redriveDeadLetters": OperationDescription(
            "At most \(Limits.Control.fatesPerWrite) in one transaction, in the order in which their events lay on their partitions. "
                + "Ids that are `left` are for the next request; a filter goes on behind `next`.",
            body: [.json(redriveOrder, example: ["function": "embed-text", "reason": "function_failed"])],
            answers: [Answer(200, "They are on the log again.", [.json(redriven)], headers: positioned)],
            codes: controlCodes + [.deadLetterNotFound, .invalidJSON]),
    ]

    private static let replayID = Parameter.path(
        "id", Schema.text("hq3k9d2m1x", pattern: "^[0-9a-z]+$"), "As lists show it.")

    private static let subscriptionList = Schema.object([
        "time": Schema.time, "items": Schema.list(Schema.named("Subscription")),
        "more": Schema.said(Schema.count, "How many were left out"),
    ])

    private static let replayOrder = Schema.closed(
        Schema.object(
            [:],
            optional: [
                "trigger": Schema.said(Schema.text("documents"), "May be left out where there is one"),
                "from": Schema.said(Schema.time, "From the first record there is without it"),
                "to": Schema.said(Schema.time, "Up to now without it"),
                "rate": Schema.said(
                    Schema.integer(1...Limits.Control.replayPerSecondMax), "Deliveries a second; without it no bound"),
                "outputs": Schema.said(
                    Schema.boolean, "Whether replies and emitted events are written; true without it"),
                "dryRun": Schema.said(Schema.boolean, "Answers what it would come to"),
            ]))

    private static let redriveOrder = Schema.closed(
        Schema.object(
            [:],
            optional: [
                "ids": Schema.said(Schema.list(Schema.text), "These, without any filter"), "function": Schema.label,
                "trigger": Schema.text, "topic": Schema.said(Schema.text, "From or on this topic"),
                "reason": Schema.said(Schema.text("function_failed"), "How their last attempt ended"),
                "since": Schema.said(Schema.time, "Given up from then on"),
                "after": Schema.said(Schema.count, "As `next` said"),
            ]))

    private static let redriven = Schema.object([
        "redriven": Schema.said(Schema.list(Schema.text), "Their ids"),
        "refused": Schema.said(
            Schema.list(Schema.object(["id": Schema.text, "code": Schema.text, "message": Schema.text])),
            "Those that cannot be, and why"),
        "left": Schema.said(Schema.list(Schema.text), "Ids for the next request"),
        "next": Schema.said(Schema.orNull(Schema.count), "What `after` takes; null when nothing is left"),
    ])
}
