internal import ApusCore
internal import ApusJSON

/// `apus invoke --async`: an invocation that goes on without this command.
struct LastingInvocation {
    let context: CommandContext
    let client: APIClient

    func run(_ request: APIRequest) throws {
        let start = self.context.terminal.now
        let accepted = try self.client.call(request).json()
        guard let id = accepted["id"]?.string else {
            throw ApusError(.internal, "the server accepted the invocation and did not say its id")
        }
        guard self.context.arguments.has("--wait") else { return try self.context.show(accepted) { id + "\n" } }
        // Said before the wait, so that who leaves knows what to ask for.
        if !self.context.arguments.has("--quiet") { self.context.note("invocation \(id)") }
        let state = try self.wait(for: id)
        defer { if let timing = state["timing"] { self.context.say(TimingLine(timing), since: start) } }
        guard state["state"]?.string == "succeeded" else { throw self.failure(state, id) }
        let result = try self.client.call(APIRequest(.get, self.client.path("invocations", id, "result")))
        try self.show(result)
    }

    /// Asks until it is over. A server that is restarted meanwhile goes on with it.
    private func wait(for id: String) throws -> JSONValue {
        let request = APIRequest(
            .get, self.client.path("invocations", id), query: [("wait", String(Limits.Commands.waitSeconds))])
        var failures = 0
        while true {
            do throws(ApusError) {
                let state = try self.client.call(request).json()
                failures = 0
                if Self.isOver(state) { return state }
            } catch {
                failures += 1
                guard [.serverUnreachable, .shuttingDown, .expired].contains(error.code),
                    failures < Limits.Commands.waitRetries
                else { throw error }
                self.context.terminal.pause(milliseconds: Limits.Commands.waitRetryMilliseconds)
            }
        }
    }

    private static func isOver(_ state: JSONValue) -> Bool {
        state["state"]?.string.flatMap(InvocationState.init(rawValue:))?.isTerminal ?? false
    }

    private func failure(_ state: JSONValue, _ id: String) -> ApusError {
        let code = state["code"]?.string.flatMap(ErrorCode.init(rawValue:)) ?? .functionFailed
        let why = state["message"]?.string ?? "it \(state["state"]?.string ?? "ended")"
        // A traceback, or what a program wrote last.
        let detail = state["detail"]?.string.map { $0.isEmpty ? "" : "\n\($0)" } ?? ""
        return ApusError(code, "the invocation \(id) \(state["state"]?.string ?? "ended"): \(why)\(detail)")
    }

    private func show(_ result: APIResponse) throws {
        let printer = ResultPrinter(self.context)
        printer.begin(result)
        try printer.take(result.body)
        try printer.finish()
    }
}
