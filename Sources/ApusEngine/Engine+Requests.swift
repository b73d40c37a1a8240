public import ApusCore

/// Direct invocations.
extension Engine {
    /// Queues a direct invocation; it is answered by ``Verdict/answer(_:)`` or `.fail`, once.
    /// - Parameter owner: who asks, where each principal has workers of its own; 0 is nobody.
    public mutating func invoke(
        _ request: RequestID, function: FunctionID, bytes: Int, deadline: Timestamp?, owner: UInt64 = 0, now: Timestamp
    ) {
        guard self.requests.find(request) == nil else { return }
        guard let slot = self.slot(of: function) else {
            self.actions.append(.fail(request, Failure(.functionNotFound, "the function does not exist here")))
            return
        }
        if let refusal = self.refusal(slot, bytes: bytes, deadline: deadline, now: now) {
            self.actions.append(.fail(request, refusal))
            return
        }
        var waiting = Requests.Request()
        waiting.id = request
        waiting.function = slot
        waiting.bytes = Int32(clamping: bytes)
        waiting.deadline = deadline ?? now + Limits.Engine.requestWait
        waiting.owner = owner
        waiting.tableMark = self.functions[Int(slot)].tables?.mark ?? 0
        let request = self.requests.enqueue(waiting, queue: &self.functions[Int(slot)].queue)
        self.requestWaits(request, now: now)
        guard !self.functions[Int(slot)].plan.isPaused else { return }
        self.schedule(slot, now: now)
        self.tellWait(request, of: slot, now: now)
    }

    /// A caller that waits for a start hears how long that may take.
    private mutating func tellWait(_ request: Int32, of function: Int32, now: Timestamp) {
        guard self.requests[request].state == .waiting, self.functions[Int(function)].pool.ready == 0 else { return }
        let wait = self.waitEstimate(function, now: now)
        if wait >= Limits.Engine.toldWait { self.actions.append(.waits(self.requests[request].id, wait)) }
    }

    /// One more waits in its function's queue.
    mutating func requestWaits(_ request: Int32, now: Timestamp) {
        let function = Int(self.requests[request].function)
        guard !self.functions[function].plan.isPaused else { return }
        if self.functions[function].queue.count == 1 {
            self.functions[function].ring.append(FunctionState.requestSource)
        }
        self.functions[function].ready += 1
        self.functions[function].times.came(1, now: now)
        self.functions[function].gatherer?.add(bytes: Int(self.requests[request].bytes), now: now)
    }

    private func refusal(_ function: Int32, bytes: Int, deadline: Timestamp?, now: Timestamp) -> Failure? {
        let state = self.functions[Int(function)]
        if self.isDraining {
            return Failure(.shuttingDown, "the server is stopping; send the invocation again when it is back")
        }
        if let deadline, deadline <= now {
            return Failure(.deadlineExceeded, "the invocation's deadline had passed when it arrived")
        }
        if state.queue.count >= self.configuration.waitingRequestsPerFunction {
            return Failure(
                .overloaded, "\(state.queue.count) invocations wait for this function already; try again later",
                retryAfter: self.waitEstimate(function, now: now))
        }
        if state.queue.count > 0, state.queue.bytes + bytes > self.configuration.waitingBytesPerFunction {
            return Failure(
                .overloaded,
                "invocations of \(state.queue.bytes) bytes wait for this function already; try again later",
                retryAfter: self.waitEstimate(function, now: now))
        }
        if state.pool.isRefusing(now: now), var failure = state.pool.lastFailure {
            failure.retryAfter = state.pool.blockedUntil - now
            return failure
        }
        return nil
    }

    /// The caller left: cancel its attempt or forget it. A running attempt keeps its credit until the worker answers.
    public mutating func abandon(_ request: RequestID, now: Timestamp) {
        guard let slot = self.requests.find(request) else { return }
        let attempt = self.requests[slot].attempt
        let isRunning = self.requests[slot].state == .running
        self.endRequest(slot)
        guard isRunning, attempt != InFlight.none else { return }
        self.inFlight.abandon(attempt)
        self.actions.append(.cancel(self.workerID(self.inFlight[attempt].worker), self.inFlight.stream(attempt)))
    }

    /// Takes a request out, waiting or running.
    mutating func endRequest(_ slot: Int32) {
        let request = self.requests[slot]
        let function = Int(request.function)
        self.requests.end(slot, queue: &self.functions[function].queue)
        guard request.state == .waiting, !self.functions[function].plan.isPaused else { return }
        self.functions[function].ready -= 1
        self.functions[function].gatherer?.remove(bytes: Int(request.bytes))
        if self.functions[function].queue.count == 0 {
            self.functions[function].ring.remove(FunctionState.requestSource)
        }
    }

    /// Fails everyone who waits for this function.
    mutating func failWaiting(_ function: Int32, _ failure: Failure) {
        while self.functions[Int(function)].queue.first != Requests.none {
            let slot = self.functions[Int(function)].queue.first
            self.actions.append(.fail(self.requests[slot].id, failure))
            self.endRequest(slot)
        }
    }

    /// Requests past their deadline: waiting ones go, running ones are cancelled.
    mutating func expireRequests(now: Timestamp) {
        while let next = self.requests.nextDeadline, next.moment <= now {
            let request = self.requests[next.slot]
            if request.state == .running, request.attempt != InFlight.none {
                self.expireAttempt(request.attempt, now: now)
            } else {
                let failure = Failure(.deadlineExceeded, "no worker was free before the invocation's deadline")
                self.actions.append(.fail(request.id, failure))
                self.endRequest(next.slot)
            }
        }
    }
}
