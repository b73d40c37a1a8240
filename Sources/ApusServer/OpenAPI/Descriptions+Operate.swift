internal import ApusCore
internal import ApusHost
internal import ApusJSON

extension OperationDescription {
    /// Pausing, returning to earlier revisions, schedules, and what happened a moment ago.
    static let operate: [String: OperationDescription] = [
        "pauseFunction": OperationDescription(
            "With `trigger` one trigger only. Deliveries wait, calls are refused, schedules do as their `missed` says.",
            body: [.json(Schema.anything, example: ["trigger": "documents"])],
            answers: [Answer(200, "It is paused.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + [.functionNotFound, .invalidJSON]),
        "resumeFunction": OperationDescription(
            body: [.json(Schema.anything, example: ["trigger": "documents"])],
            answers: [Answer(200, "It runs again.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + [.functionNotFound, .invalidJSON]),
        "rollbackFunction": OperationDescription(
            "Without `revision` the one before. A new generation; triggers that stay keep their positions.",
            parameters: [ifMatch],
            body: [.json(Schema.anything, example: ["revision": "9dc7489ae287"])],
            answers: [Answer(200, "It is in use.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + deployCodes + [.functionNotFound, .notFound, .invalidJSON]),
        "warmFunction": OperationDescription(
            "Answers once the worker is ready, or could not start.",
            answers: [Answer(200, "A worker is ready.", [.json(Schema.anything)])],
            codes: [.functionNotFound, .startFailed, .noSlot, .sandboxUnavailable, .deadlineExceeded, .conflict]),
        "listSchedules": OperationDescription(
            answers: [Answer(200, "The scheduled triggers.", [.json(Schema.items(Schema.anything))])]),
        "listDeliveries": OperationDescription(
            "Kept in memory: every failure and what is slow, and a few successes a second, as `sampling` says.",
            parameters: [
                .query("function", Schema.text, "Only those of this function."),
                .query("state", Schema.oneOf(DeliveryState.allCases.map(\.rawValue)), "Only those in this state."),
                .query("limit", Schema.integer(1...Limits.Server.deliveriesPerRead, default: 50), "How many at most."),
            ],
            answers: [Answer(200, "The newest first.", [.json(Schema.items(Schema.anything))])], codes: [.logFailed]),
        "getDelivery": OperationDescription(
            answers: [Answer(200, "The delivery with its last attempts.", [.json(Schema.anything)])],
            codes: [.notFound, .logFailed]),
        "getStats": OperationDescription(
            "With `Accept: text/event-stream` a report a second, until the client leaves.",
            parameters: [
                .query("seconds", Schema.integer(1...Limits.Server.statsSeconds, default: 60), "How far back."),
                .query("limit", Schema.integer(1...Limits.Server.statsItems, default: 100), "How many of each kind."),
            ],
            answers: [
                Answer(
                    200, "Rates, lag, workers and cold starts.", [.json(Schema.anything), Content("text/event-stream")])
            ],
            isEndless: true),
    ]
}
