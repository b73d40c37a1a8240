import ApusHTTP
import ApusJSON

/// Calls of tools as an agent of 2026-07-28 makes them, byte by byte.
struct AgentCall {
    let url: String
    let token: String

    /// - Parameters:
    ///   - capabilities: JSON: what the client can be asked.
    ///   - key: names the call.
    ///   - more: members of `params`, with a comma before each.
    func call(
        _ tool: String, _ arguments: String = "{}", at path: String = "/mcp", capabilities: String, key: String? = nil,
        more: String = ""
    ) throws -> JSONValue {
        try self.ask(
            "tools/call", tool, #""name":"\#(tool)","arguments":\#(arguments)\#(more)"#, at: path,
            capabilities: capabilities, key: key)
    }

    /// - Parameters:
    ///   - name: what the head repeats of the parameters.
    ///   - params: members of `params`.
    func ask(
        _ method: String, _ name: String, _ params: String, at path: String = "/mcp", capabilities: String,
        key: String? = nil
    ) throws -> JSONValue {
        let meta = "io.modelcontextprotocol"
        let body =
            #"{"jsonrpc":"2.0","id":7,"method":"\#(method)","params":{\#(params),"#
            + #""_meta":{"\#(meta)/protocolVersion":"2026-07-28","\#(meta)/clientCapabilities":\#(capabilities)}}}"#
        var headers = [
            HTTPHeader("Authorization", "Bearer \(self.token)"), HTTPHeader("Content-Type", "application/json"),
            HTTPHeader("Accept", "application/json, text/event-stream"),
            HTTPHeader("MCP-Protocol-Version", "2026-07-28"), HTTPHeader("Mcp-Method", method),
            HTTPHeader("Mcp-Name", name),
        ]
        if let key { headers.append(HTTPHeader("Idempotency-Key", key)) }
        let answer = try HTTPClient().request("POST", self.url + path, headers: headers, body: Array(body.utf8))
        // Of a stream the last event is the answer.
        let line = String(decoding: answer.body, as: UTF8.self).split(separator: "\n").last { $0.hasPrefix("data: ") }
        return try JSONValue.parse(line.map { Array($0.dropFirst(6).utf8) } ?? answer.body)
    }

    /// One page of a list: `tools`, `prompts`, `resources`.
    func list(_ what: String, at path: String = "/mcp") throws -> JSONValue {
        let meta = "io.modelcontextprotocol"
        let body =
            #"{"jsonrpc":"2.0","id":7,"method":"\#(what)/list","params":{"_meta":{"\#(meta)/protocolVersion":"2026-07-28","#
            + #""\#(meta)/clientCapabilities":{}}}}"#
        let answer = try HTTPClient().request(
            "POST", self.url + path,
            headers: [
                HTTPHeader("Authorization", "Bearer \(self.token)"), HTTPHeader("Content-Type", "application/json"),
                HTTPHeader("Accept", "application/json, text/event-stream"),
                HTTPHeader("MCP-Protocol-Version", "2026-07-28"), HTTPHeader("Mcp-Method", "\(what)/list"),
            ], body: Array(body.utf8))
        return try JSONValue.parse(answer.body)
    }

    /// What a person says to the question whether the call may begin.
    static func approved(_ state: String, _ approve: Bool = true) -> String {
        #","requestState":"\#(state)","inputResponses":{"apus-approval":{"action":"accept","content":{"approve":\#(approve)}}}"#
    }

    static func text(_ answer: JSONValue) -> String {
        answer["result"]?["content"]?[0]?["text"]?.string ?? "\(answer)"
    }
}
