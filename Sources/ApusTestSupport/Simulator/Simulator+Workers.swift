internal import ApusCore
internal import ApusEngine

/// Simulated workers: they start, answer, fail, crash, hang and leave.
extension Simulator {
    func start(_ worker: WorkerID, _ function: FunctionID, _ generation: UInt64) throws(SimulationFailure) {
        let place = Int(function.rawValue) - 1
        let plan = self.setup.plans[place]
        let alive = self.workers.values.count { $0.function == place }
        guard alive < plan.scale.max else {
            throw self.failure("worker \(alive + 1) of \(function) starts; at most \(plan.scale.max) may")
        }
        guard generation == plan.generation else { throw self.failure("a worker of an old revision starts") }
        guard !plan.isPaused else { throw self.failure("a worker of a paused function starts") }
        self.workers[worker] = SimulatedWorker(
            function: place, generation: generation, concurrency: plan.concurrency, isBatched: plan.batch != nil,
            isOneShot: plan.reuse == .never
        )
        if self.random.chance(self.rates.startHangs) { return }
        let span = self.random.span(milliseconds: 1...200)
        self.schedule(self.random.chance(self.rates.startFails) ? .startFails(worker) : .ready(worker), after: span)
    }

    func workerReady(_ worker: WorkerID) {
        guard let known = self.workers[worker], !known.isKilled else { return }
        self.workers[worker]?.isReady = true
        self.engine.workerReady(worker, now: self.now)
        // Some claim more than they may have.
        self.engine.credit(worker, known.concurrency + self.random.pick([0, 0, 5]), now: self.now)
    }

    func stop(_ worker: WorkerID) throws(SimulationFailure) {
        guard let known = self.workers[worker], !known.isStopping else {
            throw self.failure("\(worker) was told to stop for nothing")
        }
        let running = known.attempts.contains { self.isWork($0) }
        guard !running else { throw self.failure("\(worker) was told to stop while it runs something") }
        self.workers[worker]?.isStopping = true
        if self.random.chance(self.rates.stopHangs) { return }
        self.schedule(.exit(worker), after: self.random.span(milliseconds: 0...100))
    }

    private func isWork(_ stream: UInt64) -> Bool {
        if case .tableRecord = self.attempts[stream]?.work { return false }
        return true
    }

    func kill(_ worker: WorkerID) throws(SimulationFailure) {
        guard let known = self.workers[worker], !known.isKilled else {
            throw self.failure("\(worker) was killed twice or after its exit")
        }
        self.report.kills += 1
        self.workers[worker]?.isKilled = true
        self.schedule(.exit(worker), after: self.random.span(milliseconds: 0...20))
    }

    func cancel(_ worker: WorkerID, _ stream: StreamID) throws(SimulationFailure) {
        if self.refused.contains(stream.rawValue) { return }
        guard let attempt = self.attempts[stream.rawValue], attempt.worker == worker else {
            throw self.failure("an attempt was cancelled that does not run")
        }
        self.attempts[stream.rawValue]?.isCancelled = true
        if self.random.chance(0.5) {
            let outcome = AttemptOutcome.failed(Failure(.cancelled, "cancelled"), retryAfter: nil)
            self.schedule(.answer(stream, outcome, .event), after: self.random.span(milliseconds: 0...100))
        }
    }

    /// A process ends. Its attempts have failed, once each.
    func workerGone(_ worker: WorkerID, isStart: Bool) throws(SimulationFailure) {
        guard let known = self.workers.removeValue(forKey: worker) else { return }
        if !known.isStopping && !known.isKilled && !isStart { self.report.crashes += 1 }
        for stream in known.attempts {
            guard let attempt = self.attempts.removeValue(forKey: stream) else { continue }
            if case .delivery(let delivery) = attempt.work { self.attemptFailed(delivery, attempt, .batch) }
        }
        if isStart {
            self.engine.startFailed(worker, Failure(.startFailed, "no start"), now: self.now)
        } else {
            self.engine.workerExited(worker, Failure(.workerCrashed, "gone"), now: self.now)
        }
    }

    /// One that failed with others is not blamed: it runs in a smaller batch.
    private func attemptFailed(_ delivery: Delivery, _ attempt: SimulatedAttempt, _ blame: Blame) {
        let lane = self.lane(delivery.trigger, delivery.partition)
        self.report.failedAttempts += 1
        self.lanes[lane][delivery.offset].running = nil
        let size = attempt.batch.flatMap { self.batchSizes[$0] } ?? 1
        if blame == .batch, size > 1, !self.lanes[lane].cancels.contains(delivery.offset) {
            self.report.splits += 1
            self.lanes[lane][delivery.offset].batchMax = (size + 1) / 2
        } else {
            self.lanes[lane][delivery.offset].failed += 1
        }
    }

    // MARK: dispatch

    func dispatch(_ dispatches: [Dispatch], isBatch: Bool) throws(SimulationFailure) {
        guard let worker = dispatches.first?.worker, let known = self.workers[worker] else {
            throw self.failure("work was dispatched to a worker that is not there")
        }
        guard known.isReady, !known.isStopping, !known.isKilled else {
            throw self.failure("work was dispatched to a worker that leaves")
        }
        guard known.generation == self.setup.plans[known.function].generation else {
            throw self.failure("work was dispatched to a worker of an old revision")
        }
        if case .tableRecord(let delivery) = dispatches[0].work {
            try self.feed(worker, delivery, dispatches[0])
            return
        }
        guard !known.hasServed else { throw self.failure("\(worker) was given a second invocation") }
        guard known.isBatched == isBatch else {
            throw self.failure("a batch went to a worker of singles, or the other way round")
        }
        if isBatch { try self.checkBatch(dispatches, known.function) }
        guard known.inUse < known.concurrency else {
            throw self.failure("more is in flight on \(worker) than its credits")
        }
        self.workers[worker]?.inUse += 1
        var batch: Int?
        if isBatch {
            self.nextBatch += 1
            batch = self.nextBatch
            self.batches[self.nextBatch] = dispatches.count
            self.batchSizes[self.nextBatch] = dispatches.count
        }
        let isUnsent = known.isDeaf || self.random.chance(self.rates.unsent)
        let failsWhole = isBatch && !isUnsent && self.random.chance(self.rates.batchFails)
        for dispatch in dispatches {
            guard dispatch.worker == worker else { throw self.failure("one batch went to two workers") }
            self.report.dispatches += 1
            self.attempts[dispatch.stream.rawValue] = SimulatedAttempt(
                worker: worker, work: dispatch.work, batch: batch)
            self.workers[worker]?.attempts.insert(dispatch.stream.rawValue)
            try self.checkDispatch(dispatch, known)
            if isUnsent {
                self.takeBack(dispatch)
            } else if failsWhole {
                self.failWhole(dispatch)
            } else {
                self.run(dispatch)
            }
        }
        guard isUnsent, !known.isDeaf else { return }
        self.workers[worker]?.isDeaf = true
        self.schedule(.exit(worker), after: self.random.span(milliseconds: 0...50))
    }

    /// The worker is gone before anything was written to it: that is no attempt.
    private func takeBack(_ dispatch: Dispatch) {
        guard let attempt = self.attempts.removeValue(forKey: dispatch.stream.rawValue) else { return }
        self.report.unsent += 1
        self.refused.insert(dispatch.stream.rawValue)
        self.workers[attempt.worker]?.attempts.remove(dispatch.stream.rawValue)
        if case .delivery(let delivery) = dispatch.work {
            self.lanes[self.lane(delivery.trigger, delivery.partition)][delivery.offset].running = nil
        }
        self.engine.unsent(dispatch.stream, now: self.now)
    }

    private func failWhole(_ dispatch: Dispatch) {
        if case .delivery(let delivery) = dispatch.work, self.refuses(delivery, dispatch.stream) { return }
        let outcome = AttemptOutcome.failed(Failure(.functionFailed, "all"), retryAfter: nil)
        self.schedule(.answer(dispatch.stream, outcome, .batch), after: self.random.span(milliseconds: 0...60))
    }

    private func feed(_ worker: WorkerID, _ delivery: Delivery, _ dispatch: Dispatch) throws(SimulationFailure) {
        let lane = self.lane(delivery.trigger, delivery.partition)
        if let last = self.workers[worker]?.given[lane], last >= delivery.offset {
            throw self.failure("a table was fed out of order")
        }
        self.workers[worker]?.given[lane] = delivery.offset
        self.report.tableRecords += 1
        self.attempts[dispatch.stream.rawValue] = SimulatedAttempt(worker: worker, work: dispatch.work, batch: nil)
        self.workers[worker]?.attempts.insert(dispatch.stream.rawValue)
        let underWay = self.workers[worker]?.attempts.count { !self.isWork($0) } ?? 0
        guard underWay <= self.setup.configuration.tableWindow else {
            throw self.failure("more table records are under way than the window")
        }
        if self.log.topics[self.lanes[lane].topic][delivery.partition].record(delivery.offset)?.isGone ?? true {
            self.ended(dispatch.stream.rawValue)
            self.engine.recordGone(dispatch.stream, isSuperseded: true, now: self.now)
            return
        }
        // A worker takes its table records one after the other.
        let start = max(self.now, self.workers[worker]?.tableBusyUntil ?? .zero)
        let end = start + self.random.span(milliseconds: 0...5)
        self.workers[worker]?.tableBusyUntil = end
        let failure = AttemptOutcome.failed(Failure(.functionFailed, "table"), retryAfter: nil)
        self.schedule(
            .answer(dispatch.stream, self.random.chance(self.rates.tableFails) ? failure : .succeeded, .event),
            after: end - self.now)
    }

    /// What the handler does with it.
    private func run(_ dispatch: Dispatch) {
        var isPoison = false
        if case .delivery(let delivery) = dispatch.work {
            if self.refuses(delivery, dispatch.stream) { return }
            let lane = self.lane(delivery.trigger, delivery.partition)
            let topic = self.lanes[lane].topic
            let record = self.log.topics[topic][delivery.partition].record(delivery.offset)
            if record?.isGone ?? true {
                self.ended(dispatch.stream.rawValue)
                self.lanes[lane][delivery.offset].running = nil
                let isSuperseded = self.setup.topics[topic].isCompacted
                if isSuperseded { self.lanes[lane][delivery.offset].isDecided = true }
                self.engine.recordGone(dispatch.stream, isSuperseded: isSuperseded, now: self.now)
                return
            }
            isPoison = record?.isPoison ?? false
        }
        if self.workers[dispatch.worker]?.isOneShot ?? false {
            self.workers[dispatch.worker]?.hasServed = true
            self.report.oneShots += 1
        }
        if self.random.chance(self.rates.hang) { return }
        if self.random.chance(self.rates.crash) {
            self.schedule(.exit(dispatch.worker), after: self.random.span(milliseconds: 0...100))
            return
        }
        let isLate = self.random.chance(self.rates.late)
        let span = isLate ? self.random.span(milliseconds: 200...2_000) : self.random.span(milliseconds: 0...60)
        let outcome = self.makeOutcome(isPoison: isPoison && !self.isCalm)
        self.schedule(.answer(dispatch.stream, outcome, .event), after: span)
        if self.random.chance(self.rates.twice) {
            self.schedule(
                .answer(dispatch.stream, outcome, .event), after: TimeSpan(microseconds: span.microseconds + 3_000))
        }
    }

    private func makeOutcome(isPoison: Bool) -> AttemptOutcome {
        if self.random.chance(self.rates.reject) { return .rejected(Failure(.functionRejected, "no")) }
        guard isPoison || self.random.chance(self.rates.fail) else { return .succeeded }
        let after: TimeSpan? = self.random.chance(0.1) ? self.random.span(milliseconds: 0...500) : nil
        return .failed(Failure(.functionFailed, "no"), retryAfter: after)
    }

    /// The worker has answered: the attempt is over and its credit is back.
    @discardableResult
    func ended(_ stream: UInt64) -> SimulatedAttempt? {
        guard let attempt = self.attempts.removeValue(forKey: stream) else { return nil }
        self.workers[attempt.worker]?.attempts.remove(stream)
        if case .tableRecord = attempt.work { return attempt }
        if let batch = attempt.batch, let left = self.batches[batch] {
            self.batches[batch] = left - 1
            if left == 1 { self.workers[attempt.worker]?.inUse -= 1 }
        } else {
            self.workers[attempt.worker]?.inUse -= 1
        }
        return attempt
    }

    /// A frame with an outcome comes in.
    func answer(_ stream: StreamID, _ outcome: AttemptOutcome, _ blame: Blame) throws(SimulationFailure) {
        guard let attempt = self.ended(stream.rawValue) else {
            let verdict = self.engine.outcome(stream, outcome, now: self.now)
            guard verdict == .ignore else {
                throw self.failure("an outcome counted that came twice or of a dead worker")
            }
            return
        }
        if case .delivery(let delivery) = attempt.work {
            let lane = self.lane(delivery.trigger, delivery.partition)
            self.lanes[lane][delivery.offset].running = nil
            // Past its deadline it has failed, whatever the outcome says; so has one whose outcome is no success.
            if attempt.isCancelled || outcome != .succeeded {
                self.attemptFailed(delivery, attempt, attempt.isCancelled ? .batch : blame)
            }
        }
        let verdict = self.engine.outcome(stream, outcome, blame: blame, now: self.now)
        try self.follow(verdict, attempt, outcome)
    }

    private func follow(_ verdict: Verdict, _ attempt: SimulatedAttempt, _ outcome: AttemptOutcome)
        throws(SimulationFailure)
    {
        switch verdict {
        case .publish(let delivery, let attempts), .deadLetter(let delivery, let attempts):
            try self.checkVerdict(delivery, attempts, attempt, outcome)
            try self.checkNotCancelled(delivery)
            try self.decided(delivery)
        case .drop(let delivery, let attempts):
            try self.checkVerdict(delivery, attempts, attempt, outcome)
            try self.drop(delivery)
        case .retry(let delivery, let attempts, let due):
            try self.checkVerdict(delivery, attempts, attempt, outcome)
            try self.checkNotCancelled(delivery)
            guard due >= self.now else { throw self.failure("\(delivery) is to be tried again in the past") }
        case .answer(let request):
            guard attempt.work == .request(request) else { throw self.failure("the wrong caller is answered") }
            try self.answered(request)
        case .fed:
            guard case .tableRecord(let delivery) = attempt.work else {
                throw self.failure("what is no table record was fed")
            }
            self.workers[attempt.worker]?.taken[self.lane(delivery.trigger, delivery.partition), default: []].insert(
                delivery.offset)
        case .ignore:
            try self.checkIgnored(attempt, outcome)
        }
    }
}
