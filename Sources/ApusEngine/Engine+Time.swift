public import ApusCore

/// Time, and the end.
extension Engine {
    /// When ``advance(to:)`` may have something to do; nil when never. It may be early, never late.
    public var nextDue: Timestamp? {
        var due = self.timers.first?.due
        if let request = self.requests.nextDeadline { due = min(due ?? request.moment, request.moment) }
        let cancelled = self.inFlight.cancelled.first
        if cancelled != InFlight.none {
            due = min(due ?? self.inFlight[cancelled].deadline, self.inFlight[cancelled].deadline)
        }
        return due == .distantFuture ? nil : due
    }

    public mutating func advance(to now: Timestamp) {
        self.killOverdue(now: now)
        self.expireRequests(now: now)
        while let timer = self.timers.first, timer.due <= now {
            self.timers.popFirst()
            self.fire(timer, now: now)
        }
    }

    /// Workers that did not answer a cancelled attempt within its grace.
    private mutating func killOverdue(now: Timestamp) {
        var slot = self.inFlight.cancelled.first
        while slot != InFlight.none, self.inFlight[slot].deadline <= now {
            self.kill(self.inFlight[slot].worker, .deadline, now: now)
            // The attempt ends with the worker's exit; until then it is not looked at again.
            self.inFlight.forgetGrace(slot)
            slot = self.inFlight.cancelled.first
        }
    }

    private mutating func fire(_ timer: EngineTimer, now: Timestamp) {
        switch timer.kind {
        case .deadlines, .batch, .idle, .pool, .tableFetch:
            guard self.functions[Int(timer.index)].generation == timer.generation else { return }
            self.fire(timer, function: timer.index, now: now)
        case .retry:
            guard self.lanes[Int(timer.index)].generation == timer.generation else { return }
            self.retryDue(timer.index, timer.detail, now: now)
        case .fetch:
            guard self.lanes[Int(timer.index)].generation == timer.generation else { return }
            if self.lanes[Int(timer.index)].fetch == .resting { self.lanes[Int(timer.index)].fetch = .idle }
            self.considerFetch(timer.index)
        case .pace: self.paceDue(timer, now: now)
        case .startTimeout:
            guard self.workers[Int(timer.index)].generation == timer.generation else { return }
            self.startTimedOut(timer.index, now: now)
        case .stopTimeout:
            guard self.workers[Int(timer.index)].generation == timer.generation else { return }
            self.kill(timer.index, .stopTimedOut, now: now)
        case .lazySettle: self.settleLazy()
        case .ledgerRetry: self.ledgerRested(Int(timer.index))
        }
    }

    private mutating func fire(_ timer: EngineTimer, function: Int32, now: Timestamp) {
        switch timer.kind {
        case .deadlines:
            self.clear(timer, function)
            self.expireAttempts(function, now: now)
            self.watchDeadlines(function)
        case .batch:
            self.clear(timer, function)
        case .idle:
            self.clear(timer, function)
            self.stopIdle(function, now: now)
        case .pool:
            self.clear(timer, function)
        case .tableFetch:
            self.tableFetchRested(function, table: timer.detail, now: now)
        default:
            return
        }
        self.schedule(function, now: now)
    }

    private mutating func clear(_ timer: EngineTimer, _ function: Int32) {
        if self.functions[Int(function)].timers[timer.kind] <= timer.due {
            self.functions[Int(function)].timers[timer.kind] = .distantFuture
        }
    }

    private mutating func retryDue(_ lane: Int32, _ slot: Int32, now: Timestamp) {
        // What was cancelled left its timer behind; its entry may be another's by now, or gone.
        guard self.lanes[Int(lane)].ledger.isWaiting(slot, until: now) else { return }
        self.makeRunnable(lane, slot, now: now)
        self.schedule(self.lanes[Int(lane)].function, now: now)
    }

    /// Nothing new is dispatched or started; what runs may finish. Waiting requests fail.
    public mutating func drain(now: Timestamp) {
        guard !self.isDraining else { return }
        self.isDraining = true
        self.settleLazy()
        for function in self.functions.indices where !self.functions[function].isRemoved {
            self.failWaiting(Int32(function), Self.drainFailure)
        }
    }
}
