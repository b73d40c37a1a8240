public import ApusCore

/// How attempts end, and what that means for what they ran.
extension Engine {
    enum Decision {
        case publish
        case retry(Timestamp)
        case deadLetter
        case drop
    }

    /// An attempt ended. A result returns one credit by itself.
    /// - Parameter blame: a failure of a batch of several counts for none of its events; they run again in halves.
    public mutating func outcome(
        _ stream: StreamID, _ outcome: AttemptOutcome, blame: Blame = .event, now: Timestamp
    ) -> Verdict {
        guard let slot = self.inFlight.find(stream) else { return .ignore }
        let attempt = self.inFlight[slot]
        let company = self.company(of: attempt)
        let isSpent = self.workers[Int(attempt.worker)].isOneShot && !attempt.isTableRecord
        self.endAttempt(slot, returnsCredit: !isSpent, now: now)
        if isSpent { self.kill(attempt.worker, .spent, now: now) }
        self.workerProved(attempt.worker, attempt.work)
        var verdict = Verdict.ignore
        if attempt.state == .running {
            verdict = self.conclude(attempt, outcome, company: blame == .batch ? company : 1, now: now)
        } else if attempt.state == .expired {
            self.giveUp(attempt.work, Self.deadlineFailure, company: company, now: now)
        } else if attempt.state == .cancelled {
            self.cancelled(attempt.work, now: now)
        }
        self.schedule(attempt.function, now: now)
        return verdict
    }

    static let deadlineFailure = Failure(.deadlineExceeded, "the handler did not finish within the function's timeout")

    /// How many events the attempt's failure may be due to: those of its batch.
    func company(of attempt: InFlight.Attempt) -> Int {
        attempt.batch == InFlight.none ? 1 : self.openBatches.size(attempt.batch)
    }

    private mutating func conclude(
        _ attempt: InFlight.Attempt, _ outcome: AttemptOutcome, company: Int, now: Timestamp
    ) -> Verdict {
        switch attempt.work {
        case .delivery(let lane, let generation, let slot):
            guard self.isCurrent(LaneReference(lane: lane, generation: generation)) else { return .ignore }
            let delivery = self.delivery(lane, slot)
            let before = Int(self.lanes[Int(lane)].ledger[slot].attempts)
            if outcome != .succeeded, company > 1 {
                self.split(lane, slot, company: company, now: now)
                return .retry(delivery, attempts: before, at: now)
            }
            let attempts = before + 1
            return switch self.decide(lane, slot, outcome, now: now) {
            case .publish: .publish(delivery, attempts: attempts)
            case .retry(let due): .retry(delivery, attempts: attempts, at: due)
            case .deadLetter: .deadLetter(delivery, attempts: attempts)
            case .drop: .drop(delivery, attempts: attempts)
            }
        case .request(let request):
            let id = self.requests[request].id
            self.endRequest(request)
            return .answer(id)
        case .tableRecord(let table, let offset):
            guard case .succeeded = outcome else {
                self.tableFailed(attempt.worker, outcome.failure ?? Self.deadlineFailure, now: now)
                return .ignore
            }
            self.tableRecordDone(attempt.function, worker: attempt.worker, table: table, offset: offset, now: now)
            return .fed
        case .nothing:
            return .ignore
        }
    }

    /// What an outcome means for a delivery.
    private mutating func decide(_ lane: Int32, _ slot: Int32, _ outcome: AttemptOutcome, now: Timestamp) -> Decision {
        let trigger = Int(self.lanes[Int(lane)].trigger)
        let retryAfter: TimeSpan?
        switch outcome {
        case .succeeded:
            self.release(lane, slot, now: now)
            self.lanes[Int(lane)].ledger.finish(slot)
            return .publish
        case .postponed(let due):
            self.retry(lane, slot, at: due)
            return .retry(due)
        case .rejected:
            self.triggers[trigger].counters.attemptsFailed += 1
            return self.exhaust(lane, slot, now: now)
        case .failed(_, let after):
            self.triggers[trigger].counters.attemptsFailed += 1
            retryAfter = after
        }
        let schedule = self.triggers[trigger].schedule
        let attempts = Int(self.lanes[Int(lane)].ledger[slot].attempts) + 1
        let isLast = self.lanes[Int(lane)].ledger[slot].isOnce && retryAfter == nil
        guard !isLast, !schedule.isExhausted(attempts: attempts) else { return self.exhaust(lane, slot, now: now) }
        let asked = retryAfter.map { min(max($0, .zero), Limits.Engine.retryAfter) }
        let due = now + (asked ?? schedule.delay(attempts: attempts, using: &self.generator))
        guard !schedule.isTooOld(self.lanes[Int(lane)].ledger[slot].appended, at: due) else {
            return self.exhaust(lane, slot, now: now)
        }
        self.retry(lane, slot, at: due)
        return .retry(due)
    }

    /// Its batch failed as a whole: it runs again at once in half of one, and alone in the end. That is no attempt of its own,
    /// so that a good event is not given up for a bad neighbour.
    private mutating func split(_ lane: Int32, _ slot: Int32, company: Int, now: Timestamp) {
        self.triggers[Int(self.lanes[Int(lane)].trigger)].counters.batchesSplit += 1
        self.lanes[Int(lane)].ledger.split(slot, batchMax: (company + 1) / 2)
        self.becameReady(lane, count: 1, bytes: Int(self.lanes[Int(lane)].ledger[slot].bytes), now: now)
    }

    private mutating func retry(_ lane: Int32, _ slot: Int32, at due: Timestamp) {
        self.lanes[Int(lane)].ledger.fail(slot, due: due)
        self.setRetryTimer(lane, slot, due: due)
        self.markDirty(lane)
    }

    private mutating func exhaust(_ lane: Int32, _ slot: Int32, now: Timestamp) -> Decision {
        let trigger = Int(self.lanes[Int(lane)].trigger)
        switch self.triggers[trigger].plan.onExhausted {
        case .deadLetter:
            self.triggers[trigger].counters.deadLetters += 1
            self.release(lane, slot, now: now)
            // Counted as well: a restart before the dead letter is durable must not forget it.
            self.lanes[Int(lane)].ledger.fail(slot, due: now)
            self.lanes[Int(lane)].ledger.finish(slot)
            return .deadLetter
        case .block:
            let due = now + max(self.triggers[trigger].plan.retry.max, .milliseconds(1))
            self.lanes[Int(lane)].ledger.block(slot)
            self.retry(lane, slot, at: due)
            return .retry(due)
        case .drop:
            self.triggers[trigger].counters.dropped += 1
            self.release(lane, slot, now: now)
            self.settleWithoutOutput(lane, slot)
            self.considerFetch(lane)
            return .drop
        }
    }

    /// An attempt failed without an outcome frame: what the host must know of it goes out as actions.
    /// - Parameter company: the events that it ran with, which may be to blame as well.
    mutating func giveUp(_ work: InFlight.Work, _ failure: Failure, company: Int, now: Timestamp) {
        switch work {
        case .delivery(let lane, let generation, let slot):
            guard self.isCurrent(LaneReference(lane: lane, generation: generation)) else { return }
            if company > 1 { return self.split(lane, slot, company: company, now: now) }
            let delivery = self.delivery(lane, slot)
            let attempts = Int(self.lanes[Int(lane)].ledger[slot].attempts) + 1
            switch self.decide(lane, slot, .failed(failure, retryAfter: nil), now: now) {
            case .publish, .retry: break
            case .deadLetter: self.actions.append(.deadLetter(delivery, attempts: attempts, failure))
            case .drop: self.actions.append(.dropped(delivery, attempts: attempts, failure))
            }
        case .request(let request):
            self.actions.append(.fail(self.requests[request].id, failure))
            self.endRequest(request)
        case .tableRecord, .nothing:
            break
        }
    }

    /// An attempt did not end before the server did. That is not its fault: a delivery stays as it is, neither counted nor settled, and
    /// is delivered again at the next start; a caller hears of the end.
    mutating func leave(_ work: InFlight.Work) {
        guard case .request(let request) = work else { return }
        self.actions.append(.fail(self.requests[request].id, Self.drainFailure))
        self.endRequest(request)
    }

    static let drainFailure = Failure(
        .shuttingDown, "the server is stopping; send the invocation again when it is back")

    /// Takes the attempt out of every list; its worker may have room again.
    mutating func endAttempt(_ slot: Int32, returnsCredit: Bool, now: Timestamp) {
        let attempt = self.inFlight[slot]
        let worker = Int(attempt.worker)
        let function = Int(attempt.function)
        self.inFlight.end(
            slot, workerList: &self.workers[worker].attempts, deadlines: &self.functions[function].deadlines)
        guard !attempt.isTableRecord else { return }
        self.workers[worker].running -= 1
        self.functions[function].running -= 1
        if attempt.state == .running {
            // Attempts of one function have one timeout, so that the deadline says when it began.
            self.functions[function].times.ran(now - attempt.deadline + self.functions[function].plan.timeout)
        }
        let isLast = attempt.batch == InFlight.none || self.openBatches.itemEnded(attempt.batch)
        if isLast && returnsCredit {
            self.workers[worker].credits += 1
            self.workers[worker].creditsInUse -= 1
        }
        if self.workers[worker].running == 0 { self.workers[worker].idleSince = now }
        if returnsCredit { self.place(attempt.worker, now: now) }
    }

    private mutating func workerProved(_ worker: Int32, _ work: InFlight.Work) {
        if case .tableRecord = work { return }
        guard !self.workers[Int(worker)].isProven else { return }
        self.workers[Int(worker)].isProven = true
        let function = Int(self.workers[Int(worker)].function)
        if self.workers[Int(worker)].revision == self.functions[function].plan.generation {
            self.functions[function].pool.worked()
        }
    }

    /// Attempts past their deadline: they have failed, whatever still comes. What they ran waits until they are really
    /// over, so that no delivery runs twice at once; callers are told now.
    mutating func expireAttempts(_ function: Int32, now: Timestamp) {
        while true {
            let slot = self.functions[Int(function)].deadlines.first
            guard slot != InFlight.none, self.inFlight[slot].deadline <= now else { return }
            self.expireAttempt(slot, now: now)
        }
    }

    mutating func expireAttempt(_ slot: Int32, now: Timestamp) {
        let attempt = self.inFlight[slot]
        let function = Int(attempt.function)
        self.inFlight.expire(
            slot, killAt: now + self.configuration.cancelGrace, deadlines: &self.functions[function].deadlines)
        if attempt.isTableRecord {
            self.tableFailed(attempt.worker, Self.deadlineFailure, now: now)
            return
        }
        self.actions.append(.cancel(self.workerID(attempt.worker), self.inFlight.stream(slot)))
        if case .request(let request) = attempt.work {
            self.actions.append(.fail(self.requests[request].id, Self.deadlineFailure))
            self.endRequest(request)
            self.inFlight.abandon(slot)
        }
    }
}

extension AttemptOutcome {
    var failure: Failure? {
        switch self {
        case .succeeded, .postponed: nil
        case .failed(let failure, _), .rejected(let failure): failure
        }
    }
}
