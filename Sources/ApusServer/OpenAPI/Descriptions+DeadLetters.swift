internal import ApusCore
internal import ApusJSON
internal import ApusStore

extension OperationDescription {
    static let deadLetters: [String: OperationDescription] = [
        "listDeadLetters": OperationDescription(
            parameters: [
                .query("function", Schema.label, "Of this function only."),
                .query("trigger", Schema.label, "Of triggers of this name only."),
                .query("topic", Schema.text("documents"), "From or on this topic only."),
                .query("reason", Schema.text("function_failed"), "Whose last attempt ended with this code only."),
                .query("since", Schema.time, "Given up from then on only."),
                .query(
                    "state", Schema.oneOf(DeadLetterRow.State.allCases.map(\.rawValue) + ["all"]),
                    "In this state only; without it all."),
                .query("after", Schema.integer(0...Int.max), "Only those after this sequence."),
                .query("limit", Schema.integer(1...1_000, default: 100), "How many at most."), position,
            ],
            answers: [
                Answer(
                    200, "Dead letters without their events, oldest first.",
                    [.json(Schema.items(Schema.named("DeadLetter")))])
            ],
            codes: positionCodes),
        "getDeadLetter": OperationDescription(
            "The event's data comes byte for byte as it was sent.", parameters: [id, position],
            answers: [Answer(200, "The dead letter.", [.json(Schema.named("DeadLetterDetails"))])],
            codes: positionCodes + [.deadLetterNotFound, .recordExpired]),
        "redriveDeadLetter": OperationDescription(
            "To its own trigger only, under its key, behind what that key has waiting. Once.", parameters: [id],
            answers: [Answer(200, "It is on the log again.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + [.deadLetterNotFound, .recordExpired, .functionNotFound, .topicNotFound]),
        "dropDeadLetter": OperationDescription(
            parameters: [id],
            answers: [Answer(200, "It is given up.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + [.deadLetterNotFound, .recordExpired]),
    ]

    private static let id = Parameter.path(
        "id",
        Schema.text(
            "\(String(repeating: "0", count: 16))-apus.dead-0-0",
            pattern: "^[0-9a-f]{16}-[A-Za-z0-9._-]+-[0-9]+-[0-9]+$"),
        "As lists show it.")
}
