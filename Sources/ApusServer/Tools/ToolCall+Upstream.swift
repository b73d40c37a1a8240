internal import ApusCore
internal import ApusEngine
internal import ApusTools
internal import Synchronization

/// Tools, prompts and resources of other servers: the same call, but what runs is the function that speaks with them, and what it returns is their
/// message.
extension ToolCall {
    /// What the function is given, and who shares its worker.
    func block(for remote: Tool.Remote, _ arguments: ArraySlice<UInt8>) -> [UInt8] {
        var event = self.event
        // Upstreams learn nothing of whoever calls, but what its client can be asked.
        event.caller = ""
        event.capabilities = ""
        let wantsProgress = self.request.envelope.parameters.progressToken != nil
        let data = UpstreamMessage.request(
            self.request.method.rawValue, self.parameters(for: remote, arguments), client: self.request.capabilities,
            answers: self.answers, progress: wantsProgress ? self.invocation : nil)
        return event.block(data[...])
    }

    private func parameters(for remote: Tool.Remote, _ data: ArraySlice<UInt8>) -> [UInt8] {
        switch self.target {
        case .tool, .prompt: return UpstreamMessage.call(remote.tool, arguments: data)
        case .resource(_, let uri, _, _): return UpstreamMessage.read(uri)
        case .completion:
            let envelope = self.request.envelope
            let (argument, context) = (
                envelope.member("argument", of: envelope.parameters.all), envelope.member("context", of: envelope.parameters.all)
            )
            let isPrompt = envelope.text(envelope.member("type", of: envelope.member("ref", of: envelope.parameters.all))) == "ref/prompt"
            return UpstreamMessage.complete(
                remote.tool, isPrompt: isPrompt, argument: argument.map { envelope.bytes($0) } ?? [],
                context: context.map { envelope.bytes($0) })
        }
    }

    /// It asks: the client is asked the same, and its answers go back with the same call.
    func pass(_ question: UpstreamMessage.Question, of remote: Tool.Remote) {
        self.note(remote, .answered)
        guard (question.round.state?.utf8.count ?? 0) <= Limits.Tools.upstreamStateBytes else {
            return self.endAsking("wants more back than \(Limits.Tools.upstreamStateBytes) bytes")
        }
        guard self.answers.rounds < Limits.ToolEndpoint.rounds else {
            return self.endAsking("asked more than \(Limits.ToolEndpoint.rounds) times")
        }
        guard let requests = self.endpoint.mask(self.target.function).apply("application/json", question.requests) else {
            return self.endAsking("asks with a secret of this server's")
        }
        let questions: Questions
        do throws(ApusError) { questions = try Questions(parsing: requests) } catch {
            return self.endAsking("asks what cannot be passed on: \(error.message)")
        }
        let missing = questions.needed.subtracting(self.request.capabilities)
        guard missing.isEmpty else {
            return self.endAsking(
                "asks something that this client does not offer: \(missing.names.joined(separator: ", "))")
        }
        if self.rule != nil { self.answers.letThrough() }
        self.ask(questions, round: question.round)
    }

    private func endAsking(_ what: String) {
        self.tellLastProgress()
        self.over()
        self.tellUpstream("The tool's server \(what).")
    }

    /// - Returns: why the upstream is left alone for now.
    func refusal(by remote: Tool.Remote) -> Failure? {
        let now = self.runtime.now
        let admission = self.endpoint.registry.breakers.withLock {
            $0[remote.upstream, default: CircuitBreaker()].admit(now: now)
        }
        guard case .refused(let wait) = admission else { return nil }
        return Failure(.serverUnreachable, "it did not answer the calls before", retryAfter: wait)
    }

    /// What a call showed of the upstream.
    func note(_ remote: Tool.Remote, _ note: UpstreamNote) {
        let now = self.runtime.now
        self.endpoint.registry.breakers.withLock { breakers in
            switch note {
            case .answered: breakers[remote.upstream, default: CircuitBreaker()].succeeded()
            case .failed: breakers[remote.upstream, default: CircuitBreaker()].failed(now: now)
            case .left: breakers[remote.upstream]?.left(now: now)
            }
        }
    }

    /// The message of an upstream, as the result that it is.
    func answerUpstream(_ remote: Tool.Remote, _ said: UpstreamMessage.Answer?) {
        switch said {
        case .result(let result):
            self.note(remote, .answered)
            self.answer(result)
        case .error(let code, let message):
            self.note(remote, .answered)
            // It knows the tool no more, or in another form.
            if code == Int64(RPCError.Code.invalidParams.rawValue) { self.endpoint.server.upstreams.changed(remote.upstream) }
            self.refused(code, message)
        case .question: break
        case .other(let kind):
            self.note(remote, .answered)
            self.tellUpstream("The tool's server answered with a result of the kind '\(kind)', which is not known here.")
        case nil:
            self.note(remote, .failed)
            self.tellUpstream("The tool's server answered what is no result.")
        }
    }

    /// What is not right in it is found where a function's own would be.
    private func answer(_ result: [UInt8]) {
        switch self.target {
        case .tool: self.answer(ContentBlocks.mediaType, result)
        case .prompt: self.answer(ContentBlocks.mediaType, UpstreamMessage.messages(of: result))
        case .resource: self.answer(ContentBlocks.mediaType, UpstreamMessage.contents(of: result))
        case .completion: self.answer("application/json", UpstreamMessage.values(of: result))
        }
    }

    private func refused(_ code: Int64, _ message: String) {
        let known = [RPCError.Code.invalidParams, .legacyResourceNotFound].map { Int64($0.rawValue) }
        if case .resource(_, let uri, _, _) = self.target, known.contains(code) {
            return self.reply.fail(ToolEndpoint.resourceNotFound(uri, era: self.request.era))
        }
        self.tellUpstream("The tool's server refused the call (\(code)): \(message)")
    }

    /// Of a tool it is a result, which the model reads.
    private func tellUpstream(_ text: String, _ more: String = "") {
        // It may quote what it was sent.
        let masked = self.endpoint.mask(self.target.function).apply("text/plain", Array(text.utf8)) ?? []
        let text = String(decoding: masked, as: UTF8.self)
        if case .tool = self.target { return self.tellFailure(text, more) }
        self.reply.fail(RPCError(.internalError, text))
    }

    /// Nothing came of it.
    func answerUpstream(_ remote: Tool.Remote, _ failure: Failure) {
        switch failure.code {
        // The caller's own, or this server's.
        case .cancelled, .noSlot, .overloaded, .queueFull, .shuttingDown, .functionPaused: self.note(remote, .left)
        case .serverUnreachable: break
        case .invalidArgument: return self.tellUpstream(failure.message)
        default: self.note(remote, .failed)
        }
        let wait = max(1, ((failure.retryAfter ?? .seconds(5)).milliseconds + 999) / 1_000)
        self.tellUpstream(
            "backend unavailable, retry after \(wait) s: \(failure.message)", #","dev.apus/retryAfterMs":\#(wait * 1_000)"#)
    }
}

enum UpstreamNote { case answered, failed, left }
