internal import ApusCore
internal import ApusJSON
internal import ApusTools

/// Messages to the endpoint for agents, as a client of the Model Context Protocol sends them. What is said before an answer is shown.
final class ToolConversation {
    private let context: CommandContext
    private let client: APIClient
    private var id = 0
    private var lastProgress = ""

    private static let version = "2026-07-28"

    init(context: CommandContext) throws {
        self.context = context
        self.client = try context.client()
    }

    /// - Parameters:
    ///   - name: of what is asked for, as the head of the request says it.
    ///   - takesTasks: a call may become a task.
    ///   - members: writes those of `params`.
    /// - Returns: the result.
    func ask(
        _ method: String, named name: String, takesTasks: Bool = false, _ members: (inout JSONWriter) -> Void
    ) throws -> JSONValue {
        let base = self.client.namespace == .default ? "/mcp" : "/v1/namespaces/\(self.client.namespace)/mcp"
        let server = self.context.arguments["--tool-server"].map { "/" + PercentEncoding.encode($0) } ?? ""
        let request = APIRequest(
            .post, base + server,
            headers: [
                ("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream"),
                ("MCP-Protocol-Version", Self.version), ("Mcp-Method", method),
                ("Mcp-Name", HeaderText.encode(name)), (RoutingHead.bridgeHeader, "stdio"),
            ], body: self.message(method, takesTasks, members))
        let message = try JSONValue.parse(self.answer(to: request), refusesDuplicates: false)
        if let error = message["error"] {
            throw ApusError(.invalidArgument, SafeText.of(error["message"]?.string ?? "the server refused the call"))
        }
        guard let result = message["result"] else {
            throw ApusError(.internal, "\(self.client.server) gave neither a result nor an error")
        }
        return result
    }

    private func message(_ method: String, _ takesTasks: Bool, _ members: (inout JSONWriter) -> Void) -> [UInt8] {
        self.id += 1
        var capabilities = JSONObject()
        if self.context.terminal.isInputInteractive { capabilities["elicitation"] = [:] }
        if takesTasks { capabilities["extensions"] = .object([ClientCapabilities.tasksName: [:]]) }
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("jsonrpc", "2.0")
        writer.member("id", self.id)
        writer.member("method", method)
        writer.key("params")
        writer.beginObject()
        members(&writer)
        writer.member(
            "_meta",
            [
                "io.modelcontextprotocol/protocolVersion": .string(Self.version),
                "io.modelcontextprotocol/clientInfo": ["name": "apus", "version": "1"],
                "io.modelcontextprotocol/clientCapabilities": .object(capabilities),
                "progressToken": .integer(Int64(self.id)),
            ])
        writer.endObject()
        writer.endObject()
        return writer.bytes
    }

    /// - Returns: the message that answers; of a stream the last one.
    private func answer(to request: APIRequest) throws -> [UInt8] {
        var reader = EventStreamReader(lineBytes: Limits.Commands.toolResultBytes)
        var isStream = false
        var body: [UInt8] = []
        try self.client.stream(
            request, onHead: { isStream = $0.mediaType == "text/event-stream" },
            onChunk: { chunk in
                guard isStream else {
                    body += chunk
                    return body.count <= Limits.Commands.toolResultBytes
                }
                for event in try reader.take(chunk) where !event.isEmpty {
                    let message = try JSONValue.parse(event, refusesDuplicates: false)
                    if message["id"] == nil { self.note(message) } else { body = event }
                }
                return true
            })
        return body
    }

    /// How it goes, as a line each time it says something new.
    private func note(_ message: JSONValue) {
        let parameters = message["params"]
        switch message["method"]?.string {
        case "notifications/progress":
            let total = parameters?["total"].map { "/\(Self.plain($0))" } ?? ""
            let text =
                "\(parameters?["progress"].map(Self.plain) ?? "")\(total) \(parameters?["message"]?.string ?? "")"
            self.note(progress: text)
        case "notifications/message":
            self.context.note(
                SafeText.of("\(parameters?["level"]?.string ?? ""): \(parameters?["data"].map(Self.plain) ?? "")"))
        default: break
        }
    }

    private static func plain(_ value: JSONValue) -> String {
        value.string ?? String(decoding: value.encoded(), as: UTF8.self)
    }

    /// How far it is, where that is news.
    func note(progress text: String) {
        guard text != self.lastProgress else { return }
        self.lastProgress = text
        self.context.note(SafeText.of(text))
    }
}
