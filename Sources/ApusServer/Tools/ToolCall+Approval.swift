internal import ApusCore
internal import ApusCrypto
internal import ApusHTTP
internal import ApusHost
internal import ApusJSON
internal import ApusLoop
internal import ApusStore
internal import ApusTools

/// What happens before a call begins that needs an approval: performs what ``ApprovalGate`` says.
extension ToolCall {
    /// Its arguments are right, and nothing has begun.
    func seekApproval() {
        if case .begun(let id) = self.answers.mark { self.keptID = id }
        guard self.rule != nil else { return self.perform(self.gate.begin(nil, canAsk: false)) }
        // An acceptance is not to be used up by what cannot run anyway.
        guard self.runnable() != nil else { return }
        let answer = self.answers.takeApproval()
        self.perform(
            self.gate.begin(
                self.rule, canAsk: self.request.capabilities.contains(.elicitationForm), asTask: self.waitsAsTask,
                mark: self.answers.mark, answer: answer))
    }

    private func perform(_ action: ApprovalGate.Action) {
        guard !self.isOver else { return }
        switch action {
        case .begin:
            // What an approval that is kept let begin is known since it was claimed.
            if self.acceptance == nil, case .asked(let name) = self.answers.mark { self.acceptance = self.key(of: name) }
            self.run()
        case .hold: self.runHeld()
        case .ask: self.askForApproval()
        case .take(let name, let answer): self.take(name, answer)
        case .claim: self.claim()
        case .refuse(let refusal): self.refuse(refusal, nil)
        }
    }

    private func key(of acceptance: [UInt8]) -> IdempotencyKey {
        let kept = TimeSpan.seconds(Limits.Tools.questionSeconds + Limits.ToolEndpoint.stateGraceSeconds)
        let caller = "\(self.request.place.namespace)#\(self.request.caller.name)"
        return IdempotencyKey(acceptance: acceptance, principal: caller, kept: kept)
    }

    /// What let it begin had let another call begin: once is once.
    func hadBegun(as id: InvocationID) {
        let action = self.gate.hadBegun()
        guard action == .refuse(.used) else { return self.perform(action) }
        self.over()
        self.reply.fail(
            .invalidParams(
                "`requestState` was used before: an acceptance lets one call begin. That one is the invocation \(id); "
                    + "read \(KeptResult.address(of: id)) for its result, or begin anew",
                data: Array(#"{"invocation":"\#(id)"}"#.utf8)))
    }

    private var approvals: Approvals { self.endpoint.server.approvals }

    // MARK: a task that waits

    /// - Note: ``hold`` is there where somebody else is to decide.
    private func runHeld() {
        if self.hold == nil {
            guard case .tool(let tool) = self.target, let shown = ShownArguments(self.data, schema: tool.inputSchema)
            else { return self.refuse(.cancelled, nil) }
            let question = ApprovalQuestion.question(tool.name, shown.text)
            self.hold = Questions(question, needed: .elicitationForm).inputRequests
        }
        self.run()
    }

    /// Its caller's person is asked; what somebody else decides about has a record of its own.
    func noteHold(_ id: InvocationID) {
        guard case .tool(let tool) = self.target, self.acceptance == nil else { return }
        self.approvals.note(
            .requested,
            AuditEntry(
                .approval, .refused, namespace: self.request.place.namespace, principal: self.request.caller.name,
                subject: tool.name.text, digest: tool.digest, revision: tool.revision,
                arguments: Hex.encode(SHA256.hash(Array(self.data))), invocation: id.description,
                approval: id.description)) { _ in }
    }

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

    private func take(_ name: [UInt8], _ answer: ApprovalAnswer) {
        let approvals = self.approvals
        // Of a call of another server nobody would know whether it was sent already.
        let lasts = self.target.remote == nil
        self.inLoop(of: { completion in approvals.take(name, answer) { completion($0) } }) { call, result in
            let taken = result.map { $0 == .again && !lasts ? .other : $0 }
            let action = call.gate.took(taken)
            // Said again it is not kept again, and where nobody was asked nothing is.
            guard case .asked = call.answers.mark, case .success(.first) = taken else { return call.perform(action) }
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
            binding: CallBinding.digest(self.request.caller.name, tool, shown, key: self.key?.name),
            argumentsDigest: Hex.encode(SHA256.hash(Array(self.data))), arguments: shown.text)
        let approvals = self.approvals
        // At first: this may be the call that an acceptance was used up for, by a server that ended before it began.
        let mayBeLost = self.acceptance == nil && self.target.remote == nil
        self.inLoop(of: { completion in
            approvals.claim(request, mayBeLost: mayBeLost) { completion(Claimed(claim: $0, approval: $1)) }
        }) { call, claimed in
            if let id = claimed.approval?.id {
                call.reply.audit?.concerns(approval: id.description)
                call.acceptance = call.key(of: Array(id.description.utf8))
            }
            let action = call.gate.claimed(claimed.claim)
            if action == .hold, let id = claimed.approval?.id {
                call.hold = InvocationHold.json(approval: id.description)
            }
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
