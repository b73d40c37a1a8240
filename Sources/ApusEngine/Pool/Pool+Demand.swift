public import ApusCore

/// How many instances a function has, and how many it should have.
extension Pool {
    public mutating func deploy(_ plan: PoolFunction, now: Timestamp) {
        if let slot = self.functionSlots[plan.function] {
            let isNewer = plan.generation != self.functions[Int(slot)].plan.generation
            self.functions[Int(slot)].plan = plan
            self.functions[Int(slot)].failures = 0
            self.functions[Int(slot)].blockedUntil = .zero
            if isNewer {
                self.estimator.forget(function: Int(slot))
                self.rollOut(slot, now: now)
            }
            return self.balance(slot, now: now)
        }
        let slot = Int32(self.functions.count)
        self.functions.append(Function(plan: plan))
        self.functionSlots[plan.function] = slot
        self.balance(slot, now: now)
    }

    public mutating func remove(_ function: FunctionID, now: Timestamp) {
        guard let slot = self.functionSlots.removeValue(forKey: function) else { return }
        self.functions[Int(slot)].isRemoved = true
        self.functions[Int(slot)].queued = 0
        self.waiting.remove(slot)
        for instance in self.functions[Int(slot)].instances { self.end(instance, .removal, now: now) }
    }

    /// The shard's count of what runs and what waits for an instance changed.
    public mutating func demand(_ function: FunctionID, running: Int, queued: Int, now: Timestamp) {
        guard let slot = self.functionSlots[function] else { return }
        let place = Int(slot)
        let (before, after) = (self.functions[place].running + self.functions[place].queued, running + queued)
        self.functions[place].running = running
        self.functions[place].queued = queued
        if before > 0, after == 0 {
            self.functions[place].idleSince = now
        } else if before == 0, after > 0, self.functions[place].idleSince > .zero {
            // The gap ends when the work comes, however long it then waits for an instance.
            self.policy.observe(gap: now - self.functions[place].idleSince, of: place)
        }
        self.balance(slot, now: now)
    }

    /// Instances that the work asks for: what runs, and what waits.
    func wanted(_ slot: Int32) -> Int {
        let function = self.functions[Int(slot)]
        guard !function.isRemoved else { return 0 }
        let work = Swift.max(
            function.running + function.queued, function.rollout == .starting || function.isPrewarming ? 1 : 0)
        let perInstance = Swift.max(1, function.plan.concurrency)
        return Swift.min(Swift.max((work + perInstance - 1) / perInstance, function.plan.min), function.plan.max)
    }

    /// Starts what is missing. Nothing is stopped here: what is too many becomes idle, and leaves when its policy says.
    mutating func balance(_ slot: Int32, now: Timestamp) {
        let place = Int(slot)
        guard self.seatFetched(slot, now: now) else { return self.awaitRoom(slot, now: now) }
        var missing = self.wanted(slot) - self.capacity(slot)
        guard missing > 0, now >= self.functions[place].blockedUntil else { return }
        // After a failure one at a time, until one has shown that it works.
        if self.functions[place].failures > 0 { missing = Swift.min(missing, 1 - self.functions[place].starting) }
        while missing > 0 {
            guard self.seek(slot, now: now) else { return self.awaitRoom(slot, now: now) }
            missing -= 1
        }
        self.waiting.remove(slot)
        if self.waiting.isEmpty { self.contendedSince = nil }
    }

    private mutating func awaitRoom(_ slot: Int32, now: Timestamp) {
        if self.contendedSince == nil { self.contendedSince = now }
        self.makeWay(slot, now: now)
        _ = self.waiting.insert(slot, time: self.functions[Int(slot)].virtualTime)
        self.retryWaiting(now: now)
    }

    /// Room came free: whoever was served least is next. One that still finds none waits on, and so do those behind it, or
    /// large functions would starve.
    mutating func serveWaiting(now: Timestamp) {
        while let slot = self.waiting.popFirst() {
            self.balance(slot, now: now)
            guard !self.waiting.contains(slot) else { return }
        }
    }
}
