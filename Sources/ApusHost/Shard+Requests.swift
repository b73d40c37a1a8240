public import ApusCore
public import ApusEngine
internal import ApusLoop

/// A direct invocation until it is answered.
struct PendingRequest {
    var function: FunctionID
    var block: [UInt8]
    var invocation: InvocationID
    var sink: any ResponseSink
    var arrivedAt: Timestamp
    /// What its caller has answered to questions of an earlier attempt, JSON; empty for nothing.
    var answers: [UInt8]
}

extension Shard {
    /// Runs a function for a caller that waits.
    /// - Parameters:
    ///   - block: the event, an ``EventBlock`` that its maker has checked.
    ///   - deadline: nil leaves the function's own timeout.
    ///   - answers: to questions that an earlier attempt asked, JSON; at most a frame.
    ///   - sink: gets the answer on this loop, never before this method has returned.
    /// - Returns: what ``abandon(_:)`` takes.
    public func invoke(
        _ function: FunctionID, block: [UInt8], invocation: InvocationID, deadline: Timestamp?,
        answers: [UInt8] = [], owner: UInt64 = 0, sink: any ResponseSink
    ) -> RequestID {
        precondition(answers.count <= FrameHeader.payloadBytesMax, "answers fit a frame")
        let request = RequestID(rawValue: self.nextRequest)
        self.nextRequest += 1
        self.statistics.requests += 1
        let now = self.now
        self.requests[request] = PendingRequest(
            function: function, block: block, invocation: invocation, sink: sink, arrivedAt: now,
            answers: answers)
        if self.functions[function] == nil {
            let failure = Failure(.functionNotFound, "the function is not deployed here")
            self.loop.post { [weak self] in self?.requests.removeValue(forKey: request)?.sink.onFailure(failure) }
        } else {
            self.engine.invoke(request, function: function, bytes: block.count, deadline: deadline, owner: owner, now: now)
            self.requestTurn()
        }
        return request
    }

    /// The caller has left: its attempt is cancelled, and its sink hears nothing more. Harmless when it was answered.
    public func abandon(_ request: RequestID) {
        guard let pending = self.requests.removeValue(forKey: request) else { return }
        let now = self.now
        self.noteUnanswered(request, pending, Failure(.cancelled, "the caller left"), .cancelled, now: now)
        self.engine.abandon(request, now: now)
        self.requestTurn()
    }

    func invocation(of work: Work) -> InvocationID {
        guard case .request(let id) = work, let request = self.requests[id] else {
            return InvocationID(high: 0, low: 0)
        }
        return request.invocation
    }

    /// Answers with a whole result; what was emitted is durable first.
    func answer(
        _ request: RequestID, _ block: UnsafeRawBufferPointer, emits: [LogBatch.Append], _ timing: AttemptTiming
    ) {
        guard let pending = self.requests.removeValue(forKey: request) else { return }
        var timing = timing
        guard !emits.isEmpty else {
            timing.committing = .zero
            pending.sink.onTiming(timing)
            return pending.sink.onResult(block)
        }
        let copy = Array(block)
        let submitted = self.now
        self.emit(emits) { failure in
            timing.committing = self.now - submitted
            pending.sink.onTiming(timing)
            if let failure { return pending.sink.onFailure(failure) }
            copy.withUnsafeBytes { pending.sink.onResult($0) }
        }
    }

    func answerEnd(_ request: RequestID, emits: [LogBatch.Append]) {
        guard let pending = self.requests.removeValue(forKey: request) else { return }
        guard !emits.isEmpty else { return pending.sink.onEnd() }
        self.emit(emits) { failure in
            if let failure { pending.sink.onFailure(failure) } else { pending.sink.onEnd() }
        }
    }

    /// Events that a direct invocation emitted are a write of their own: their caller waits for it and hears when it
    /// fails.
    private func emit(_ emits: [LogBatch.Append], _ completion: @escaping (Failure?) -> Void) {
        self.statistics.emitted += UInt64(emits.count)
        let completion = LoopOnly(completion)
        self.log.submit(LogBatch(urgency: .producer, appends: emits)) { [loop = self.loop] result in
            loop.post {
                switch result {
                case .success: completion.value(nil)
                case .failure(let error):
                    completion.value(
                        Failure(error.code, "the function ran, but its events could not be written: \(error.message)"))
                }
            }
        }
    }
}

/// Something that goes through another thread's hands and is used on the loop's only.
struct LoopOnly<Value>: @unchecked Sendable {
    // SAFETY: made on the loop's thread, and unwrapped only in what is posted back to it.
    let value: Value
    init(_ value: Value) { self.value = value }
}
