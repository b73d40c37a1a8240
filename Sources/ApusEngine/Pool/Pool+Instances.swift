public import ApusCore

/// What the host and the shards report of instances. What comes for one that is gone is nothing.
extension Pool {
    /// What may happen to an instance on the host.
    public enum Report: Sendable, Hashable, CaseIterable {
        case fetched, forked, loaded, warmed, woken
        /// Its weights are in the host's memory, and the devices have theirs back.
        case slept
        /// It crashed, was killed, or did not start in time.
        case failed
        /// Its process is gone; the devices have their memory back.
        case returned
        /// Its process is gone; its memory is still in use.
        case leaked
    }

    public mutating func report(_ instance: InstanceID, _ report: Report, now: Timestamp) {
        guard let slot = self.slot(of: instance) else { return }
        switch report {
        case .fetched: self.fetched(slot, now: now)
        case .forked:
            guard self.move(slot, .forked, .progress, now: now) else { return }
            self.openGates(self.instances[Int(slot)].devices, now: now)
            self.openWithoutGate(slot, now: now)
        case .loaded: self.move(slot, .loaded, .progress, now: now)
        case .warmed: self.started(slot, .warmed, now: now)
        case .woken: self.started(slot, .woken, now: now)
        case .slept: self.slept(slot, now: now)
        case .failed: self.failed(slot, now: now)
        case .returned:
            guard self.move(slot, .returned, .ended, now: now) else { return }
            self.forget(slot, now: now)
            self.serveWaiting(now: now)
        case .leaked:
            guard self.move(slot, .leaked, .ended, now: now) else { return }
            for device in self.instances[Int(slot)].devices {
                self.quarantine(device, "memory of an instance that is gone is still in use", now: now)
            }
        }
    }

    /// The shard gave work to an instance.
    public mutating func used(_ instance: InstanceID, _ count: Int = 1, now: Timestamp) {
        guard let slot = self.slot(of: instance), self.move(slot, .use(count), .use, now: now) else { return }
        let function = Int(self.instances[Int(slot)].function)
        self.functions[function].rate.count(count, now: now)
        self.functions[function].failures = 0
        self.functions[function].isPrewarming = false
    }

    /// So many invocations ended in an instance.
    public mutating func released(_ instance: InstanceID, _ count: Int = 1, now: Timestamp) {
        guard let slot = self.slot(of: instance), self.move(slot, .released(count), .release, now: now) else { return }
        guard self.instances[Int(slot)].state == .ready else { return }
        self.becameIdle(slot, now: now)
        let isResting = self.instances[Int(slot)].passage == .resting
        if isResting { self.charge(self.instances[Int(slot)].function, now: now) }
        if isResting || self.isRoomWanted(of: slot) { self.leave(slot, .eviction, now: now) }
        // Others may wait for its room.
        if !self.waiting.isEmpty { self.serveWaiting(now: now) }
    }

    /// A draining instance has nothing left.
    public mutating func drained(_ instance: InstanceID, now: Timestamp) {
        guard let slot = self.slot(of: instance), self.instances[Int(slot)].state == .draining else { return }
        self.kill(slot, .stop, .progress, now: now)
    }

    private mutating func started(_ slot: Int32, _ event: InstanceEvent, now: Timestamp) {
        guard self.move(slot, event, .progress, now: now) else { return }
        let place = Int(slot)
        let function = Int(self.instances[place].function)
        if event == .woken { self.hostBytes -= self.functions[function].plan.hostBytes }
        // From where what was fetched for it lay then.
        let tier = self.instances[place].startTier == .remote ? .disk : self.instances[place].startTier
        self.estimator.observe(now - self.instances[place].startedAt, function: function, from: tier)
        for device in self.instances[place].devices { self.devices[device.index].ledger.ended(slot) }
        self.instances[place].readyAt = now
        self.instances[place].chargedAt = now
        self.becameIdle(slot, now: now)
        self.openGates(self.instances[place].devices, now: now)
        if self.functions[function].isRemoved { return self.end(slot, .removal, now: now) }
        self.rolledOut(slot, now: now)
    }

    private mutating func slept(_ slot: Int32, now: Timestamp) {
        let place = Int(slot)
        guard self.instances[place].state == .sleeping, self.instances[place].passage == .leaving else { return }
        let plan = self.functions[Int(self.instances[place].function)].plan
        self.instances[place].passage = .settled
        for device in self.instances[place].devices {
            let index = device.index
            let promised = self.devices[index].ledger.promised(to: slot)
            self.devices[index].ledger.left(Swift.max(0, promised - plan.residueBytes))
            let isLess = self.devices[index].ledger.promise(Swift.min(promised, plan.residueBytes), to: slot)
            precondition(isLess, "a smaller promise was refused")
        }
        self.openGates(self.instances[place].devices, now: now)
        self.serveWaiting(now: now)
    }

    mutating func failed(_ slot: Int32, now: Timestamp) {
        let function = Int(self.instances[Int(slot)].function)
        let before = self.instances[Int(slot)].state
        // One that does not wake is started anew at once: that its weights could not come back says nothing of a start from disk.
        let wasStarting = { if case .starting = before { before != .starting(.waking) } else { false } }()
        self.kill(slot, .failed, .failure, now: now)
        if wasStarting {
            self.functions[function].failures += 1
            let step = Int64(1) << Int64(Swift.min(self.functions[function].failures - 1, 20))
            self.functions[function].blockedUntil =
                now + Swift.min(.seconds(step), Limits.Pool.startBackoffMax)
            self.setTimer(function: Int32(function), due: self.functions[function].blockedUntil)
            self.rollBack(slot, now: now)
        }
        self.balance(Int32(function), now: now)
    }
}
