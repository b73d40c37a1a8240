internal import ApusCore
internal import ApusCrypto
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop
internal import ApusStore
internal import ApusTools

/// What happens before a call begins that needs an approval: performs what ``ApprovalGate`` says.
extension ToolCall {
    /// Its arguments are right, and nothing has begun.
    func seekApproval() {
        guard self.rule != nil else { return self.perform(self.gate.begin(nil, canAsk: false)) }
        // An acceptance is not to be used up by what cannot run anyway.
        guard self.runnable() != nil else { return }
        let answer = self.answers.takeApproval()
        self.perform(
            self.gate.begin(
                self.rule, canAsk: self.request.capabilities.contains(.elicitationForm), mark: self.answers.mark,
                answer: answer))
    }

    private func perform(_ action: ApprovalGate.Action) {
        guard !self.isOver else { return }
        switch action {
        case .begin:
            if self.rule != nil { self.answers.approve() }
            self.run()
        case .ask: self.askForApproval()
        case .take(let mark): self.take(mark)
        case .claim: self.claim()
        case .refuse(let refusal): self.refuse(refusal, nil)
        }
    }

    private var approvals: Approvals { self.endpoint.server.approvals }

    // MARK: the person at the client

    private func askForApproval() {
        guard case .tool(let tool) = self.target, let shown = ShownArguments(self.data, schema: tool.inputSchema) else {
            return self.refuse(.cancelled, nil)
        }
        guard self.answers.rounds < Limits.ToolEndpoint.rounds else { return self.refuse(.cancelled, nil) }
        self.answers.askApproval()
        self.note(.requested) { _ in }
        let questions = Questions(ApprovalQuestion.question(tool.name, shown.text), needed: .elicitationForm)
        if let session = self.request.session { return self.ask(questions, in: session) }
        self.over()
        self.demand(questions)
    }

    /// The client of a session has answered.
    func approvalAnswered() {
        let answer = self.answers.takeApproval() ?? .cancelled
        let action = self.gate.answered(answer)
        self.noteThen(answer) { self.perform(action) }
    }

    /// Nobody answered for too long, and nothing has begun.
    func approvalIsLate() { self.perform(self.gate.answered(.cancelled)) }

    private func take(_ mark: ApprovalMark) {
        let isAnswer = if case .asked = mark { true } else { false }
        let approvals = self.approvals
        self.inLoop(of: { completion in approvals.take(mark) { completion($0) } }) { call, result in
            let action = call.gate.took(result)
            guard isAnswer, case .success(true) = result else { return call.perform(action) }
            call.noteThen(action == .begin ? .accepted : .declined) { call.perform(action) }
        }
    }

    /// What a person said is kept before anything comes of it.
    private func noteThen(_ answer: ApprovalAnswer, _ body: @escaping () -> Void) {
        // SAFETY: called on the loop of the call only.
        nonisolated(unsafe) let body = body
        self.inLoop(of: { completion in
            self.note(answer == .accepted ? .accepted : .declined) { completion($0) }
        }) { call, result in
            if case .failure(let error) = result { return call.refuse(.failed(error.code, error.message), nil) }
            body()
        }
    }

    private func note(
        _ event: Approvals.Event, _ completion: @escaping @Sendable (Result<Void, ApusError>) -> Void
    ) {
        guard case .tool(let tool) = self.target else { return completion(.success(())) }
        let name = Hex.encode(self.answers.mark.name)
        self.reply.audit?.concerns(approval: name)
        self.approvals.note(
            event,
            AuditEntry(
                .approval, .refused, namespace: self.request.place.namespace, principal: self.request.caller.name,
                subject: tool.name.text, digest: tool.digest, revision: tool.revision,
                arguments: Hex.encode(SHA256.hash(Array(self.data))), invocation: self.invocation, approval: name),
            completion)
    }

    // MARK: somebody else

    private func claim() {
        guard case .tool(let tool) = self.target, let rule = self.rule,
            let shown = ShownArguments(self.data, schema: tool.inputSchema)
        else { return self.refuse(.cancelled, nil) }
        let request = ApprovalRequest(
            principal: self.request.caller.name, function: tool.function, tool: tool.name.text,
            revision: tool.revision, version: tool.version, digest: tool.digest, by: rule.by,
            binding: CallBinding.digest(self.request.caller.name, tool, shown),
            argumentsDigest: Hex.encode(SHA256.hash(Array(self.data))), arguments: shown.text)
        let approvals = self.approvals
        self.inLoop(of: { completion in approvals.claim(request) { completion(Claimed(claim: $0, approval: $1)) } }) {
            call, claimed in
            if let id = claimed.approval?.id { call.reply.audit?.concerns(approval: id.description) }
            let action = call.gate.claimed(claimed.claim)
            if case .refuse(let refusal) = action { return call.refuse(refusal, claimed.approval) }
            call.perform(action)
        }
    }

    private struct Claimed: Sendable {
        var claim: ApprovalGate.Claim
        var approval: Approval?
    }

    /// Goes on here, on the loop of the call, with what something elsewhere comes to.
    private func inLoop<Value: Sendable>(
        of begin: (@escaping @Sendable (Value) -> Void) -> Void, _ body: @escaping (ToolCall, Value) -> Void
    ) {
        let loop = self.runtime.loop
        // SAFETY: both are used on that loop only, inside `post`.
        nonisolated(unsafe) let (call, body) = (self, body)
        begin { value in
            loop.post {
                guard !call.isOver else { return }
                body(call, value)
            }
        }
    }

    // MARK: what the caller is told

    private func refuse(_ refusal: ApprovalGate.Refusal, _ approval: Approval?) {
        guard !self.isOver else { return }
        self.over()
        if case .used = refusal {
            return self.reply.fail(
                .invalidParams("`requestState` was used before: an acceptance lets one call begin; begin anew"))
        }
        self.reply.refuse(
            ApprovalText.refusal(refusal, approval), code: ApprovalText.code(refusal), meta: ApprovalText.meta(approval))
    }
}
