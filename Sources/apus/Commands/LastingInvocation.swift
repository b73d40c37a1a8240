internal import ApusCore
internal import ApusJSON

/// `apus invoke --async`: an invocation that goes on without this command.
struct LastingInvocation {
    let context: CommandContext
    let client: APIClient

    func run(_ request: APIRequest) throws {
        let accepted = try self.client.call(request).json()
        guard let id = accepted["id"]?.string else {
            throw ApusError(.internal, "the server accepted the invocation and did not say its id")
        }
        guard self.context.arguments.has("--wait") else { return try self.context.show(accepted) { id + "\n" } }
        // Said before the wait, so that who leaves knows what to ask for.
        self.context.note("invocation \(id)")
        let state = try self.wait(for: id)
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
        return ApusError(code, "the invocation \(id) \(state["state"]?.string ?? "ended"): \(why)")
    }

    private func show(_ result: APIResponse) throws {
        if self.context.output != .table, let value = try? JSONValue.parse(result.body, refusesDuplicates: false) {
            return try self.context.show(value) { "" }
        }
        try self.context.terminal.write(result.body)
        if let last = result.body.last, last != 0x0A, self.context.terminal.isInteractive {
            try self.context.terminal.write("\n")
        }
    }
}
