internal import ApusCore

/// Functions whose workers serve one principal each (`reuse: principal`): what one left in a worker's memory no other meets.
///
/// A worker is nobody's until its first invocation. Each principal has one; what else it asks for waits for that. Deliveries have no
/// principal and share a worker of their own.
extension Engine {
    /// The owner of what no principal asked for.
    private static let nobody: UInt64 = 0

    /// Gives what waits to its owner's worker, or to one that is nobody's yet.
    mutating func dispatchOwned(_ function: Int32, now: Timestamp) {
        let place = Int(function)
        var slot = self.functions[place].queue.first
        while slot != Requests.none {
            let (next, owner) = (self.requests[slot].after, self.requests[slot].owner)
            if let worker = self.worker(of: owner, in: function) {
                self.requests.take(slot, queue: &self.functions[place].queue)
                if self.functions[place].queue.count == 0 {
                    self.functions[place].ring.remove(FunctionState.requestSource)
                }
                self.leaveReady(place, bytes: Int(self.requests[slot].bytes))
                self.workers[Int(worker)].owner = owner
                self.dispatch(.request(slot), to: worker, of: function, now: now)
            }
            slot = next
        }
        while let worker = self.worker(of: Self.nobody, in: function),
            let item = self.takeNext(function, fed: 0, Gathered(), isDelivery: true, now: now)
        {
            self.workers[Int(worker)].owner = Self.nobody
            self.dispatch(item, to: worker, of: function, now: now)
        }
    }

    /// The worker with credit that may serve an owner: its own, or one that is nobody's while it has none.
    private func worker(of owner: UInt64, in function: Int32) -> Int32? {
        var free: Int32?
        for slot in self.functions[Int(function)].workers {
            let worker = self.workers[Int(slot)]
            guard worker.phase == .ready else { continue }
            if worker.owner == owner { return worker.credits > 0 ? slot : nil }
            if worker.owner == nil, worker.credits > 0, free == nil { free = slot }
        }
        return free
    }

    /// How many workers to start: one for each owner that waits and has none, less those that start or are nobody's. Where there is no
    /// place for one, whoever has not used its own for longest gives it up.
    mutating func ownedStarts(_ function: Int32, now: Timestamp) -> Int {
        let state = self.functions[Int(function)]
        if state.isWarming, state.pool.total == 0, state.ready == 0 { return 1 }
        guard state.ready > 0 else { return 0 }
        var waiting: Set<UInt64> = []
        var slot = state.queue.first
        while slot != Requests.none {
            waiting.insert(self.requests[slot].owner)
            slot = self.requests[slot].after
        }
        if state.ready > state.queue.count { waiting.insert(Self.nobody) }
        var free = 0
        for slot in state.workers {
            let worker = self.workers[Int(slot)]
            guard worker.phase == .starting || worker.phase == .ready else { continue }
            if let owner = worker.owner { waiting.remove(owner) } else { free += 1 }
        }
        let missing = waiting.count - free
        guard missing > 0 else { return 0 }
        let room = state.plan.scale.max - state.pool.total
        if room <= 0, state.idle.last != FunctionState.noWorker { self.retire(state.idle.last, now: now) }
        let bound = state.pool.failures == 0 ? missing : min(missing, 1 - state.pool.starting)
        return max(0, min(bound, room))
    }
}
