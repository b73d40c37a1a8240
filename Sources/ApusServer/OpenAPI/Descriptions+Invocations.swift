internal import ApusCore
internal import ApusJSON
internal import ApusStore

extension OperationDescription {
    /// Asynchronous invocations.
    static let invocations: [String: OperationDescription] = [
        "listInvocations": OperationDescription(
            parameters: [
                .query("function", Schema.label, "Of this function only."),
                .query("state", Schema.oneOf(InvocationState.allCases.map(\.rawValue)), "In this state only."),
                .query("after", invocationID, "Only those after this one: the last of the page before."),
                .query(
                    "limit", Schema.integer(1...Limits.Projection.rowsPerQuery, default: 100), "How many at most."),
                position,
            ],
            answers: [Answer(200, "The newest first.", [.json(Schema.items(Schema.named("Invocation")))])],
            codes: positionCodes),
        "getInvocation": OperationDescription(
            "An id holds its place: a state is there as soon as the invocation was accepted.",
            parameters: [
                .path("id", invocationID, "As lists show it."),
                .query(
                    "wait", Schema.integer(0...Limits.Invocations.waitSeconds, default: 0),
                    "Seconds to wait for the end; then the state comes as it is."),
            ],
            answers: [Answer(200, "The state.", [.json(Schema.named("Invocation"))], headers: invocationHeader)],
            codes: lookupCodes),
        "getInvocationResult": OperationDescription(
            "What a synchronous call would have been answered with; 409 while the invocation has not ended.",
            parameters: [
                .path("id", invocationID, "As lists show it."),
                .query(
                    "wait", Schema.integer(0...Limits.Invocations.waitSeconds, default: 0),
                    "Seconds to wait for the end."),
            ],
            answers: [
                Answer(200, "The result.", [Content("application/json"), Content("*/*")], headers: invocationHeader),
                Answer(204, "The function returned nothing.", headers: invocationHeader),
            ],
            codes: lookupCodes + endings),
        "cancelInvocation": OperationDescription(
            "One that waits never runs; one that runs is told, and its worker is killed unless it answers.",
            parameters: [
                .path("id", invocationID, "As lists show it."),
                .query(
                    "wait",
                    Schema.integer(
                        0...Limits.Invocations.waitSeconds, default: Limits.Invocations.cancelWaitSeconds),
                    "Seconds to wait for the end."),
            ],
            answers: [
                Answer(200, "It is cancelled.", [.json(Schema.named("Invocation"))], headers: invocationHeader),
                Answer(202, "It will be; so far it is as said.", [.json(Schema.named("Invocation"))]),
            ],
            codes: lookupCodes + [.conflict, .logFull, .diskFull]),
    ]

    static let invocationID = Schema.text(
        String(repeating: "0", count: 31) + "7", pattern: "^[0-9a-fA-F]{32}$")
    private static let invocationHeader = [(name: "Apus-Invocation", summary: "The id of the invocation.")]
    private static let lookupCodes: [ErrorCode] = [.invocationNotFound, .expired, .projectionFailed, .logFailed]
    /// How an invocation may have ended.
    private static let endings: [ErrorCode] = [
        .conflict, .recordExpired, .functionNotFound, .functionFailed, .functionRejected, .deadlineExceeded,
        .workerCrashed, .protocolError, .startFailed, .tableFailed, .memoryExceeded, .emitRefused, .hopsExceeded,
        .resultTooLarge, .cancelled, .notYetSupported, .invalidEvent, .invalidJSON, .eventTooLarge,
    ]

    /// The answer to `Prefer: respond-async`.
    static let accepted = Answer(
        202, "With `Prefer: respond-async`: it is durable and will run.",
        [
            .json(
                Schema.object([
                    "id": invocationID, "namespace": Schema.label, "function": Schema.label,
                    "state": Schema.oneOf([InvocationState.queued.rawValue]),
                ]))
        ],
        headers: invocationHeader + [("Location", "Where its state is.")] + positioned + repeated)

    /// Requests that take effect once.
    static let idempotency =
        "The same key within 24 hours is answered as the first time, and nothing more happens: 1 to 255 visible ASCII characters."
    static let repeated = [(name: "Apus-Repeated", summary: "`true` where the request had been accepted before.")]
}
