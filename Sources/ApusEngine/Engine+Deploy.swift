public import ApusCore

/// What is deployed.
extension Engine {
    /// A new function, or a new generation of one. Workers of older generations drain. A plan of an older generation is
    /// ignored.
    public mutating func apply(_ plan: FunctionPlan, now: Timestamp) {
        let function: Int32
        if let known = self.slot(of: plan.function) {
            guard plan.generation >= self.functions[Int(known)].plan.generation else { return }
            function = known
            let isNewRevision = plan.generation > self.functions[Int(known)].plan.generation
            self.functions[Int(function)].plan = plan
            if isNewRevision {
                self.functions[Int(function)].pool.forgive()
                self.functions[Int(function)].times.forget()
                // Those of a function on devices leave as the pool says: on a full device one must sleep for the next to start.
                if !plan.scale.isPooled {
                    for worker in self.functions[Int(function)].workers { self.retire(worker, now: now) }
                }
            }
        } else {
            function = self.addFunction(plan)
        }
        self.applyTriggers(plan.triggers, to: function)
        self.rebuild(function, now: now)
        for trigger in self.functions[Int(function)].triggers where self.triggers[Int(trigger)].plan.kind == .topic {
            for lane in self.triggers[Int(trigger)].lanes where lane >= 0 { self.considerFetch(lane) }
        }
        self.schedule(function, now: now)
        self.watchIdle(function, now: now)
    }

    private mutating func addFunction(_ plan: FunctionPlan) -> Int32 {
        let slot: Int32
        if let free = self.freeFunctions.popLast() {
            slot = free
            let generation = self.functions[Int(slot)].generation &+ 1
            self.functions[Int(slot)] = FunctionState(generation: generation, plan: plan)
        } else {
            slot = Int32(self.functions.count)
            self.functions.append(FunctionState(generation: 1, plan: plan))
        }
        self.functionSlots.set(UInt64(plan.function.rawValue), slot)
        return slot
    }

    private mutating func applyTriggers(_ plans: [TriggerPlan], to function: Int32) {
        for trigger in self.functions[Int(function)].triggers {
            let id = self.triggers[Int(trigger)].plan.trigger
            if !plans.contains(where: { $0.trigger == id }) { self.forget(trigger) }
        }
        for plan in plans {
            if let known = self.slot(of: plan.trigger), self.triggers[Int(known)].function == function {
                if self.triggers[Int(known)].plan.kind == plan.kind {
                    self.triggers[Int(known)].plan = plan
                    self.triggers[Int(known)].pace?.perSecond = plan.perSecond ?? .max
                    if plan.dedupWindow == nil { self.forgetSeen(known) }
                    continue
                }
                self.forget(known)
            }
            let slot: Int32
            if let free = self.freeTriggers.popLast() {
                slot = free
                self.triggers[Int(slot)] = TriggerState(plan: plan, function: function)
            } else {
                slot = Int32(self.triggers.count)
                self.triggers.append(TriggerState(plan: plan, function: function))
            }
            self.triggerSlots.set(UInt64(plan.trigger.rawValue), slot)
            self.functions[Int(function)].triggers.append(slot)
            if plan.kind == .table, self.functions[Int(function)].tables == nil {
                self.functions[Int(function)].tables = TableFeed()
            }
        }
    }

    /// Its workers stop, its waiting requests fail, its triggers are forgotten.
    public mutating func remove(_ function: FunctionID, now: Timestamp) {
        guard let slot = self.slot(of: function) else { return }
        self.functionSlots.remove(UInt64(function.rawValue))
        self.functions[Int(slot)].isRemoved = true
        self.failWaiting(slot, Self.removedFailure)
        self.shares.remove(slot)
        for trigger in self.functions[Int(slot)].triggers { self.forget(trigger) }
        self.rebuild(slot, now: now)
        for worker in self.functions[Int(slot)].workers { self.retire(worker, now: now) }
        self.releaseFunction(slot)
    }

    static let removedFailure = Failure(
        .functionNotFound, "the function was deleted while the invocation waited for a worker")

    /// Frees the slot of a deleted function once nothing refers to it.
    mutating func releaseFunction(_ function: Int32) {
        guard self.functions[Int(function)].isRemoved, self.functions[Int(function)].workers.isEmpty else { return }
        let generation = self.functions[Int(function)].generation &+ 1
        let plan = FunctionPlan(function: self.functions[Int(function)].plan.function, generation: 0)
        self.pooledMemory -= self.functions[Int(function)].pooledMemory
        self.functions[Int(function)] = FunctionState(generation: generation, plan: plan)
        self.freeFunctions.append(function)
    }

    /// Forgets a trigger and its lanes. Attempts of its deliveries go on; their outcomes are ignored.
    private mutating func forget(_ trigger: Int32) {
        let state = self.triggers[Int(trigger)]
        if state.plan.kind == .topic {
            for lane in state.lanes where lane >= 0 { self.free(lane) }
        } else {
            self.functions[Int(state.function)].tables?.close(state.plan.trigger)
        }
        self.triggerSlots.remove(UInt64(state.plan.trigger.rawValue))
        self.functions[Int(state.function)].triggers.removeAll { $0 == trigger }
        self.triggers[Int(trigger)].lanes = []
        self.freeTriggers.append(trigger)
    }

    /// Nothing refers to the lane from here on; what still runs of it is ignored.
    mutating func free(_ lane: Int32) {
        self.lanes[Int(lane)].generation &+= 1
        self.lanes[Int(lane)].ledger = Ledger(LedgerState(watermark: 0), start: 0)
        self.lanes[Int(lane)].keys = KeyOrder()
        self.lanes[Int(lane)].seen = SeenEvents()
        self.lanes[Int(lane)].remembering = []
        self.freeLanes.append(lane)
    }

    /// Repetitions run from here on.
    private mutating func forgetSeen(_ trigger: Int32) {
        guard self.triggers[Int(trigger)].plan.kind == .topic else { return }
        for lane in self.triggers[Int(trigger)].lanes where lane >= 0 { self.lanes[Int(lane)].seen = SeenEvents() }
    }

    /// Opens one partition of a trigger at its durable state; `bounds` is what the log holds now. For a table the state
    /// is ignored.
    /// - Parameter group: whose ledger is written together with this one's.
    public mutating func open(
        _ trigger: TriggerID, partition: Int, state: LedgerState, bounds: OffsetBounds, group: LedgerGroup = .whole,
        now: Timestamp
    ) {
        guard let slot = self.slot(of: trigger), partition >= 0, partition < Limits.partitionsPerTopic else { return }
        while self.triggers[Int(slot)].lanes.count <= partition { self.triggers[Int(slot)].lanes.append(-1) }
        if self.triggers[Int(slot)].plan.kind == .table {
            self.openTable(slot, partition: partition, bounds: bounds, now: now)
            return
        }
        guard self.triggers[Int(slot)].lanes[partition] < 0 else {
            self.grew(trigger, partition: partition, end: bounds.end, now: now)
            return
        }
        let function = self.triggers[Int(slot)].function
        let ledger = Ledger(state, start: bounds.start, fault: self.fault)
        let lost = ledger.lost
        var lane = Lane(
            generation: 1, trigger: slot, function: function, partition: partition, group: group.rawValue,
            ledger: ledger, end: max(bounds.end, bounds.start), isHeld: self.isHeld(slot)
        )
        while self.writes.count <= group.rawValue { self.writes.append(LedgerWriting()) }
        let place: Int32
        if let free = self.freeLanes.popLast() {
            place = free
            lane.generation = self.lanes[Int(place)].generation
            self.lanes[Int(place)] = lane
        } else {
            place = Int32(self.lanes.count)
            self.lanes.append(lane)
        }
        self.triggers[Int(slot)].lanes[partition] = place
        if lost.count > 0 { self.recordsLost(place, lost) }
        self.considerFetch(place)
    }

    /// What retention took before it was read is lost. What had failed before is known well enough to be a dead letter.
    private mutating func recordsLost(_ lane: Int32, _ lost: (count: Int64, pending: [LedgerState.Pending])) {
        let trigger = self.lanes[Int(lane)].trigger
        self.triggers[Int(trigger)].counters.lost += lost.count - Int64(lost.pending.count)
        for pending in lost.pending { self.lanes[Int(lane)].ledger.admitExpired(pending) }
        for pending in lost.pending {
            guard let slot = self.lanes[Int(lane)].ledger.find(pending.offset) else { continue }
            self.expire(lane, slot)
        }
        self.markDirty(lane)
    }

    /// No dispatch of triggers with outputs while true.
    public mutating func setLogShort(_ isShort: Bool, now: Timestamp) {
        guard isShort != self.isLogShort else { return }
        self.isLogShort = isShort
        for function in self.functions.indices where !self.functions[function].isRemoved {
            let hasOutputs = self.functions[function].triggers.contains { self.triggers[Int($0)].plan.hasOutputs }
            guard hasOutputs else { continue }
            self.rebuild(Int32(function), now: now)
            self.schedule(Int32(function), now: now)
        }
    }

    func isHeld(_ trigger: Int32) -> Bool {
        let state = self.triggers[Int(trigger)]
        return self.isPaused(trigger) || state.isRefused || (self.isLogShort && state.plan.hasOutputs)
    }

    /// No dispatch of a trigger while true: the log does not take what it puts out.
    public mutating func setRefused(_ trigger: TriggerID, _ isRefused: Bool, now: Timestamp) {
        guard let slot = self.slot(of: trigger), self.triggers[Int(slot)].isRefused != isRefused else { return }
        self.triggers[Int(slot)].isRefused = isRefused
        let function = self.triggers[Int(slot)].function
        self.rebuild(function, now: now)
        self.schedule(function, now: now)
    }

    func isPaused(_ trigger: Int32) -> Bool {
        let state = self.triggers[Int(trigger)]
        return state.plan.isPaused || self.functions[Int(state.function)].plan.isPaused
    }

    /// Makes what may run anew from what there is, after a change of what is held: rare, so it need not be clever.
    mutating func rebuild(_ function: Int32, now: Timestamp) {
        self.functions[Int(function)].ring.removeAll()
        self.functions[Int(function)].ready = 0
        self.functions[Int(function)].gatherer = self.functions[Int(function)].plan.batch.map { BatchGatherer($0) }
        for trigger in self.functions[Int(function)].triggers where self.triggers[Int(trigger)].plan.kind == .topic {
            let isHeld = self.isHeld(trigger)
            for lane in self.triggers[Int(trigger)].lanes where lane >= 0 {
                self.lanes[Int(lane)].isHeld = isHeld || self.lanes[Int(lane)].isLeaving
                self.lanes[Int(lane)].isQueued = false
                let ready = self.lanes[Int(lane)].ledger.ready.count
                guard !self.lanes[Int(lane)].isHeld, ready > 0 else { continue }
                self.becameReady(lane, count: ready, bytes: self.lanes[Int(lane)].ledger.readyBytes, now: now)
            }
        }
        let queue = self.functions[Int(function)].queue
        if queue.count > 0, !self.functions[Int(function)].plan.isPaused {
            var bytes = 0
            var slot = queue.first
            while slot != Requests.none {
                bytes += Int(self.requests[slot].bytes)
                slot = self.requests[slot].after
            }
            self.functions[Int(function)].ring.append(FunctionState.requestSource)
            self.functions[Int(function)].ready += queue.count
            self.functions[Int(function)].gatherer?.add(count: queue.count, bytes: bytes, now: now)
        }
    }

    /// Work of a lane that may run came up.
    mutating func becameReady(_ lane: Int32, count: Int, bytes: Int, now: Timestamp) {
        guard !self.lanes[Int(lane)].isHeld else { return }
        let function = Int(self.lanes[Int(lane)].function)
        self.functions[function].ready += count
        self.functions[function].times.came(count, now: now)
        self.functions[function].gatherer?.add(count: count, bytes: bytes, now: now)
        if !self.lanes[Int(lane)].isQueued {
            self.lanes[Int(lane)].isQueued = true
            self.functions[function].ring.append(lane)
        }
    }
}
