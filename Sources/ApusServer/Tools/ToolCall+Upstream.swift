internal import ApusCore
internal import ApusEngine
internal import ApusTools
internal import Synchronization

/// Tools of other servers: the same call, but what runs is the function that speaks with them, and what it returns is their message.
extension ToolCall {
    /// What the function is given, and who shares its worker.
    func block(for remote: Tool.Remote, _ arguments: ArraySlice<UInt8>) -> [UInt8] {
        var event = self.event
        // Upstreams learn nothing of whoever calls.
        event.caller = ""
        event.capabilities = ""
        let wantsProgress = self.request.envelope.parameters.progressToken != nil
        let data = UpstreamMessage.call(
            remote.tool, arguments: arguments, progress: wantsProgress ? self.invocation : nil)
        return event.block(data[...])
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
    func answerUpstream(_ tool: Tool, _ remote: Tool.Remote, _ data: [UInt8]) {
        switch UpstreamMessage.answer(data) {
        case .result(let result):
            self.note(remote, .answered)
            self.answer(tool, ContentBlocks.mediaType, result)
        case .error(let code, let message):
            self.note(remote, .answered)
            // It knows the tool no more, or in another form.
            if code == Int64(RPCError.Code.invalidParams.rawValue) { self.endpoint.server.upstreams.changed(remote.upstream) }
            self.tellFailure("The tool's server refused the call (\(code)): \(message)")
        case .question:
            self.note(remote, .answered)
            self.tellFailure("The tool's server asks something of its caller, which cannot be passed on.")
        case nil:
            self.note(remote, .failed)
            self.tellFailure("The tool's server answered what is no result.")
        }
    }

    /// Nothing came of it.
    func answerUpstream(_ tool: Tool, _ remote: Tool.Remote, _ failure: Failure) {
        switch failure.code {
        // The caller's own, or this server's.
        case .cancelled, .noSlot, .overloaded, .queueFull, .shuttingDown, .functionPaused: self.note(remote, .left)
        case .serverUnreachable: break
        case .invalidArgument: return self.tellFailure(failure.message)
        default: self.note(remote, .failed)
        }
        let wait = max(1, ((failure.retryAfter ?? .seconds(5)).milliseconds + 999) / 1_000)
        self.tellFailure(
            "backend unavailable, retry after \(wait) s: \(failure.message)", #","dev.apus/retryAfterMs":\#(wait * 1_000)"#)
    }
}

enum UpstreamNote { case answered, failed, left }
