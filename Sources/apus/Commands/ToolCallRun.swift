internal import ApusCore
internal import ApusJSON
internal import ApusTools

/// One call of a tool, as a client of the Model Context Protocol makes it: shows how it goes, and asks what the tool asks.
final class ToolCallRun {
    private let context: CommandContext
    private var id = 0
    private var lastProgress = ""

    private static let version = "2026-07-28"

    init(context: CommandContext) { self.context = context }

    func run() throws {
        let name = self.context.arguments["NAME"] ?? ""
        let given = try self.context.arguments["--data"].map { (text) throws(ApusError) in
            try DataArgument.read(text, self.context.terminal)
        }
        let arguments = given ?? Array("{}".utf8)
        guard try JSONValue.parse(arguments).object != nil else {
            throw ApusError(.invalidArgument, "--data is no JSON object: the arguments of a tool have names")
        }
        let client = try self.context.client()
        var answers: JSONValue?
        var state: String?
        for _ in 0..<Limits.Commands.toolRounds {
            let result = try self.call(client, name, arguments, answers, state)
            guard result["resultType"]?.string == "input_required" else { return try self.show(result) }
            state = result["requestState"]?.string
            answers = try self.answer(result["inputRequests"]?.object ?? [:])
        }
        throw ApusError(.functionFailed, "the tool '\(name)' still asks after \(Limits.Commands.toolRounds) rounds")
    }

    // MARK: one message

    private func message(_ name: String, _ arguments: [UInt8], _ answers: JSONValue?, _ state: String?) -> [UInt8] {
        self.id += 1
        let canAsk = self.context.terminal.isInputInteractive
        var writer = JSONWriter()
        writer.beginObject()
        writer.member("jsonrpc", "2.0")
        writer.member("id", self.id)
        writer.member("method", "tools/call")
        writer.key("params")
        writer.beginObject()
        writer.member("name", name)
        writer.key("arguments")
        writer.raw(arguments)
        if let answers { writer.member("inputResponses", answers) }
        if let state { writer.member("requestState", state) }
        writer.member(
            "_meta",
            [
                "io.modelcontextprotocol/protocolVersion": .string(Self.version),
                "io.modelcontextprotocol/clientInfo": ["name": "apus", "version": "1"],
                "io.modelcontextprotocol/clientCapabilities": canAsk ? ["elicitation": [:]] : [:],
                "progressToken": .integer(Int64(self.id)),
            ])
        writer.endObject()
        writer.endObject()
        return writer.bytes
    }

    /// - Returns: the result.
    private func call(
        _ client: APIClient, _ name: String, _ arguments: [UInt8], _ answers: JSONValue?, _ state: String?
    ) throws -> JSONValue {
        let base = client.namespace == .default ? "/mcp" : "/v1/namespaces/\(client.namespace)/mcp"
        let server = self.context.arguments["--tool-server"].map { "/" + PercentEncoding.encode($0) } ?? ""
        let request = APIRequest(
            .post, base + server,
            headers: [
                ("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream"),
                ("MCP-Protocol-Version", Self.version), ("Mcp-Method", "tools/call"),
                ("Mcp-Name", HeaderText.encode(name)), (RoutingHead.bridgeHeader, "stdio"),
            ], body: self.message(name, arguments, answers, state))
        var reader = EventStreamReader(lineBytes: Limits.Commands.toolResultBytes)
        var isStream = false
        var body: [UInt8] = []
        try client.stream(
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
        let message = try JSONValue.parse(body, refusesDuplicates: false)
        if let error = message["error"] {
            throw ApusError(.invalidArgument, SafeText.of(error["message"]?.string ?? "the server refused the call"))
        }
        guard let result = message["result"] else {
            throw ApusError(.internal, "\(client.server) gave neither a result nor an error")
        }
        return result
    }

    /// How it goes, as a line each time it says something new.
    private func note(_ message: JSONValue) {
        let parameters = message["params"]
        switch message["method"]?.string {
        case "notifications/progress":
            let total = parameters?["total"].map { "/\(Self.plain($0))" } ?? ""
            let text =
                "\(parameters?["progress"].map(Self.plain) ?? "")\(total) \(parameters?["message"]?.string ?? "")"
            guard text != self.lastProgress else { return }
            self.lastProgress = text
            self.context.note(SafeText.of(text))
        case "notifications/message":
            self.context.note(
                SafeText.of("\(parameters?["level"]?.string ?? ""): \(parameters?["data"].map(Self.plain) ?? "")"))
        default: break
        }
    }

    private static func plain(_ value: JSONValue) -> String {
        value.string ?? String(decoding: value.encoded(), as: UTF8.self)
    }

    // MARK: what it asks

    private func answer(_ requests: JSONObject) throws -> JSONValue {
        var answers = JSONObject()
        for request in requests {
            guard request.value["method"]?.string == "elicitation/create", let parameters = request.value["params"]
            else {
                throw ApusError(
                    .functionFailed,
                    "the tool asks for '\(request.value["method"]?.string ?? "")', which this command cannot give")
            }
            let message = SafeText.of(parameters["message"]?.string ?? "The tool asks:")
            guard self.context.terminal.isInputInteractive else {
                throw ApusError(.functionFailed, "the tool asks: \(message): call it from a terminal")
            }
            self.context.note(message)
            answers[request.name] = try self.filled(parameters["requestedSchema"] ?? [:])
        }
        return .object(answers)
    }

    /// A form, field by field; an empty line for one that must be there declines all of it.
    private func filled(_ schema: JSONValue) throws -> JSONValue {
        let required = Set((schema["required"]?.array ?? []).compactMap(\.string))
        var content = JSONObject()
        for field in schema["properties"]?.object ?? [:] {
            let text = try self.line(field.name, field.value)
            if text.isEmpty {
                if let standard = field.value["default"] { content[field.name] = standard }
                if content[field.name] == nil, required.contains(field.name) { return ["action": "decline"] }
                continue
            }
            content[field.name] = Self.value(text, field.value["type"]?.string)
        }
        return ["action": "accept", "content": .object(content)]
    }

    private func line(_ name: String, _ field: JSONValue) throws -> String {
        let title = field["title"]?.string ?? field["description"]?.string ?? name
        let choices = (field["enum"]?.array ?? []).compactMap(\.string)
        let hint =
            choices.isEmpty
            ? field["type"]?.string == "boolean" ? " (yes or no)" : "" : " (\(choices.joined(separator: ", ")))"
        self.context.terminal.writeError(SafeText.of("\(title)\(hint): "))
        let line = try self.context.terminal.readInput()
        return String(decoding: line, as: UTF8.self).split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
    }

    private static func value(_ text: String, _ type: String?) -> JSONValue {
        switch type {
        case "boolean": .boolean(["y", "yes", "true", "1"].contains(text.lowercased()))
        case "integer": Int64(text).map { .integer($0) } ?? .string(text)
        case "number": Double(text).map { .double($0) } ?? .string(text)
        default: .string(text)
        }
    }

    // MARK: what it gives

    private func show(_ result: JSONValue) throws {
        let texts = (result["content"]?.array ?? []).map { block -> String in
            switch block["type"]?.string {
            case "text": block["text"]?.string ?? ""
            case "resource_link": "[\(block["name"]?.string ?? "link"): \(block["uri"]?.string ?? "")]"
            case let type?: "[\(type)\(block["mimeType"]?.string.map { ", \($0)" } ?? "")]"
            case nil: ""
            }
        }
        let text = SafeText.of(texts.joined(separator: "\n"))
        guard result["isError"]?.boolean != true else { throw ApusError(.functionFailed, text) }
        try self.context.show(result) { text.hasSuffix("\n") ? text : text + "\n" }
    }
}
