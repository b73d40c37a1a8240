internal import ApusHost
internal import ApusLoop
internal import Synchronization

/// Calls that wait here for invocations of theirs: what such an invocation calls is called with the rights of its caller. From any thread.
final class WaitingCalls: Sendable {
    // SAFETY: the call is touched on its loop only, inside `post`.
    private struct Waiting: @unchecked Sendable {
        let loop: EventLoop
        let call: ToolCall
    }

    private let waiting = Mutex<[String: Waiting]>([:])

    func add(_ call: ToolCall, as name: String) {
        let waiting = Waiting(loop: call.runtime.loop, call: call)
        self.waiting.withLock { $0[name] = waiting }
    }

    func remove(_ name: String) { self.waiting.withLock { _ = $0.removeValue(forKey: name) } }

    /// - Returns: whether somebody waits, and has it now.
    func pass(_ call: FunctionCall, to name: String) -> Bool {
        guard let found = self.waiting.withLock({ $0[name] }) else { return false }
        found.loop.post { found.call.onCall(call) }
        return true
    }
}
