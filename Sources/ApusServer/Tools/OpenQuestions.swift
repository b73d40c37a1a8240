internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusJSON
internal import ApusLoop
internal import ApusTools

/// Questions that the client of a session was asked while its call waits. Confined to the loop of the call.
final class OpenQuestions {
    private var open: [MessageID: String] = [:]
    private let session: ToolSession
    private var timer: LoopTimer?

    init(_ session: ToolSession) { self.session = session }

    func add(_ id: MessageID, _ name: String) { self.open[id] = name }

    /// - Returns: the name of the question; nil for one that is not open.
    func answered(_ id: MessageID) -> String? { self.open.removeValue(forKey: id) }

    var isEmpty: Bool { self.open.isEmpty }

    func limit(_ loop: EventLoop, _ onLate: @escaping () -> Void) {
        let timer = LoopTimer(loop, onFire: onLate)
        timer.start(milliseconds: UInt64(Limits.ToolEndpoint.questionSeconds) * 1_000)
        self.timer = timer
    }

    func close() {
        for id in self.open.keys { self.session.withdraw(id) }
        self.open = [:]
        self.timer?.close()
        self.timer = nil
    }
}

extension ToolCall {
    /// Asks the client on the stream of the call, and runs the function again once all is answered.
    func ask(_ questions: Questions, in session: ToolSession) {
        let open = OpenQuestions(session)
        self.openQuestions = open
        open.limit(self.runtime.loop) { [weak self] in
            guard let self else { return }
            guard self.gate.isOpen else { return self.approvalIsLate() }
            self.failed(Failure(.deadlineExceeded, "the client did not answer a question in time"))
        }
        let loop = self.runtime.loop
        // Between its rounds nothing else holds the call.
        // SAFETY: used on its loop only, inside `post`.
        nonisolated(unsafe) let call = self
        for question in questions.all {
            let id = session.ask { envelope in loop.post { call.answered(envelope) } }
            open.add(id, question.name)
            self.reply.notify(MessageWriter.request(id, question.method, question.params))
        }
    }

    private func answered(_ envelope: Envelope) {
        guard let open = self.openQuestions, let id = envelope.id, let name = open.answered(id) else { return }
        if let result = envelope.result, result.kind == .object {
            self.answers.add(name, Array(envelope.bytes(result)))
        } else {
            // A client that cannot or will not is one that declines.
            self.answers.add(name, Array(#"{"action":"cancel","error":true}"#.utf8))
        }
        guard open.isEmpty else { return }
        open.close()
        self.openQuestions = nil
        guard self.answers.json.count <= Limits.Tools.answersBytes else {
            return self.failed(Failure(.limitReached, "the answers of the client are too large"))
        }
        guard self.gate.isOpen else { return self.approvalAnswered() }
        self.run()
    }
}
