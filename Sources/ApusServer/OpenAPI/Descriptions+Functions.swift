internal import ApusCore
internal import ApusJSON
internal import ApusStore

extension OperationDescription {
    /// Of a read that shows what a write made, once it is named.
    static let position = Parameter.header(
        "Apus-Position", Schema.text("apus.control/0/0"),
        "The answer waits until it shows the write that answered with this position, for at most 5 s.")
    /// The errors of reads that wait for a position.
    static let positionCodes: [ErrorCode] = [
        .offsetOutOfRange, .expired, .topicNotFound, .projectionFailed, .logFailed,
    ]

    static let ifMatch = Parameter.header(
        "If-Match", Schema.text("\"3\""),
        "The generation, as `ETag` gave it, that must not have changed since; `\"0\"` for none.")
    static let positioned = [(name: "Apus-Position", summary: "Where the write is: for a read that must show it.")]
    /// The errors of writes to what is deployed.
    static let controlCodes: [ErrorCode] = [
        .conflict, .expired, .limitReached, .logFull, .diskFull, .logFailed, .projectionFailed,
    ]

    static let functions: [String: OperationDescription] = [
        "listFunctions": OperationDescription(
            parameters: [position],
            answers: [
                Answer(200, "The functions of the namespace, by name.", [.json(Schema.items(Schema.named("Function")))])
            ],
            codes: positionCodes),
        "getFunction": OperationDescription(
            "With the positions of its triggers and the workers that exist now.", parameters: [position],
            answers: [
                Answer(
                    200, "The function.", [.json(Schema.named("FunctionDetails"))],
                    headers: [("ETag", "Its generation, for `If-Match`.")])
            ],
            codes: positionCodes + [.functionNotFound, .logDamaged]),
        "putFunction": OperationDescription(
            "The body is the manifest, whose name is that of the path. The bundle was sent to `/v1/bundles` before.",
            parameters: [ifMatch, .header("Apus-Bundle", Schema.hash, "The hash of the function's bundle.")],
            body: [.json(Schema.named("Manifest"), example: manifestExample)],
            answers: [
                Answer(200, "What became of it.", [.json(Schema.named("Outcome"))], headers: positioned)
            ],
            codes: controlCodes + deployCodes),
        "deleteFunction": OperationDescription(
            "Its positions go too: one that is deployed again under the name starts anew.", parameters: [ifMatch],
            answers: [Answer(200, "It is gone.", [.json(Schema.named("Outcome"))], headers: positioned)],
            codes: controlCodes + [.functionNotFound]),
        "listRevisions": OperationDescription(
            parameters: [position],
            answers: [
                Answer(
                    200, "The revisions that are kept, newest first.", [.json(Schema.items(Schema.named("Revision")))])
            ],
            codes: positionCodes + [.functionNotFound]),
        "readLogs": OperationDescription(
            """
            With `Accept: text/event-stream` the newest lines and then each as it comes, an event a line, until the client leaves. `limit` \
            counts the lines that all conditions let through.
            """,
            parameters: [
                .query("after", Schema.integer(0...Int.max), "Only lines after this sequence."),
                .query("limit", Schema.integer(1...1_000, default: 200), "How many lines at most."),
                .query(
                    "level", Schema.oneOf(LogFilter.levels.map(\.name)),
                    "Only lines this bad or worse; standard output counts as `info`, standard error as `warning`."),
                .query(
                    "invocation", Schema.text(String(repeating: "a", count: 32), pattern: LogFilter.invocationPattern),
                    "Only lines of this invocation, as `Apus-Invocation` names it."),
                .query(
                    "revision", Schema.text("48ed2d7a", pattern: LogFilter.revisionPattern),
                    "Only lines of revisions whose name begins so."),
                .query("since", Schema.time, "Only lines written then or later."),
                position,
            ],
            answers: [
                Answer(
                    200, "Lines, oldest first.",
                    [.json(Schema.items(Schema.named("LogLine"))), Content("text/event-stream")])
            ],
            codes: positionCodes + [.functionNotFound], isEndless: true),
        "invokeFunction": OperationDescription(
            """
            The body is what the function gets: any data with its Content-Type, or a CloudEvent in binary or structured mode. The \
            answer is what it returns, with its media type. A function that streams is answered in parts: events with \
            `Accept: text/event-stream`, else a JSON value a line, or bytes as they come.
            """,
            parameters: [
                .header("Idempotency-Key", Schema.text("3f0c-42"), "With `Prefer: respond-async`. " + idempotency)
            ],
            body: [
                .json(Schema.anything, example: ["text": "hello"]), Content("application/octet-stream"),
                Content("application/cloudevents+json", Schema.named("CloudEvent")),
            ],
            answers: [
                Answer(
                    200, "The result.",
                    [
                        Content("application/json"), Content("text/event-stream"), Content("application/x-ndjson"),
                        Content("*/*"),
                    ], headers: [("Apus-Invocation", "The id of the invocation.")]),
                accepted, Answer(204, "The function returned nothing."),
            ],
            codes: [
                .expired, .invalidEvent, .invalidJSON, .unsupportedMediaType, .eventTooLarge, .limitReached,
                .functionNotFound, .functionPaused,
                .notYetSupported, .functionFailed, .functionRejected, .deadlineExceeded, .workerCrashed,
                .protocolError, .startFailed, .tableFailed, .memoryExceeded, .emitRefused, .hopsExceeded,
                .resultTooLarge, .queueFull, .cancelled, .conflict, .sandboxUnavailable, .runtimeMissing, .noSlot,
                .notReady,
                .logFull, .diskFull,
            ]),
    ]

    static let deployCodes: [ErrorCode] = [
        .invalidJSON, .manifestInvalid, .reservedName, .notYetSupported, .bundleNotFound, .topicNotFound,
        .secretNotFound, .secretUnavailable,
        .buildFailed, .startFailed, .runtimeMissing, .sandboxUnavailable, .noSlot, .eventTooLarge,
    ]

    static let manifestExample: JSONValue = [
        "apiVersion": "apus.dev/v1", "kind": "Function", "metadata": ["name": "embed-text"],
        "spec": ["runtime": "python3", "handler": "main:embed", "source": "."],
    ]
}
