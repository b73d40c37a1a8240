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
        if let id = self.keptID { return self.follow(id, until: deadline) }
        let (server, loop) = (self.endpoint.server, self.runtime.loop)
        // SAFETY: used on its loop only, inside `post`.
        nonisolated(unsafe) let call = self
        server.invocations.accept(
            self.target.function, self.event.event(self.data), principal: self.request.caller.name,
            told: self.event.told, along: [], once: key?.once(now: self.runtime.now)
        ) { result in
            loop.post { call.accepted(result, until: deadline) }
        }
    }

    private func accepted(_ result: Result<AcceptedInvocation, ApusError>, until deadline: Timestamp) {
        guard !self.isOver else { return }
        switch result {
        case .failure(let error) where error.code == .conflict && self.key != nil:
            self.over()
            self.reply.fail(.invalidParams(error.message))
        case .failure(let error): self.failed(Failure(error.code, error.message))
        case .success(let accepted):
            self.keptID = accepted.id
            self.reply.audit?.answered(by: accepted.id.description, accepted.isRepeated ? .repeated : nil)
            if self.isTask { self.answerTask(accepted.id) } else { self.follow(accepted.id, until: deadline) }
        }
    }

    private func follow(_ id: InvocationID, until deadline: Timestamp) {
        let (server, loop) = (self.endpoint.server, self.runtime.loop)
        let watch = InvocationWatch()
        self.watch = watch
        // SAFETY: used on its loop only, inside `post`.
        nonisolated(unsafe) let call = self
        let answers = self.answers.all.map { InvocationQuestions.Item(name: $0.name, json: $0.json) }
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
        switch news {
        case .running(let progress): if let progress { self.onProgress(progress) }
        case .asking(let questions): self.ask(questions)
        case .returned(let block): block.withUnsafeBytes { self.onResult($0) }
        case .failed(let failure): self.failed(failure)
        case .late:
            self.over()
            self.tellFailure(
                "The call is not over yet, and goes on. "
                    + (self.key == nil ? "" : "Call again with the same key to learn what comes of it."))
        }
    }

    /// Asks its caller: in a session at once, else with the answer, and the call comes again.
    private func ask(_ questions: Questions) {
        self.watch?.end()
        if let session = self.request.session { return self.ask(questions, in: session) }
        self.over()
        self.reply.finish(Array(#""inputRequests":"#.utf8) + questions.inputRequests, type: .inputRequired)
    }

    /// Its client does not want it any more, and says so.
    func cancelKept() {
        guard let id = self.keptID, !self.isOver else { return }
        // What comes of it is in its state; nobody waits here any more.
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
            if case .failure(let error) = state, error.code == .deadlineExceeded { self = .late }
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
