public import ApusCore

/// Functions whose workers the ``Pool`` starts, puts to sleep, wakes and stops: the engine tells it of the demand, and gives work to
/// what is ready.
extension Engine {
    /// The pool hears of it with the next actions.
    mutating func newsForPool(_ function: Int32) {
        guard !self.functions[Int(function)].told.isDue else { return }
        self.functions[Int(function)].told.isDue = true
        self.poolNews.append(function)
    }

    mutating func tellPool() {
        for function in self.poolNews {
            let place = Int(function)
            guard self.functions[place].told.isDue else { continue }
            self.functions[place].told.isDue = false
            let state = self.functions[place]
            let isAsked = !state.isRemoved && !state.plan.isPaused && !self.isDraining
            // What will be at hand when a start is over asks for instances as what waits does; where there is nothing, nothing is foreseen.
            let foreseen = state.ready + state.running > 0 ? state.told.foreseen : 0
            let queued = isAsked ? max(state.ready, state.isWarming ? 1 : 0) + foreseen : 0
            for worker in state.workers { self.tellOccupied(worker) }
            guard state.running != state.told.running || queued != state.told.queued else { continue }
            self.functions[place].told.running = state.running
            self.functions[place].told.queued = queued
            self.actions.append(.demand(state.plan.function, running: state.running, queued: queued))
        }
        self.poolNews.removeAll(keepingCapacity: true)
    }

    private mutating func tellOccupied(_ slot: Int32) {
        let worker = self.workers[Int(slot)]
        guard worker.running != worker.toldRunning || worker.uses > 0 else { return }
        self.workers[Int(slot)].toldRunning = worker.running
        self.workers[Int(slot)].uses = 0
        self.actions.append(.occupied(self.workerID(slot), running: worker.running, uses: worker.uses))
    }

    /// How long the pool expects the next start of a function to take, while none of its workers is ready. Who comes then hears of it.
    public mutating func startTakes(_ function: FunctionID, _ span: TimeSpan) {
        guard let slot = self.slot(of: function) else { return }
        self.functions[Int(slot)].told.start = span
    }

    /// Starts a worker because the pool says so. ``EngineAction/start(_:_:generation:)`` follows.
    /// - Returns: nil where the function is not here any more, or nothing is started because the server stops.
    public mutating func startPooled(_ function: FunctionID, now: Timestamp) -> WorkerID? {
        guard !self.isDraining, let slot = self.slot(of: function) else { return nil }
        let worker = self.start(slot, now: now)
        return self.workerID(worker)
    }

    /// Others wait for its devices: the worker gets nothing new, and the pool hears when what it runs is over, to put it to sleep.
    public mutating func rest(_ worker: WorkerID) {
        guard let slot = self.slot(of: worker), self.workers[Int(slot)].phase == .ready else { return }
        self.workers[Int(slot)].phase = .resting
        self.unplace(slot)
        self.newsForPool(self.workers[Int(slot)].function)
    }

    /// It was told to sleep and does not: it takes work again.
    public mutating func stays(_ worker: WorkerID, now: Timestamp) {
        guard let slot = self.slot(of: worker), self.workers[Int(slot)].phase == .resting else { return }
        self.workers[Int(slot)].phase = .ready
        self.place(slot, now: now)
        self.schedule(self.workers[Int(slot)].function, now: now)
    }

    /// The worker gets no work until it was woken.
    /// - Returns: false where it runs something: the pool spoke before it heard of that.
    public mutating func sleep(_ worker: WorkerID, now: Timestamp) -> Bool {
        guard let slot = self.slot(of: worker), self.workers[Int(slot)].running == 0,
            self.workers[Int(slot)].phase == .ready || self.workers[Int(slot)].phase == .resting
        else { return false }
        self.unplace(slot)
        self.workers[Int(slot)].phase = .asleep
        self.functions[Int(self.workers[Int(slot)].function)].pool.sleeps()
        return true
    }

    /// It was told to wake.
    public mutating func wake(_ worker: WorkerID, now: Timestamp) {
        guard let slot = self.slot(of: worker), self.workers[Int(slot)].phase == .asleep else { return }
        self.workers[Int(slot)].phase = .waking
        self.workers[Int(slot)].idleSince = now
    }

    /// It is awake: it may be given work.
    public mutating func woken(_ worker: WorkerID, now: Timestamp) {
        guard let slot = self.slot(of: worker), self.workers[Int(slot)].phase == .waking else { return }
        let function = self.workers[Int(slot)].function
        self.workers[Int(slot)].phase = .ready
        self.functions[Int(function)].pool.woke()
        self.functions[Int(function)].isWarming = false
        self.workers[Int(slot)].idleSince = now
        self.place(slot, now: now)
        self.schedule(function, now: now)
    }

    /// It gets nothing new, and is told to leave when what it runs is over.
    public mutating func retire(_ worker: WorkerID, now: Timestamp) {
        guard let slot = self.slot(of: worker) else { return }
        self.retire(slot, now: now)
    }
}
