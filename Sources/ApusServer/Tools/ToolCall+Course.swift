internal import ApusCore
internal import ApusManifest
internal import ApusTools

/// How a call is carried out.
enum CallCourse {
    /// Within its request: one attempt, and nothing of it is kept.
    case now
    /// As an asynchronous invocation that is waited for: durable before it runs. With a key it is run once, however often it is asked for,
    /// and each who asks gets what it came to; what somebody let begin has one in any case.
    case kept(IdempotencyKey?)
    /// As an asynchronous invocation that its caller asks for later.
    case task(IdempotencyKey?)
}

extension ToolCall {
    /// The one place where it is decided, for whatever leads to a call.
    func course(_ entry: FunctionDirectory.Entry) -> CallCourse {
        guard case .tool(let tool) = self.target else { return .now }
        let key = self.key ?? self.acceptance
        if Self.becomesTask(tool, self.request) { return .task(key) }
        if let key { return .kept(key) }
        // It has begun.
        if self.keptID != nil { return .kept(nil) }
        // Only other servers run it: what waits for them must last.
        return entry.isElsewhere ? .kept(nil) : .now
    }

    /// The manifest allows it, and the client can: sessions know no tasks of this kind.
    static func becomesTask(_ tool: Tool, _ request: ToolRequest) -> Bool {
        tool.asynchronous != .never && Self.takesTasks(request)
    }

    private static func takesTasks(_ request: ToolRequest) -> Bool {
        request.era == .modern && request.capabilities.contains(.tasks)
    }

    /// Whether it may wait as a task for an approval.
    var waitsAsTask: Bool {
        guard case .tool(let tool) = self.target else { return false }
        return tool.remote == nil && tool.questions == .within && Self.becomesTask(tool, self.request)
    }

    /// Whether it asks, where it can be asked, before there is a task.
    var asksFirst: Bool { if case .tool(let tool) = self.target { tool.questions == .before } else { false } }

    /// Nobody comes again for it: a client that leaves takes an acceptance with it, and so does a function.
    var isGivenUpByLeaving: Bool { self.reply.isInner || self.acceptance != nil && self.key == nil && !self.isTask }

    /// - Throws: for a call that must be a task, of a client that cannot.
    static func checkTasks(_ tool: Tool, _ request: ToolRequest) throws(RPCError) {
        if tool.asynchronous == .required, !Self.takesTasks(request) { throw .missing(.tasks) }
    }
}
