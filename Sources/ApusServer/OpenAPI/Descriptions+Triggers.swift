internal import ApusCore
internal import ApusJSON

extension OperationDescription {
    /// HTTP triggers: what they answer is the function's business.
    static let triggers: [String: OperationDescription] = [
        "callHTTPTrigger": trigger, "callHTTPTriggerInNamespace": trigger,
    ]

    private static let trigger = OperationDescription(
        """
        Which paths and methods there are, and who may call them, the deployed manifests say. The function chooses status and headers of \
        the answer.
        """,
        body: [.json(Schema.anything), Content("*/*")],
        answers: [
            Answer(200, "What the function answers.", [Content("*/*")]), accepted, Answer(204, "It answers nothing."),
        ],
        codes: callCodes + [.methodNotAllowed, .notFound, .unauthenticated], isEndless: true)

    private static let callCodes: [ErrorCode] = [
        .invalidEvent, .invalidJSON, .unsupportedMediaType, .eventTooLarge, .limitReached, .functionNotFound,
        .notYetSupported, .functionFailed, .functionRejected, .deadlineExceeded, .workerCrashed, .protocolError,
        .startFailed, .memoryExceeded, .resultTooLarge, .noSlot, .queueFull, .expired, .logFull, .diskFull,
        .functionPaused,
    ]
}
