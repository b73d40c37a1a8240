import ApusHTTP
import ApusJSON
import Testing

/// Calls tools as an agent of 2026-07-28 does, without an SDK.
struct ToolCaller {
    let caller: Caller
    /// Nil for the administrator's.
    var token: String?
    var path = "/mcp"

    /// - Returns: the whole answer.
    func call(_ tool: String, _ arguments: JSONValue = [:]) throws -> JSONValue {
        var head = ToolHead.head(for: tool)
        if let token { head["Authorization"] = "Bearer \(token)" }
        let answer = try self.caller.send(
            "POST", self.path, head, body: ToolHead.call(tool, arguments), isKnown: self.token == nil)
        return try Self.message(answer)
    }

    /// Any other request, with the whole answer.
    /// - Parameter meta: beside what each request says.
    func ask(_ method: String, _ params: [String: JSONValue] = [:], meta: [String: JSONValue] = [:]) throws -> HTTPResponse {
        var head = ToolHead.head(for: "")
        head["Mcp-Method"] = method
        head["Mcp-Name"] = params["name"]?.string ?? params["uri"]?.string ?? params["taskId"]?.string
        if let token { head["Authorization"] = "Bearer \(token)" }
        var said = JSONObject()
        said["io.modelcontextprotocol/protocolVersion"] = "2026-07-28"
        said["io.modelcontextprotocol/clientCapabilities"] = [:]
        for (name, value) in meta { said[name] = value }
        var members = JSONObject()
        for (name, value) in params { members[name] = value }
        members["_meta"] = .object(said)
        let body: JSONValue = ["jsonrpc": "2.0", "id": 1, "method": .string(method), "params": .object(members)]
        return try self.caller.send(
            "POST", self.path, head, body: String(decoding: body.encoded(), as: UTF8.self), isKnown: self.token == nil)
    }

    /// The message of an answer: of a stream the last event is it.
    static func message(_ answer: HTTPResponse) throws -> JSONValue {
        let line = answer.text.split(separator: "\n").last { $0.hasPrefix("data: ") }
        return try JSONValue.parse(line.map { Array($0.dropFirst(6).utf8) } ?? answer.body)
    }

    /// Declares that its client takes tasks.
    static let takesTasks: [String: JSONValue] = [
        "io.modelcontextprotocol/clientCapabilities": ["extensions": ["io.modelcontextprotocol/tasks": [:]]]
    ]

    /// Runs a script with `run_code`.
    func run(_ code: String) throws -> JSONValue { try self.call("run_code", ["code": .string(code)]) }
}

/// Messages of an agent of 2026-07-28.
enum ToolHead {
    static func head(for tool: String) -> [String: String] {
        [
            "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": tool,
        ]
    }

    static func call(_ tool: String, _ arguments: JSONValue = [:], id: Int = 1) -> String {
        let body: JSONValue = [
            "jsonrpc": "2.0", "id": .integer(Int64(id)), "method": "tools/call",
            "params": [
                "name": .string(tool), "arguments": arguments,
                "_meta": [
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientCapabilities": [:],
                ],
            ],
        ]
        return String(decoding: body.encoded(), as: UTF8.self)
    }
}
