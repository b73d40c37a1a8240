internal import ApusCore

/// How a call is carried out.
enum CallCourse {
    /// Within its request: one attempt, and nothing of it is kept.
    case now
    /// As an asynchronous invocation that is waited for: durable before it runs. With a key it is run once, however often it is asked for,
    /// and each who asks gets what it came to.
    case kept(IdempotencyKey?)
}

extension ToolCall {
    /// The one place where it is decided, for whatever leads to a call.
    func course(_ entry: FunctionDirectory.Entry) -> CallCourse {
        guard case .tool = self.target else { return .now }
        if let key = self.key { return .kept(key) }
        // Only other servers run it: what waits for them must last.
        return entry.isElsewhere ? .kept(nil) : .now
    }
}
