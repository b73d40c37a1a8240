internal import ApusCore

/// A newer revision takes the place of another. What is older serves until the newest is ready. Where the devices have no room for
/// both, the older one sleeps meanwhile; it is woken where the newest does not start, and stopped where it does.
extension Pool {
    /// Whether an instance counts as capacity, and may be woken: one of the newest revision, or of any where that did not start.
    func serves(_ slot: Int32) -> Bool {
        let instance = self.instances[Int(slot)]
        let function = self.functions[Int(instance.function)]
        return function.rollout == .failed || instance.revision == function.plan.generation
    }

    /// Instances that serve, or will without another decision.
    func capacity(_ slot: Int32) -> Int {
        let function = self.functions[Int(slot)]
        guard function.rollout == .starting else { return function.capacity }
        return function.instances.count { self.instances[Int($0)].state.isCapacity && self.serves($0) }
    }

    /// - Precondition: the function's plan is that of the newest revision.
    mutating func rollOut(_ slot: Int32, now: Timestamp) {
        let place = Int(slot)
        var hasServing = false
        for instance in self.functions[place].instances where !self.isNewest(instance) {
            switch self.instances[Int(instance)].state {
            case .ready, .busy: hasServing = true
            // It holds nothing that the newest needs, and may be wanted again.
            case .sleeping: hasServing = hasServing || self.instances[Int(instance)].passage == .settled
            case .starting: self.end(instance, .rollout, now: now)
            case .absent, .draining, .stopped, .quarantined: break
            }
        }
        self.functions[place].rollout = hasServing ? .starting : .none
    }

    /// It is ready: where it is of the newest revision, the others end; where it is an older one that was not woken for good, it does.
    mutating func rolledOut(_ slot: Int32, now: Timestamp) {
        let function = Int(self.instances[Int(slot)].function)
        guard self.isNewest(slot) else {
            if self.functions[function].rollout != .failed { self.end(slot, .rollout, now: now) }
            return
        }
        guard self.functions[function].rollout != .none else { return }
        self.functions[function].rollout = .none
        for instance in self.functions[function].instances where !self.isNewest(instance) {
            self.end(instance, .rollout, now: now)
        }
    }

    /// A start failed: where it was the newest's and there are older ones, these go on.
    mutating func rollBack(_ slot: Int32, now: Timestamp) {
        let function = Int(self.instances[Int(slot)].function)
        guard self.functions[function].rollout == .starting, self.isNewest(slot) else { return }
        let hasOlder = self.functions[function].instances.contains {
            !self.isNewest($0)
                && (self.instances[Int($0)].state.isCapacity || self.instances[Int($0)].state == .sleeping)
        }
        self.functions[function].rollout = hasOlder ? .failed : .none
        if hasOlder { self.functions[function].blockedUntil = now }
    }

    /// Whether it is of an older revision, and the newest starts.
    func isReplaced(_ slot: Int32) -> Bool {
        self.functions[Int(self.instances[Int(slot)].function)].rollout == .starting && !self.isNewest(slot)
    }

    /// There is no room for the newest while an older one works without a pause: one of them ends after what runs in it.
    mutating func makeWay(_ slot: Int32, now: Timestamp) {
        let function = self.functions[Int(slot)]
        let isLeaving = function.instances.contains { self.instances[Int($0)].state == .draining }
        guard function.rollout == .starting, !isLeaving else { return }
        let busy = function.instances.first { instance in
            if case .busy = self.instances[Int(instance)].state { !self.isNewest(instance) } else { false }
        }
        if let busy { self.end(busy, .rollout, now: now) }
    }

    private func isNewest(_ slot: Int32) -> Bool {
        let instance = self.instances[Int(slot)]
        return instance.revision == self.functions[Int(instance.function)].plan.generation
    }
}
