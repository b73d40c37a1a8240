internal import ApusCore
internal import ApusManifest
internal import ApusTools

/// How a call is carried out.
enum CallCourse {
    /// Within its request: one attempt, and nothing of it is kept.
    case now
    /// As an asynchronous invocation that is waited for: durable before it runs. With a key it is run once, however often it is asked for,
    /// and each who asks gets what it came to.
    case kept(IdempotencyKey?)
    /// As an asynchronous invocation that its caller asks for later.
    case task(IdempotencyKey?)
}

extension ToolCall {
    /// The one place where it is decided, for whatever leads to a call.
    func course(_ entry: FunctionDirectory.Entry) -> CallCourse {
        guard case .tool(let tool) = self.target else { return .now }
        if Self.becomesTask(tool, self.request) { return .task(self.key) }
        if let key = self.key { return .kept(key) }
        // Only other servers run it: what waits for them must last.
        return entry.isElsewhere ? .kept(nil) : .now
    }

    /// The manifest allows it, and the client can: sessions know no tasks of this kind.
    private static func becomesTask(_ tool: Tool, _ request: ToolRequest) -> Bool {
        tool.asynchronous != .never && Self.takesTasks(request)
    }

    private static func takesTasks(_ request: ToolRequest) -> Bool {
        request.era == .modern && request.capabilities.contains(.tasks)
    }

    /// - Throws: for a call that must be a task, of a client that cannot.
    static func checkTasks(_ tool: Tool, _ request: ToolRequest) throws(RPCError) {
        if tool.asynchronous == .required, !Self.takesTasks(request) { throw .missing(.tasks) }
    }
}
