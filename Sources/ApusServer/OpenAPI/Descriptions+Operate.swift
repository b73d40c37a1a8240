internal import ApusCore
internal import ApusHost
internal import ApusJSON

extension OperationDescription {
    /// Pausing, returning to earlier revisions, schedules, and what happened a moment ago.
    static let operate: [String: OperationDescription] = [
        "pauseFunction": OperationDescription(
            "With `trigger` one trigger only. Deliveries wait, calls are refused, schedules do as their `missed` says.",
            body: [.json(triggerOrder, example: ["trigger": "documents"])],
            answers: [Answer(200, "It is paused.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + [.functionNotFound, .notFound, .invalidJSON], isBodyOptional: true),
        "resumeFunction": OperationDescription(
            body: [.json(triggerOrder, example: ["trigger": "documents"])],
            answers: [Answer(200, "It runs again.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + [.functionNotFound, .notFound, .invalidJSON], isBodyOptional: true),
        "rollbackFunction": OperationDescription(
            "Without `revision` the one before. A new generation; triggers that stay keep their positions.",
            parameters: [ifMatch],
            body: [.json(revisionOrder, example: ["revision": "9dc7489ae287"])],
            answers: [Answer(200, "It is in use.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + deployCodes + [.functionNotFound, .revisionNotFound], isBodyOptional: true),
        "warmFunction": OperationDescription(
            "Answers once the worker is ready, or could not start.",
            answers: [Answer(200, "A worker is ready.", [.json(warmed)])],
            codes: [
                .functionNotFound, .startFailed, .noSlot, .sandboxUnavailable, .deadlineExceeded, .conflict,
                .functionPaused,
            ]),
        "getCommand": OperationDescription(
            "For an hour. Only where several servers share a log; the answer `command_unanswered` names the id.",
            answers: [
                Answer(
                    200, "It was decided.",
                    [
                        .json(
                            Schema.object(
                                ["id": Schema.text("0f8b6c2f5d0f4f8e9d6b7a5c4e3f2a1b"), "decided": Schema.time],
                                optional: [
                                    "result": Schema.list(Schema.named("Outcome")),
                                    "error": Schema.object(["code": Schema.text, "message": Schema.text]),
                                ]))
                    ])
            ], codes: [.notFound, .invalidArgument]),
        "listSchedules": OperationDescription(
            answers: [Answer(200, "The scheduled triggers.", [.json(Schema.items(Schema.named("Schedule")))])]),
        "listDeliveries": OperationDescription(
            "Kept in memory: every failure and what is slow, and a few successes a second, as `sampling` says.",
            parameters: [
                .query("function", Schema.text, "Only those of this function."),
                .query("state", Schema.oneOf(DeliveryState.allCases.map(\.rawValue)), "Only those in this state."),
                .query("limit", Schema.integer(1...Limits.Server.deliveriesPerRead, default: 50), "How many at most."),
            ],
            answers: [Answer(200, "The newest first.", [.json(deliveries)])], codes: [.logFailed]),
        "getDelivery": OperationDescription(
            parameters: [.path("id", invocationID, "As lists show it.")],
            answers: [Answer(200, "The delivery with its last attempts.", [.json(Schema.named("Delivery"))])],
            codes: [.notFound, .logFailed]),
        "getStats": OperationDescription(
            "With `Accept: text/event-stream` a report a second, until the client leaves.",
            parameters: [
                .query("seconds", Schema.integer(1...Limits.Server.statsSeconds, default: 60), "How far back."),
                .query("limit", Schema.integer(1...Limits.Server.statsItems, default: 100), "How many of each kind."),
            ],
            answers: [
                Answer(
                    200, "Rates, lag, workers and cold starts.",
                    [.json(Schema.named("Stats")), Content("text/event-stream")])
            ],
            isEndless: true),
    ]

    private static let triggerOrder = Schema.closed(
        Schema.object([:], optional: ["trigger": Schema.said(Schema.text("documents"), "This trigger only")]))
    private static let revisionOrder = Schema.closed(
        Schema.object(
            [:], optional: ["revision": Schema.said(Schema.text("9dc7489ae287"), "The first digits are enough")]))

    private static let warmed = Schema.object([
        "name": Schema.label, "namespace": Schema.label, "state": Schema.oneOf(["ready"]),
        "milliseconds": Schema.said(Schema.count, "How long it took"),
    ])

    private static let deliveries = Schema.object([
        "items": Schema.list(Schema.named("Delivery")),
        "sampling": Schema.said(
            Schema.object([
                "successesPerSecond": Schema.count, "slowMicroseconds": Schema.count, "kept": Schema.count,
            ]), "Which are kept: of what went well, so many a second, and some more of what was slower; so many in all"),
    ])
}
