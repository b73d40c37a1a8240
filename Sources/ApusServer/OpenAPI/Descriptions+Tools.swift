internal import ApusCore
internal import ApusJSON

extension OperationDescription {
    /// The endpoint for agents: what goes over it is described by the Model Context Protocol, and in docs/tools.md.
    static let tools: [String: OperationDescription] = {
        var all: [String: OperationDescription] = [:]
        for id in ["callTools", "callToolsInNamespace", "callToolServer", "callToolServerInNamespace"] {
            all[id] = post
        }
        for suffix in ["", "InNamespace", "OfServer", "OfServerInNamespace"] {
            all["followTools\(suffix)"] = follow
            all["endToolSession\(suffix)"] = end
        }
        return all
    }()

    private static let session = Parameter.header(
        "Mcp-Session-Id", ["type": "string"], "The session, of clients that speak a revision with sessions.")

    /// What is wrong with a message or a session is said in the protocol's own form.
    private static func refusals(_ statuses: UInt32...) -> [Answer] {
        let reasons: [UInt32: String] = [
            400: "The message breaks the protocol.", 404: "There is no such session, or method.",
            405: "It is for sessions.", 406: "The client does not accept what is answered.",
            413: "The message is too large.",
        ]
        return statuses.map { Answer($0, reasons[$0] ?? "It is refused.", [.json(Schema.anything)]) }
    }

    private static let post = OperationDescription(
        """
        One message of JSON-RPC 2.0 in a revision of the Model Context Protocol: 2026-07-28, 2025-11-25 or 2025-06-18. The answer is one \
        message, or a stream of them that ends with it. Errors of the protocol come with its own codes.
        """,
        parameters: [session], body: [.json(Schema.anything)],
        answers: [
            Answer(200, "The answer.", [.json(Schema.anything), Content("text/event-stream")]),
            Answer(202, "A notification, or an answer to a question, was taken."),
        ] + refusals(400, 404, 406, 413),
        codes: [.notFound], isEndless: true)

    private static let follow = OperationDescription(
        "Of sessions only. With Last-Event-ID it reads on in the stream that the id belongs to.", parameters: [session],
        answers: [Answer(200, "Messages as they come.", [Content("text/event-stream")])] + refusals(400, 404, 405, 406),
        codes: [.notFound], isEndless: true)

    private static let end = OperationDescription(
        "Of sessions only.", parameters: [session], answers: [Answer(204, "It is over.")] + refusals(400, 404, 405),
        codes: [.notFound])
}
