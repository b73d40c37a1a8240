internal import Glibc

/// Tasks of a tool that gives back what it gets: how fast they are begun, each on the log before its answer, and how fast one of many is
/// asked for.
struct ToolsBenchTasks {
    let port: UInt16
    let token: String?
    let connections: Int

    /// So many are begun before the last of them must be over: fewer than a function's queue takes.
    private static let step = 4_000
    private static let waitSeconds = 60

    /// - Returns: how many a second were begun, and what asks for the last.
    func store(_ count: Int) throws -> (rate: Double, get: HTTPBenchLoad) {
        let begin = self.load("tools/call", "warm", #""name":"warm","arguments":{"text":"later"}"#)
        var (rates, left): ([Double], Int) = ([], count)
        while true {
            let step = min(left, Self.step)
            rates.append(try begin.run(connections: self.connections, count: step).rate)
            left -= step
            let id = try Self.taskID(begin.answer())
            let get = self.load("tasks/get", id, #""taskId":"\#(id)""#)
            try self.wait(get)
            if left <= 0 { return (rates.sorted()[rates.count / 2], get) }
        }
    }

    private func wait(_ get: HTTPBenchLoad) throws {
        for _ in 0..<Self.waitSeconds * 20 {
            if String(decoding: try get.answer(), as: UTF8.self).contains(#""status":"completed""#) { return }
            usleep(50_000)
        }
        throw BenchFailure("a task is not over after \(Self.waitSeconds) s")
    }

    private static func taskID(_ answer: [UInt8]) throws -> String {
        let text = String(decoding: answer, as: UTF8.self)
        guard let start = text.firstRange(of: #""taskId":""#)?.upperBound, let end = text[start...].firstIndex(of: "\"")
        else { throw BenchFailure("the answer is no task: \(text.prefix(300))") }
        return String(text[start..<end])
    }

    private func load(_ method: String, _ name: String, _ members: String) -> HTTPBenchLoad {
        let meta = "io.modelcontextprotocol"
        let body =
            #"{"jsonrpc":"2.0","id":1,"method":"\#(method)","params":{\#(members),"_meta":{"\#(meta)/protocolVersion":"2026-07-28","#
            + #""\#(meta)/clientCapabilities":{"extensions":{"\#(meta)/tasks":{}}}}}}"#
        return HTTPBenchLoad(
            port: self.port, path: "/mcp", body: Array(body.utf8), token: self.token,
            headers: [
                ("Accept", "application/json, text/event-stream"), ("MCP-Protocol-Version", "2026-07-28"),
                ("Mcp-Method", method), ("Mcp-Name", name),
            ])
    }
}
