internal import ApusCore
internal import ApusEngine
internal import ApusStore
internal import ApusTools

/// How far a task has come, as the store knows it.
struct TaskState: Sendable {
    var row: InvocationRow
    /// What the function returned, as its worker said it.
    var returned: [UInt8]?
    /// What its client is asked.
    var questions: Questions?
    /// Which approval it waits for, as people read it.
    var approval: String?
    /// Why what it came to is not known any more.
    var lost: ApusError?
    /// How many calls of the function wait before it.
    var ahead = 0

    /// On the store thread.
    init(_ row: InvocationRow, _ server: Server) throws(ApusError) {
        self.row = row
        switch row.state {
        case .succeeded:
            do throws(ApusError) { self.returned = try row.returned(server.log) } catch { self.lost = error }
        case .queued:
            self.ahead = try server.projection.query { (projection) throws(ApusError) in
                try projection.invocationsAhead(
                    of: row.queued, row.namespace, row.function, limit: Limits.ToolEndpoint.callsAhead)
            }
        case .waiting:
            switch try row.waiting(server.log) {
            case .caller(let questions): self.questions = questions
            case .approval(let name): self.approval = ApprovalText.held(name, server.approvals.approval(name))
            case nil: break
            }
        case .running, .failed, .cancelled, .expired: break
        }
    }
}

extension ToolEndpoint {
    /// What a client is told of its task.
    func report(_ task: TaskState, _ request: ToolRequest) -> TaskReport {
        let row = task.row
        let kept = min(TimeSpan.seconds(Limits.Tools.taskSeconds), self.server.configuration.retention.invocations)
        var report = TaskReport(
            id: self.registry.tasks.name(row.id, of: request.caller.name, in: request.place.namespace), state: .working,
            created: row.queued, updated: row.updated, kept: kept)
        switch row.state {
        case .queued:
            if task.ahead > 0 { report.message = "\(task.ahead) calls wait before it" }
        case .waiting:
            report.message = task.approval
            if let questions = task.questions { report.state = .inputRequired(questions.inputRequests) }
        case .running: report.message = row.lastProgress?.message
        case .succeeded: report.state = self.outcome(task, request)
        case .failed:
            let failure = Failure(row.failure.code, row.failure.message)
            let text = ToolResultForm.text(of: failure, self.tool(row, request)?.annotations)
            report.state =
                failure.code.isOfTool
                ? .completed(self.result(ToolCall.refusal(text), row.id)) : .failed(RPCError(.internalError, text))
        case .expired: report.state = .failed(RPCError(.internalError, row.failure.message))
        case .cancelled: report.state = .cancelled
        }
        return report
    }

    private func outcome(_ task: TaskState, _ request: ToolRequest) -> TaskReport.State {
        guard let block = task.returned, let event = try? EventBlock.decode(block.span.bytes) else {
            return .failed(RPCError(.internalError, task.lost?.message ?? "the task's result cannot be read"))
        }
        let id = task.row.id
        let form = ToolResultForm(endpoint: self, tool: self.tool(task.row, request), era: .modern, invocation: id.description) { _, _ in
            KeptResult.address(of: id)
        }
        let type = event["datacontenttype"]
        guard let function = ResourceName(request.place.namespace, task.row.function), let data = event.data else {
            return .completed(self.result(form.members(type, event.data), id))
        }
        guard let masked = self.mask(function).apply(type, data) else {
            return .completed(self.result(ToolCall.refusal(ResultMask.refusal), id))
        }
        return .completed(self.result(form.members(type, masked), id))
    }

    private func tool(_ row: InvocationRow, _ request: ToolRequest) -> Tool? {
        ResourceName(request.place.namespace, row.function).flatMap {
            self.catalog(request.place.namespace).tool(of: $0)
        }
    }

    /// The result of the call, as its answer would have been.
    private func result(_ members: [UInt8], _ id: InvocationID) -> [UInt8] {
        Array(#"{"resultType":"complete","#.utf8) + members
            + Array(#","_meta":{"dev.apus/invocation":"\#(id)"}}"#.utf8)
    }
}

extension ErrorCode {
    /// The tool did it, or what it was called with; the rest is the server's.
    var isOfTool: Bool {
        switch self {
        case .functionFailed, .functionRejected, .deadlineExceeded, .resultTooLarge, .emitRefused, .eventTooLarge,
            .notYetSupported, .invalidEvent, .invalidJSON, .hopsExceeded, .limitReached:
            true
        default: false
        }
    }
}
