import ApusHTTP
import ApusJSON

/// Calls of tools as an agent of 2026-07-28 makes them, byte by byte.
struct AgentCall {
    let url: String
    let token: String

    /// - Parameters:
    ///   - capabilities: JSON: what the client can be asked.
    ///   - more: members of `params`, with a comma before each.
    func call(
        _ tool: String, _ arguments: String = "{}", at path: String = "/mcp", capabilities: String, more: String = ""
    ) throws -> JSONValue {
        let meta = "io.modelcontextprotocol"
        let body =
            #"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"\#(tool)","arguments":\#(arguments)\#(more),"#
            + #""_meta":{"\#(meta)/protocolVersion":"2026-07-28","\#(meta)/clientCapabilities":\#(capabilities)}}}"#
        let answer = try HTTPClient().request(
            "POST", self.url + path,
            headers: [
                HTTPHeader("Authorization", "Bearer \(self.token)"), HTTPHeader("Content-Type", "application/json"),
                HTTPHeader("Accept", "application/json, text/event-stream"),
                HTTPHeader("MCP-Protocol-Version", "2026-07-28"), HTTPHeader("Mcp-Method", "tools/call"),
                HTTPHeader("Mcp-Name", tool),
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
