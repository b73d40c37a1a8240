internal import ApusCore

/// Workers that serve one invocation each (`reuse: never`): they are started ahead of the work, given one invocation,
/// killed.
extension Engine {
    /// How many of the function's workers should wait ready now, and the memory set aside for them.
    mutating func pooled(_ function: Int32, now: Timestamp) -> Int {
        let place = Int(function)
        let plan = self.functions[place].plan
        let others = self.pooledMemory - self.functions[place].pooledMemory
        var count = 0
        if plan.reuse == .never, !plan.isPaused, !self.functions[place].isRemoved, !self.isDraining {
            let wanted = self.functions[place].demand.target(idle: plan.scale.idle, now: now)
            let room = max(0, self.configuration.pooledMemory - others) / max(1, plan.memoryBytes)
            // What the manifest asks for by number is given; what demand suggests has to fit.
            count = min(max(min(wanted, room), plan.scale.min), plan.scale.max)
        }
        self.functions[place].pooledMemory = count * plan.memoryBytes
        self.pooledMemory = others + self.functions[place].pooledMemory
        return count
    }

    /// Whether one worker less would still do.
    mutating func hasSpareOneShot(_ function: Int32, now: Timestamp) -> Bool {
        let place = Int(function)
        let used = self.functions[place].ready + self.functions[place].running
        return self.functions[place].pool.live > used + self.pooled(function, now: now)
    }

    /// Whether a worker that starts serves no work that is there: it takes the place of one that was given work and is busy with it.
    public func isAhead(_ worker: WorkerID) -> Bool {
        guard let slot = self.slot(of: worker), self.workers[Int(slot)].isOneShot else { return false }
        let state = self.functions[Int(self.workers[Int(slot)].function)]
        return state.ready == 0 && state.queue.count == 0 && state.running > 0
    }

    /// When a pool that is needed now may be needed no more.
    func poolMayShrink(_ function: Int32, now: Timestamp) -> Timestamp? {
        let state = self.functions[Int(function)]
        guard state.plan.reuse == .never, state.pool.live > state.plan.scale.min else { return nil }
        return state.demand.warmUntil(idle: state.plan.scale.idle, now: now)
    }

    /// A worker that serves one invocation was given it.
    mutating func spend(_ worker: Int32, now: Timestamp) {
        guard self.workers[Int(worker)].isOneShot else { return }
        let isHit = !self.workers[Int(worker)].isFresh
        self.functions[Int(self.workers[Int(worker)].function)].demand.used(isHit: isHit, now: now)
    }
}
