public import ApusCore

/// Workers: their starts, their credit, their ends.
extension Engine {
    private static let workerIndexBits: UInt64 = 24

    func workerID(_ slot: Int32) -> WorkerID {
        WorkerID(rawValue: self.workers[Int(slot)].generation << Self.workerIndexBits | UInt64(slot))
    }

    /// The worker's slot, or nil when it is gone.
    func slot(of worker: WorkerID) -> Int32? {
        let index = Int(worker.rawValue & (1 << Self.workerIndexBits - 1))
        guard index < self.workers.count, self.workers[index].phase != .absent,
            self.workers[index].generation == worker.rawValue >> Self.workerIndexBits
        else { return nil }
        return Int32(index)
    }

    // MARK: the way in

    /// - Returns: the slot of the worker that starts.
    @discardableResult
    mutating func start(_ function: Int32, now: Timestamp) -> Int32 {
        let slot: Int32
        if let free = self.freeWorkers.popLast() {
            slot = free
        } else {
            slot = Int32(self.workers.count)
            self.workers.append(Worker())
        }
        var worker = Worker()
        worker.generation = self.workers[Int(slot)].generation + 1
        worker.phase = .starting
        worker.function = function
        worker.revision = self.functions[Int(function)].plan.generation
        worker.idleSince = now
        worker.isOneShot = self.functions[Int(function)].plan.reuse == .never
        self.workers[Int(slot)] = worker
        self.functions[Int(function)].workers.append(slot)
        self.functions[Int(function)].pool.started()
        self.watchStart(slot, now: now)
        self.actions.append(
            .start(self.workerID(slot), self.functions[Int(function)].plan.function, generation: worker.revision))
        return slot
    }

    private mutating func watchStart(_ slot: Int32, now: Timestamp) {
        // How long a start on devices may take is the pool's to say.
        let worker = self.workers[Int(slot)]
        guard !self.functions[Int(worker.function)].plan.scale.isPooled else { return }
        let due = now + self.configuration.startTimeout
        self.workers[Int(slot)].startDue = due
        self.timers.insert(EngineTimer(due: due, kind: .startTimeout, index: slot, generation: worker.generation))
    }

    /// Its files come from elsewhere first: that has no bound here.
    public mutating func startWaitsForFiles(_ worker: WorkerID) {
        guard let slot = self.slot(of: worker), self.workers[Int(slot)].phase == .starting else { return }
        self.workers[Int(slot)].isWaitingForFiles = true
    }

    /// Its files are there, and its process is made: from now on it has the time of any start, and that is what starts are known to take.
    public mutating func startHasFiles(_ worker: WorkerID, now: Timestamp) {
        guard let slot = self.slot(of: worker), self.workers[Int(slot)].isWaitingForFiles else { return }
        self.workers[Int(slot)].isWaitingForFiles = false
        self.workers[Int(slot)].idleSince = now
        self.watchStart(slot, now: now)
    }

    /// READY came; CREDIT brings what it may take.
    public mutating func workerReady(_ worker: WorkerID, now: Timestamp) {
        guard let slot = self.slot(of: worker), self.workers[Int(slot)].phase == .starting else { return }
        let function = self.workers[Int(slot)].function
        self.functions[Int(function)].demand.refilled(in: now - self.workers[Int(slot)].idleSince)
        self.functions[Int(function)].times.started(in: now - self.workers[Int(slot)].idleSince)
        self.workers[Int(slot)].phase = .ready
        self.workers[Int(slot)].idleSince = now
        self.functions[Int(function)].pool.becameReady()
        self.functions[Int(function)].isWarming = false
        self.beginFeed(slot, now: now)
        self.place(slot, now: now)
        self.schedule(function, now: now)
    }

    /// A worker may take `count` more. Its claim is outside data: it never gets more at a time than the function's
    /// concurrency.
    public mutating func credit(_ worker: WorkerID, _ count: Int, now: Timestamp) {
        guard let slot = self.slot(of: worker), count > 0 else { return }
        let function = self.workers[Int(slot)].function
        let isOneShot = self.workers[Int(slot)].isOneShot
        let concurrency = isOneShot ? 1 : max(1, self.functions[Int(function)].plan.concurrency)
        let room = concurrency - self.workers[Int(slot)].credits - self.workers[Int(slot)].creditsInUse
        self.workers[Int(slot)].credits += min(count, max(0, room))
        self.workers[Int(slot)].isFresh = !self.workers[Int(slot)].hasCredit
        self.workers[Int(slot)].hasCredit = true
        self.place(slot, now: now)
        self.schedule(function, now: now)
        self.workers[Int(slot)].isFresh = false
    }

    /// Puts the worker where its credit and its work say: among the idle, among the busy, or nowhere.
    mutating func place(_ slot: Int32, now: Timestamp) {
        self.unplace(slot)
        let (phase, running) = (self.workers[Int(slot)].phase, self.workers[Int(slot)].running)
        if phase == .retiring, running == 0 {
            self.stop(slot, now: now)
            return
        }
        guard phase == .ready, self.workers[Int(slot)].credits > 0 else { return }
        let function = Int(self.workers[Int(slot)].function)
        if running == 0 {
            self.functions[function].idle.prepend(slot, &self.workers)
            self.workers[Int(slot)].place = .idle
            self.watchIdle(Int32(function), now: now)
        } else {
            self.functions[function].busy.append(slot, &self.workers)
            self.workers[Int(slot)].place = .busy
        }
    }

    /// It is gone, and its exit follows: what it still claims is worth nothing.
    mutating func withholdWork(from slot: Int32, now: Timestamp) {
        self.workers[Int(slot)].credits = 0
        self.place(slot, now: now)
    }

    mutating func unplace(_ slot: Int32) {
        let function = Int(self.workers[Int(slot)].function)
        switch self.workers[Int(slot)].place {
        case .nowhere: return
        case .idle: self.functions[function].idle.remove(slot, &self.workers)
        case .busy: self.functions[function].busy.remove(slot, &self.workers)
        }
        self.workers[Int(slot)].place = .nowhere
    }

    // MARK: the way out

    /// Gives it no more work, and tells it to stop as soon as nothing runs on it.
    mutating func retire(_ slot: Int32, now: Timestamp) {
        let phase = self.workers[Int(slot)].phase
        guard phase.isHere else { return }
        self.functions[Int(self.workers[Int(slot)].function)].pool.leaves(phase)
        self.unplace(slot)
        self.workers[Int(slot)].phase = .retiring
        if self.workers[Int(slot)].running == 0 { self.stop(slot, now: now) }
    }

    private mutating func stop(_ slot: Int32, now: Timestamp) {
        self.workers[Int(slot)].phase = .stopping
        let (due, generation) = (now + self.configuration.stopGrace, self.workers[Int(slot)].generation)
        self.timers.insert(EngineTimer(due: due, kind: .stopTimeout, index: slot, generation: generation))
        self.actions.append(.stop(self.workerID(slot)))
    }

    /// Ends its process now; ``workerExited(_:_:now:)`` follows and fails its attempts.
    mutating func kill(_ slot: Int32, _ reason: KillReason, now: Timestamp) {
        let phase = self.workers[Int(slot)].phase
        guard phase != .absent, phase != .killed else { return }
        self.functions[Int(self.workers[Int(slot)].function)].pool.leaves(phase)
        self.unplace(slot)
        self.workers[Int(slot)].phase = .killed
        self.actions.append(.kill(self.workerID(slot), reason: reason))
    }

    /// It never became ready. The host sees to it that nothing of it is left.
    public mutating func startFailed(_ worker: WorkerID, _ failure: Failure, now: Timestamp) {
        self.workerExited(worker, failure, now: now)
    }

    /// The process is gone; its attempts fail with `failure`.
    public mutating func workerExited(_ worker: WorkerID, _ failure: Failure, now: Timestamp) {
        guard let slot = self.slot(of: worker) else { return }
        let (phase, function) = (self.workers[Int(slot)].phase, self.workers[Int(slot)].function)
        self.unplace(slot)
        self.functions[Int(function)].pool.gone(phase)
        // One that was ended because its caller left says nothing of its function.
        let isCrash =
            failure.code != .cancelled
            && phase.isHere
        if isCrash, !self.workers[Int(slot)].isProven { self.startsFail(function, failure, now: now) }
        // Nothing is dispatched to it while its attempts fail: it is out of every list.
        while self.workers[Int(slot)].attempts.first != InFlight.none {
            let attempt = self.workers[Int(slot)].attempts.first
            let (work, state) = (self.inFlight[attempt].work, self.inFlight[attempt].state)
            let company = self.company(of: self.inFlight[attempt])
            self.endAttempt(attempt, returnsCredit: false, now: now)
            if state == .running {
                self.isDraining ? self.leave(work) : self.giveUp(work, failure, company: company, now: now)
            }
            if state == .expired { self.giveUp(work, Self.deadlineFailure, company: company, now: now) }
            if state == .cancelled { self.cancelled(work, now: now) }
        }
        self.functions[Int(function)].workers.removeAll { $0 == slot }
        self.workers[Int(slot)].phase = .absent
        self.workers[Int(slot)].feed = nil
        self.freeWorkers.append(slot)
        if self.functions[Int(function)].isRemoved {
            self.releaseFunction(function)
        } else {
            self.schedule(function, now: now)
            if self.functions[Int(function)].workers.isEmpty { self.trim(function) }
        }
        self.serveShares(now: now)
    }

    /// A function without workers gives back what its last burst took.
    private mutating func trim(_ function: Int32) {
        for trigger in self.functions[Int(function)].triggers where self.triggers[Int(trigger)].plan.kind == .topic {
            for lane in self.triggers[Int(trigger)].lanes where lane >= 0 {
                self.lanes[Int(lane)].ledger.trim()
                if self.lanes[Int(lane)].ledger.unsettled == 0 { self.lanes[Int(lane)].keys.trim() }
            }
        }
    }

    mutating func startsFail(_ function: Int32, _ failure: Failure, now: Timestamp) {
        self.functions[Int(function)].isWarming = false
        self.functions[Int(function)].pool.failed(failure, configuration: self.configuration, now: now)
        if self.functions[Int(function)].pool.isRefusing(now: now) { self.failWaiting(function, failure) }
    }

    /// A worker took too long from its launch to its first credit.
    mutating func startTimedOut(_ slot: Int32, now: Timestamp) {
        let worker = self.workers[Int(slot)]
        guard worker.phase == .starting || (worker.phase == .ready && !worker.hasCredit) else { return }
        // The timer of its order; another was or will be set when its files came.
        guard !worker.isWaitingForFiles, now >= worker.startDue else { return }
        self.kill(slot, .startTimedOut, now: now)
        let limit = self.configuration.startTimeout
        self.startsFail(worker.function, Failure(.startFailed, "the worker was not ready within \(limit)"), now: now)
        self.schedule(worker.function, now: now)
    }
}
