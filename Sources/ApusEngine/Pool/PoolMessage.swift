public import ApusCore

/// What shards tell the pool: values, so that it may live on another thread, or in a simulator.
public enum PoolMessage: Sendable, Equatable {
    case deploy(PoolFunction)
    case remove(FunctionID)
    /// What runs, and what waits for an instance.
    case demand(FunctionID, running: Int, queued: Int)
    /// How much runs in it, since that changed, and how often it was given work meanwhile.
    case occupied(InstanceID, running: Int, uses: Int)
    /// It has the hooks that let it sleep, or it has not.
    case sleeps(InstanceID, Bool)
    case report(InstanceID, Pool.Report)
    /// How long what a function lacks on this machine's disk may take to come; nil once all is there.
    case fetches(FunctionID, TimeSpan?)
    /// It was told to sleep, and had been given work before it heard of that: it stays awake.
    case stayed(InstanceID, running: Int)
    /// Its process ended. ``Pool/Report/returned`` or `leaked` follows.
    case ended(InstanceID)
}

extension Pool {
    public mutating func receive(_ message: PoolMessage, now: Timestamp) {
        switch message {
        case .deploy(let plan): self.deploy(plan, now: now)
        case .remove(let function): self.remove(function, now: now)
        case .demand(let function, let running, let queued):
            self.demand(function, running: running, queued: queued, now: now)
        case .occupied(let instance, let running, let uses):
            self.occupied(instance, running: running, uses: uses, now: now)
        case .sleeps(let instance, let canSleep):
            if let slot = self.slot(of: instance) { self.instances[Int(slot)].canSleep = canSleep }
        case .report(let instance, let report): self.report(instance, report, now: now)
        case .fetches(let function, let span):
            if let slot = self.functionSlots[function] { self.functions[Int(slot)].plan.fetch = span }
        case .stayed(let instance, let running): self.stayed(instance, running: running, now: now)
        case .ended(let instance): self.ended(instance, now: now)
        }
    }

    private mutating func occupied(_ instance: InstanceID, running: Int, uses: Int, now: Timestamp) {
        guard let slot = self.slot(of: instance) else { return }
        let before = if case .busy(let count) = self.instances[Int(slot)].state { count } else { 0 }
        if running > before {
            self.used(instance, running - before, now: now)
        } else if running < before {
            self.released(instance, before - running, now: now)
        } else if uses > 0, running == 0 {
            // It was used and is idle again: what counts is when it was used last.
            self.used(instance, 1, now: now)
            self.released(instance, 1, now: now)
        }
    }

    /// The pool spoke to an instance that had work already: it is as it was.
    private mutating func stayed(_ instance: InstanceID, running: Int, now: Timestamp) {
        guard let slot = self.slot(of: instance), self.instances[Int(slot)].passage == .leaving,
            self.move(slot, .stayed(running), .use, now: now)
        else { return }
        let place = Int(slot)
        let plan = self.functions[Int(self.instances[place].function)].plan
        self.instances[place].passage = .settled
        self.hostBytes -= plan.hostBytes
        for device in self.instances[place].devices {
            let promised = self.devices[device.index].ledger.promised(to: slot)
            self.devices[device.index].ledger.left(Swift.max(0, promised - plan.residueBytes))
        }
        if running == 0 { self.becameIdle(slot, now: now) }
        // It would be given work again and again, and the newest revision never start.
        if self.isReplaced(slot) { self.end(slot, .rollout, now: now) }
    }

    /// Its process is gone: expected, or as a failure.
    private mutating func ended(_ instance: InstanceID, now: Timestamp) {
        guard let slot = self.slot(of: instance) else { return }
        switch self.instances[Int(slot)].state {
        case .stopped, .absent, .quarantined: break
        case .draining: self.kill(slot, .stop, .ended, now: now)
        case .starting, .ready, .busy, .sleeping: self.failed(slot, now: now)
        }
    }
}
