internal import ApusCore

/// Which work runs where.
extension Engine {
    /// A piece of work that leaves its queue.
    enum Item {
        case delivery(lane: Int32, slot: Int32)
        case request(Int32)
    }

    /// What a batch holds so far.
    struct Gathered {
        var count = 0
        var bytes = 0
        /// The fewest events that one of them may run among.
        var countMax = Int.max

        mutating func add(_ item: Item, _ engine: borrowing Engine) {
            self.count += 1
            self.bytes += engine.bytes(of: item)
            guard case .delivery(let lane, let slot) = item else { return }
            self.countMax = min(self.countMax, Int(engine.lanes[Int(lane)].ledger[slot].batchMax))
        }
    }

    /// Dispatches what may run to whoever may take it, then starts workers for what is left. Called after every event
    /// of a function.
    mutating func schedule(_ function: Int32, now: Timestamp) {
        guard !self.isDraining else { return }
        if self.functions[Int(function)].ready > 0 {
            if self.functions[Int(function)].plan.reuse == .principal {
                self.dispatchOwned(function, now: now)
            } else if self.functions[Int(function)].gatherer == nil {
                self.dispatchSingles(function, now: now)
            } else {
                self.dispatchBatches(function, now: now)
            }
        }
        self.scale(function, now: now)
    }

    private mutating func dispatchSingles(_ function: Int32, now: Timestamp) {
        while self.functions[Int(function)].ready > 0 {
            guard let (worker, item) = self.match(function, now: now) else { return }
            self.dispatch(item, to: worker, of: function, now: now)
        }
    }

    mutating func dispatch(_ item: Item, to worker: Int32, of function: Int32, now: Timestamp) {
        self.workers[Int(worker)].credits -= 1
        self.workers[Int(worker)].creditsInUse += 1
        self.spend(worker, now: now)
        let dispatch = self.begin(item, worker: worker, function: function, batch: InFlight.none, now: now)
        self.place(worker, now: now)
        self.actions.append(.dispatch(dispatch))
    }

    /// A worker with credit and the next item it may run. Idle workers come first; a worker that was not yet fed the
    /// function's tables as far as an item needs leaves it to another.
    private mutating func match(_ function: Int32, now: Timestamp) -> (worker: Int32, item: Item)? {
        var worker = self.functions[Int(function)].idle.first
        while worker != FunctionState.noWorker {
            if let item = self.takeNext(function, fed: self.fedMark(worker), Gathered(), now: now) {
                return (worker, item)
            }
            worker = self.workers[Int(worker)].after
        }
        worker = self.functions[Int(function)].busy.first
        while worker != FunctionState.noWorker {
            if let item = self.takeNext(function, fed: self.fedMark(worker), Gathered(), now: now) {
                return (worker, item)
            }
            worker = self.workers[Int(worker)].after
        }
        return nil
    }

    private func fedMark(_ worker: Int32) -> UInt64 { self.workers[Int(worker)].feed?.mark ?? 0 }

    /// The next item in turn, from each source its oldest: a source gives one and goes to the back of the ring.
    /// - Parameters:
    ///   - fed: how far the worker was fed the function's tables.
    ///   - gathered: what the batch holds already.
    ///   - isDelivery: direct invocations are left where they are.
    mutating func takeNext(
        _ function: Int32, fed: UInt64, _ gathered: Gathered, isDelivery: Bool = false, now: Timestamp
    ) -> Item? {
        let place = Int(function)
        for _ in 0..<self.functions[place].ring.count {
            guard let source = self.functions[place].ring.popFirst() else { return nil }
            if source == FunctionState.requestSource {
                guard !isDelivery else {
                    self.functions[place].ring.append(source)
                    continue
                }
                let slot = self.functions[place].queue.first
                let (size, mark) = (Int(self.requests[slot].bytes), self.requests[slot].tableMark)
                guard mark <= fed, self.fits(place, gathered, next: size, countMax: .max) else {
                    self.functions[place].ring.append(source)
                    continue
                }
                guard let taken = self.requests.take(queue: &self.functions[place].queue) else { return nil }
                if self.functions[place].queue.count > 0 { self.functions[place].ring.append(source) }
                self.leaveReady(place, bytes: size)
                return .request(taken)
            }
            let lane = Int(source)
            guard self.skipOverdue(source, now: now) else { continue }
            let head = self.lanes[lane].ledger[self.lanes[lane].ledger.ready.first]
            let size = Int(head.bytes)
            guard head.tableMark <= fed,
                self.fits(place, gathered, next: size, countMax: Int(head.batchMax))
            else {
                self.functions[place].ring.append(source)
                continue
            }
            guard let slot = self.lanes[lane].ledger.takeReady() else { return nil }
            if self.lanes[lane].ledger.ready.count > 0 {
                self.functions[place].ring.append(source)
            } else {
                self.lanes[lane].isQueued = false
            }
            self.leaveReady(place, bytes: size)
            return .delivery(lane: source, slot: slot)
        }
        return nil
    }

    private func fits(_ function: Int, _ gathered: Gathered, next: Int, countMax: Int) -> Bool {
        guard gathered.count > 0 else { return true }
        guard gathered.count < min(gathered.countMax, countMax) else { return false }
        return self.functions[function].gatherer?.fits(count: gathered.count, bytes: gathered.bytes, next: next)
            ?? false
    }

    /// Settles what waits at the front of a lane and is not to run any more.
    /// - Returns: whether anything that may run is left; otherwise the lane stands in no ring from here on.
    private mutating func skipOverdue(_ source: Int32, now: Timestamp) -> Bool {
        let (lane, place) = (Int(source), Int(self.lanes[Int(source)].function))
        while self.lanes[lane].ledger.ready.count > 0 {
            let head = self.lanes[lane].ledger[self.lanes[lane].ledger.ready.first]
            guard head.expires <= now else { return true }
            guard let slot = self.lanes[lane].ledger.takeReady() else { break }
            self.leaveReady(place, bytes: Int(head.bytes))
            self.outlive(source, slot, now: now)
        }
        self.lanes[lane].isQueued = false
        return false
    }

    mutating func leaveReady(_ function: Int, bytes: Int) {
        self.functions[function].ready -= 1
        self.functions[function].gatherer?.remove(bytes: bytes)
    }

    private mutating func begin(_ item: Item, worker: Int32, function: Int32, batch: Int32, now: Timestamp) -> Dispatch
    {
        let deadline = now + self.functions[Int(function)].plan.timeout
        var shown = deadline
        let work: InFlight.Work
        let named: Work
        var attempt = 1
        switch item {
        case .delivery(let lane, let slot):
            work = .delivery(lane: lane, laneGeneration: self.lanes[Int(lane)].generation, slot: slot)
            named = .delivery(self.delivery(lane, slot))
            attempt = Int(self.lanes[Int(lane)].ledger[slot].attempts) + 1
        case .request(let slot):
            work = .request(slot)
            named = .request(self.requests[slot].id)
            shown = min(deadline, self.requests[slot].deadline)
        }
        let slot = self.inFlight.begin(
            work, worker: worker, function: function, batch: batch, deadline: deadline,
            workerList: &self.workers[Int(worker)].attempts, deadlines: &self.functions[Int(function)].deadlines
        )
        if case .request(let request) = item { self.requests.began(request, attempt: slot) }
        self.workers[Int(worker)].running += 1
        self.workers[Int(worker)].uses += 1
        self.functions[Int(function)].running += 1
        self.watchDeadlines(function)
        return Dispatch(
            worker: self.workerID(worker), stream: self.inFlight.stream(slot), work: named, attempt: attempt,
            deadline: shown
        )
    }

    /// One timer per function stands for all deadlines of its attempts: it is set anew only after it fired.
    mutating func watchDeadlines(_ function: Int32) {
        let first = self.functions[Int(function)].deadlines.first
        guard first != InFlight.none else { return }
        self.setTimer(.deadlines, of: function, due: self.inFlight[first].deadline)
    }

    /// Sets a timer of a function unless one that is not later is set.
    mutating func setTimer(_ kind: EngineTimer.Kind, of function: Int32, due: Timestamp) {
        guard due < self.functions[Int(function)].timers[kind] else { return }
        self.functions[Int(function)].timers[kind] = due
        let generation = UInt64(self.functions[Int(function)].generation)
        self.timers.insert(EngineTimer(due: due, kind: kind, index: function, generation: generation))
    }

    // MARK: batches

    private mutating func dispatchBatches(_ function: Int32, now: Timestamp) {
        while self.isBatchDue(function, now: now) {
            guard let (worker, first) = self.match(function, now: now) else { return }
            var items = [first]
            var gathered = Gathered()
            gathered.add(first, self)
            while let item = self.takeNext(function, fed: self.fedMark(worker), gathered, now: now) {
                items.append(item)
                gathered.add(item, self)
            }
            self.workers[Int(worker)].credits -= 1
            self.workers[Int(worker)].creditsInUse += 1
            let batch = self.openBatches.open(items.count)
            let dispatches = items.map { self.begin($0, worker: worker, function: function, batch: batch, now: now) }
            self.place(worker, now: now)
            self.actions.append(.dispatchBatch(dispatches))
        }
        self.watchBatch(function, now: now)
    }

    /// Whether a batch goes now: it is closed, or a worker is free and nothing that would fill it is expected in the time that is left.
    private func isBatchDue(_ function: Int32, now: Timestamp) -> Bool {
        let place = Int(function)
        guard let gatherer = self.functions[place].gatherer, let closesAt = gatherer.closesAt else { return false }
        if gatherer.isClosed(now: now) { return true }
        return self.functions[place].idle.first != FunctionState.noWorker
            && !self.functions[place].times.expectsMore(within: closesAt - now, now: now)
    }

    func bytes(of item: Item) -> Int {
        switch item {
        case .delivery(let lane, let slot): Int(self.lanes[Int(lane)].ledger[slot].bytes)
        case .request(let slot): Int(self.requests[slot].bytes)
        }
    }

    /// What is gathered is dispatched at the latest when its first event has waited `maxWait`.
    private mutating func watchBatch(_ function: Int32, now: Timestamp) {
        guard let closesAt = self.functions[Int(function)].gatherer?.closesAt else { return }
        // One that closed already waits for credit, not for time.
        guard closesAt > now else { return }
        self.setTimer(.batch, of: function, due: closesAt)
    }
}
