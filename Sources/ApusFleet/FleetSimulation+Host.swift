internal import ApusCore
internal import ApusEngine

/// Processes and devices: what a host does live, and what goes wrong there.
extension FleetSimulation {
    /// There is no process yet, and no device.
    mutating func fetch(_ instance: InstanceID, _ function: Int) {
        self.processes[instance.slot].function = function
        self.processes[instance.slot].origin = .remote
        self.processes[instance.slot].devices = []
        self.begin(.fetched(instance), instance, after: self.models[function].times.fetch)
    }

    mutating func start(_ instance: InstanceID, _ function: Int, from tier: Tier) {
        let slot = instance.slot
        self.processes[slot].function = function
        self.processes[slot].origin = tier
        self.processes[slot].free = 0
        self.processes[slot].running = []
        self.processes[slot].isOpen = false
        self.processes[slot].isResting = false
        self.processes[slot].isAlive = true
        self.processes[slot].held = 0
        self.begin(.forked(instance), instance, after: self.models[function].times.fork)
    }

    /// Schedules the end of a step, or what happens in its place.
    mutating func begin(_ step: Step, _ instance: InstanceID, after span: TimeSpan) {
        if self.chances(self.fleet.faults?.crash) {
            return self.schedule(.crashed(instance), after: TimeSpan(microseconds: span.microseconds / 2))
        }
        if self.chances(self.fleet.faults?.hang) {
            // One that starts is given up by the pool; one that should sleep, and a fetch, by the host.
            switch step {
            case .slept, .fetched: self.schedule(.crashed(instance), after: .seconds(30))
            default: break
            }
            return
        }
        let isSlow = self.chances(self.fleet.faults?.slow)
        self.schedule(step, after: isSlow ? TimeSpan(microseconds: span.microseconds * 10) : span)
    }

    mutating func stop(_ instance: InstanceID) {
        self.lose(instance)
        self.schedule(.gone(instance, isClean: !self.chances(self.fleet.faults?.leak)), after: self.model(instance).times.stop)
    }

    mutating func perform(_ step: Step) {
        switch step {
        case .fetched(let instance):
            let function = self.functions[self.processes[instance.slot].function].id
            guard self.pool.state(of: instance) == .starting(.fetching) else { return }
            // It stays on the disk, whatever becomes of this start.
            self.tell(.message(.fetches(function, nil)))
            self.tell(.message(.report(instance, .fetched)))
        case .forked(let instance): self.tell(.message(.report(instance, .forked)))
        case .loaded(let instance):
            self.tell(.message(.report(instance, .loaded)))
            self.tell(.message(.report(instance, .warmed)))
            self.ready(instance)
        case .woken(let instance):
            self.tell(.message(.report(instance, .woken)))
            self.ready(instance)
        case .slept(let instance):
            if self.fleet.broken != .ledgerEqualsObserved {
                self.processes[instance.slot].held = min(self.model(instance).plan.residueBytes, self.model(instance).plan.deviceBytes)
            }
            self.tell(.message(.report(instance, .slept)))
            // Some do not live to be woken: those that are awake again by then die at work.
            if self.chances(self.fleet.faults?.crash) { self.schedule(.crashed(instance), after: .seconds(60)) }
        case .gone(let instance, let isClean): self.gone(instance, isClean: isClean)
        case .done(let instance, let index): self.finish(instance, index)
        case .crashed(let instance): self.tell(.message(.report(instance, .failed)))
        case .deviceLost(let device):
            self.report.lostDevices += 1
            self.tell(.lost(DeviceID(device)))
            self.schedule(.deviceCleared(device), after: .seconds(120))
        case .deviceCleared(let device):
            self.invariants.cleared(device)
            for slot in self.processes.indices
            where self.processes[slot].state == .quarantined && self.processes[slot].devices.contains(DeviceID(device))
            {
                self.processes[slot].held = 0
            }
            self.tell(.cleared(DeviceID(device)))
        }
    }

    private mutating func ready(_ instance: InstanceID) {
        // An instance that a newer revision replaces, or that was told to stop meanwhile, takes no work.
        guard self.pool.state(of: instance) == .ready else { return }
        self.processes[instance.slot].free = 0
        self.processes[instance.slot].isResting = false
        self.open(instance, self.model(instance).plan.concurrency)
        self.serve(self.processes[instance.slot].function)
    }

    private mutating func gone(_ instance: InstanceID, isClean: Bool) {
        if self.fleet.broken != .noOrphan { self.processes[instance.slot].isAlive = false }
        if !isClean, self.fleet.broken == .memoryReturns {
            self.invariants.leaked(self.pool.devices(of: instance))
            return self.tell(.message(.report(instance, .returned)))
        }
        if isClean {
            self.processes[instance.slot].held = 0
        } else {
            self.invariants.leaked(self.pool.devices(of: instance))
        }
        self.tell(.message(.report(instance, isClean ? .returned : .leaked)))
        guard !isClean else { return }
        // An operator sees to it.
        for device in self.pool.devices(of: instance) {
            self.schedule(.deviceCleared(device.index), after: .seconds(600))
        }
    }

    mutating func chances(_ inThousand: Int?) -> Bool {
        guard let inThousand, let faults = self.fleet.faults, self.now < faults.until else { return false }
        return Int.random(in: 0..<1_000, using: &self.chance) < inThousand
    }
}
