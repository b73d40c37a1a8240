internal import ApusCore
internal import ApusEngine
internal import ApusHTTP
internal import ApusHost
internal import ApusJSON
internal import ApusLoop
internal import ApusStore
internal import ApusTools

/// The extension for tasks: calls that their client asks for later. A task is an asynchronous invocation of who began it.
extension ToolEndpoint {
    /// - Throws: for a client that does not say that it knows tasks, and for a task that is not there or somebody else's.
    private func task(_ request: ToolRequest) throws(RPCError) -> InvocationLookup {
        guard request.capabilities.contains(.tasks) else { throw .missing(.tasks) }
        guard let name = request.envelope.text(request.envelope.parameters.taskID) else {
            throw .invalidParams("`taskId` is missing or no string")
        }
        guard
            let id = self.registry.tasks.invocation(name, of: request.caller.name, in: request.place.namespace)
        else { throw Self.unknownTask }
        // Its code says so.
        return InvocationLookup(server: self.server, id: id, namespace: request.place.namespace, isGiven: true)
    }

    static let unknownTask = RPCError.invalidParams("Unknown task")

    static func error(_ error: ApusError) -> RPCError {
        error.code == .invocationNotFound ? self.unknownTask : RPCError(.unavailable, error.message)
    }

    func getTask(_ request: ToolRequest, _ reply: ToolReply) throws(RPCError) {
        let lookup = try self.task(request)
        self.look(lookup, request, reply) { report in reply.finish(report.detailedMembers) }
    }

    /// Looks how far a task is, then says it on the loop.
    func look(
        _ lookup: InvocationLookup, _ request: ToolRequest, _ reply: ToolReply, _ tell: @escaping (TaskReport) -> Void
    ) {
        let (server, loop, endpoint) = (self.server, self.runtime.loop, self)
        reply.wait()
        // SAFETY: both are used on this loop only, inside `post`.
        nonisolated(unsafe) let (answer, say) = (reply, tell)
        lookup.run { found in
            let task = Self.state(found, server)
            loop.post {
                switch task {
                case .success(let state): say(endpoint.report(state, request))
                case .failure(let error): answer.fail(Self.error(error))
                }
            }
        }
    }

    /// On the store thread, or where the store could not be asked.
    static func state(_ found: Result<InvocationRow, ApusError>, _ server: Server) -> Result<TaskState, ApusError> {
        do throws(ApusError) { return .success(try TaskState(try found.get(), server)) } catch {
            return .failure(error)
        }
    }

    /// Takes answers to what the task asks. What it does not ask is passed over.
    func updateTask(_ request: ToolRequest, _ reply: ToolReply) throws(RPCError) {
        let lookup = try self.task(request)
        var answers = Answers()
        try answers.add(request.envelope)
        let items = answers.all
        let approval = TaskApproval(
            server: self.server, namespace: request.place.namespace, principal: request.caller.name)
        let (server, loop) = (self.server, self.runtime.loop)
        reply.wait()
        // SAFETY: used on its loop only, inside `post`.
        nonisolated(unsafe) let answer = reply
        let done = { @Sendable (error: ApusError?) in
            loop.post { if let error { answer.fail(Self.error(error)) } else { answer.finish([]) } }
        }
        let take = { @Sendable (found: Result<InvocationRow, ApusError>) in
            approval.note(found, items) { noted in
                switch noted {
                case .failure(let error): done(error)
                case .success(let answers):
                    InvocationAnswering(server: server, lookup: lookup, answers: answers).run(found, done)
                }
            }
        }
        lookup.run { found in
            // Its questions may be known to the server that asked and not here.
            if Self.asks(found, items, server) { take(found) } else { lookup.runCaughtUp(take) }
        }
    }

    /// Whether all that is answered is asked, as far as this server knows. What is over asks nothing more, and what cannot be read now is
    /// read once more.
    private static func asks(
        _ found: Result<InvocationRow, ApusError>, _ answers: [JSONMember], _ server: Server
    ) -> Bool {
        guard case .success(let row) = found else { return true }
        if row.state.isTerminal { return true }
        guard let asked = try? row.asked(server.log) else { return false }
        return answers.allSatisfy { asked.contains($0.name) }
    }

    func cancelTask(_ request: ToolRequest, _ reply: ToolReply) throws(RPCError) {
        let lookup = try self.task(request)
        let (server, loop, principal) = (self.server, self.runtime.loop, request.caller.name)
        reply.wait()
        // SAFETY: used on its loop only, inside `post`.
        nonisolated(unsafe) let answer = reply
        let done = { @Sendable (error: ApusError?) in
            loop.post { if let error { answer.fail(Self.error(error)) } else { answer.finish([]) } }
        }
        lookup.run { found in
            switch found {
            case .failure(let error): done(error)
            case .success(let row) where row.state.isTerminal: done(nil)
            case .success(let row):
                server.invocations.cancel(row.id, principal: principal) { result in
                    switch result {
                    case .success: done(nil)
                    // Its function is gone, and with it the task is over.
                    case .failure(let error): done(error.code == .conflict ? nil : error)
                    }
                }
            }
        }
    }
}

extension ToolCall {
    /// Tells its client of the task, once the log has it and whoever asks for it finds it.
    func answerTask(_ id: InvocationID) {
        self.over()
        let lookup = InvocationLookup(
            server: self.endpoint.server, id: id, namespace: self.target.function.namespace)
        self.endpoint.look(lookup, self.request, self.reply) { report in
            self.reply.finish(report.members, type: .task)
        }
    }
}
