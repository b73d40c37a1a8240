internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusLoop
internal import ApusStore
internal import ApusTools

/// Calls that last: asynchronous invocations, which are waited for.
///
/// A caller that leaves gives up nothing: whoever comes again with the key finds the call as far as it has come.
extension ToolCall {
    /// - Parameter deadline: until when this caller waits.
    func runKept(_ key: IdempotencyKey?, until deadline: Timestamp) {
        if let id = self.keptID {
            self.reply.audit?.answered(by: id.description, nil)
            return self.follow(id, until: deadline)
        }
        let (server, loop) = (self.endpoint.server, self.runtime.loop)
        // SAFETY: used on its loop only, inside `post`.
        nonisolated(unsafe) let call = self
        server.invocations.accept(
            self.target.function, self.event.event(self.data), principal: self.request.caller.name,
            told: self.event.told + self.accepting() + self.marking, along: [], once: key?.once(now: self.runtime.now)
        ) { result in
            loop.post { call.accepted(result, until: deadline) }
        }
    }

    /// What somebody agreed to is not to be done by another revision. While its caller waits here, and only then, it may call tools.
    private func accepting() -> [Attribute] {
        guard self.acceptance != nil || self.hold != nil, case .tool(let tool) = self.target else { return [] }
        let revision = Attribute(InvocationHeader.onlyRevision, tool.revision, kind: .header)
        if let hold = self.hold {
            let text = String(decoding: hold, as: UTF8.self)
            return [revision, Attribute(InvocationHeader.hold, text, kind: .header)]
        }
        guard self.isGivenUpByLeaving else { return [revision] }
        self.endpoint.registry.waiting.add(self, as: self.event.identity)
        return [revision, Attribute(InvocationHeader.waiting, self.event.identity, kind: .header)]
    }

    private var marking: [Attribute] { self.isTask ? [Attribute(InvocationHeader.task, "1", kind: .header)] : [] }

    private func accepted(_ result: Result<AcceptedInvocation, ApusError>, until deadline: Timestamp) {
        guard !self.isOver else {
            // Who left before this was heard gives it up all the same.
            if case .success(let accepted) = result, !accepted.isRepeated, self.isGivenUpByLeaving {
                self.giveUp(accepted.id)
            }
            return
        }
        switch result {
        case .failure(let error) where error.code == .conflict && self.key != nil:
            self.over()
            self.reply.fail(.invalidParams(error.message))
        case .failure(let error): self.failed(Failure(error.code, error.message))
        case .success(let accepted):
            // An acceptance lets one call begin. With a key of its own this may well be that call, and a task that waits is the one.
            if accepted.isRepeated, self.key == nil, self.hold == nil { return self.hadBegun(as: accepted.id) }
            self.keptID = accepted.id
            if accepted.isRepeated, self.acceptance != nil { self.answers.grant() }
            if !accepted.isRepeated, self.gate.isHeld { self.noteHold(accepted.id) }
            self.reply.audit?.answered(by: accepted.id.description, accepted.isRepeated ? .repeated : nil)
            guard self.isTask, !self.asksFirst else { return self.follow(accepted.id, until: deadline) }
            self.answerTask(accepted.id)
        }
    }

    private func follow(_ id: InvocationID, until deadline: Timestamp) {
        let (server, loop) = (self.endpoint.server, self.runtime.loop)
        let watch = InvocationWatch()
        self.watch = watch
        // SAFETY: used on its loop only, inside `post`.
        nonisolated(unsafe) let call = self
        let answers = self.answers.all
        let lookup = InvocationLookup(
            server: server, id: id, namespace: self.target.function.namespace, until: deadline)
        let given = InvocationWatch()
        if answers.isEmpty { given.end() }
        lookup.follow(watch) { state in
            // Once: what is asked after that is another question.
            if case .success(let row) = state, row.state == .waiting, !given.isOver {
                given.end()
                watch.end()
                InvocationAnswering(server: server, lookup: lookup, answers: answers).run(state) { error in
                    loop.post { call.answered(error, until: deadline) }
                }
                return
            }
            let news = KeptNews(state, server.log)
            loop.post { call.heard(news) }
        }
    }

    /// Its answers are where they belong, or lost.
    private func answered(_ error: ApusError?, until deadline: Timestamp) {
        guard !self.isOver, let id = self.keptID else { return }
        if let error { return self.failed(Failure(error.code, error.message)) }
        self.answers = Answers()
        self.follow(id, until: deadline)
    }

    private func heard(_ news: KeptNews) {
        guard !self.isOver else { return }
        if self.isTask, let id = self.keptID {
            switch news {
            case .asking(let questions): return self.ask(questions)
            // It says nothing of itself yet, and may still ask.
            case .running(nil): return
            case .running, .returned, .failed, .late: return self.answerTask(id)
            }
        }
        switch news {
        case .running(let progress): if let progress { self.onProgress(progress) }
        case .asking(let questions): self.ask(questions)
        case .returned(let block): block.withUnsafeBytes { self.onResult($0) }
        case .failed(let failure): self.failed(failure)
        case .late:
            self.over()
            let address = self.keptID.map { "Read \(KeptResult.address(of: $0)) later for its result." } ?? ""
            self.tellFailure(
                "The call is not over yet, and goes on. "
                    + (self.key == nil ? address : "Call again with the same key to learn what comes of it."))
        }
    }

    /// Asks its caller: in a session at once, else with the answer, and the call comes again.
    private func ask(_ questions: Questions) {
        self.watch?.end()
        guard let id = self.keptID else { return }
        // What comes back leads to the same invocation.
        self.answers = Answers(to: id, questions)
        if let session = self.request.session { return self.ask(questions, in: session) }
        self.over()
        self.demand(questions)
    }

    /// Its client does not want it any more, and says so.
    func cancelKept() {
        guard let id = self.keptID, !self.isOver else { return }
        self.giveUp(id)
    }

    /// What comes of it is in its state; nobody waits here any more.
    private func giveUp(_ id: InvocationID) {
        self.endpoint.server.invocations.cancel(id, principal: self.request.caller.name) { _ in }
    }
}

/// What becomes of a call that lasts.
private enum KeptNews: Sendable {
    case running(ProgressPayload?)
    case asking(Questions)
    /// As its worker said it.
    case returned([UInt8])
    case failed(Failure)
    /// Its caller has waited long enough.
    case late

    /// On the store thread.
    init(_ state: Result<InvocationRow, ApusError>, _ log: any EventLog) {
        do throws(ApusError) {
            let row = try state.get()
            if let questions = try row.questions(log) {
                self = .asking(questions)
            } else {
                self = row.state.isTerminal ? .returned(try row.returned(log)) : .running(row.lastProgress)
            }
        } catch {
            self = .failed(Failure(error.code, error.message))
            // A server that stops says so, and the invocation goes on when it is back.
            if case .failure(let error) = state, error.code == .deadlineExceeded || error.code == .shuttingDown {
                self = .late
            }
        }
    }
}

extension InvocationRow {
    /// What its handler said last of how far it is.
    var lastProgress: ProgressPayload? {
        guard let parts = self.progress?.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false),
            parts.count == 3, let done = UInt64(parts[0]), let total = UInt64(parts[1])
        else { return nil }
        return ProgressPayload(done: done, total: total, message: String(parts[2]))
    }
}
