public import ApusCore

/// Where a start goes: the place with the least waiting, the value of what has to leave for it included.
extension Pool {
    private struct Candidate {
        var cost: Double
        /// To wake; nil starts anew.
        var sleeper: Int32?
        var devices: [DeviceID]
        var victims: [Int32]
    }

    /// Starts or wakes one instance.
    /// - Returns: false when there is no room, even by evicting what is idle.
    mutating func seek(_ slot: Int32, now: Timestamp) -> Bool {
        // One that is on its way to sleep is woken when it has got there: its room here is as good as another's.
        guard !self.isFallingAsleep(slot) else { return false }
        if let best = self.bestWake(slot, now: now), let sleeper = best.sleeper {
            for victim in best.victims { self.leave(victim, .eviction, now: now) }
            self.place(sleeper, from: .host, now: now)
            return true
        }
        if self.functions[Int(slot)].plan.fetch != nil, self.isPossible(slot) {
            self.fetch(slot, now: now)
            return true
        }
        guard let best = self.bestStart(slot, now: now) else { return false }
        for victim in best.victims { self.leave(victim, .eviction, now: now) }
        self.place(self.makeInstance(slot, on: best.devices), from: .disk, now: now)
        return true
    }

    /// Gives devices to those whose weights have come. Those for whom nobody waits any more end: their weights stay on the disk.
    /// - Returns: false where there is no room for one.
    mutating func seatFetched(_ slot: Int32, now: Timestamp) -> Bool {
        guard self.functions[Int(slot)].starting > 0 else { return true }
        for instance in self.functions[Int(slot)].instances where self.instances[Int(instance)].passage == .seeking {
            guard self.wanted(slot) >= self.capacity(slot) else {
                self.end(instance, .idle, now: now)
                continue
            }
            guard let best = self.bestStart(slot, now: now) else { return false }
            for victim in best.victims { self.leave(victim, .eviction, now: now) }
            self.instances[Int(instance)].devices = best.devices
            for device in best.devices { self.devices[device.index].instances.append(instance) }
            self.place(instance, from: .remote, now: now)
        }
        return true
    }

    /// Whether its devices would have the memory that it asks for, were they empty: else nothing is fetched for it.
    private func isPossible(_ slot: Int32) -> Bool {
        let function = self.functions[Int(slot)]
        guard function.rollout != .failed else { return false }
        let fitting = self.devices.lazy.filter {
            $0.ledger.health != .lost && $0.ledger.usable >= function.plan.deviceBytes
                && (function.plan.kind == nil || function.plan.kind == $0.kind)
        }
        return fitting.prefix(function.plan.deviceCount).count == function.plan.deviceCount
    }

    /// A sleeping instance is bound to its devices: its process has their contexts.
    private func bestWake(_ slot: Int32, now: Timestamp) -> Candidate? {
        guard self.functions[Int(slot)].sleeping > 0 else { return nil }
        var best: Candidate?
        for instance in self.functions[Int(slot)].instances
        where self.instances[Int(instance)].state == .sleeping && self.instances[Int(instance)].passage == .settled
            && self.serves(instance)
        {
            let devices = self.instances[Int(instance)].devices
            guard let found = self.room(for: slot, on: devices, besides: instance, now: now) else { continue }
            let wait = devices.map { self.wait(at: $0.index, now: now) }.max() ?? .zero
            let cost = Self.cost(of: found.value, wait)
            if cost < best?.cost ?? .infinity {
                best = Candidate(cost: cost, sleeper: instance, devices: devices, victims: found.victims)
            }
        }
        return best
    }

    func isFallingAsleep(_ slot: Int32) -> Bool {
        self.functions[Int(slot)].sleeping > 0
            && self.functions[Int(slot)].instances.contains {
                self.instances[Int($0)].state == .sleeping && self.instances[Int($0)].passage == .leaving
                    && self.serves($0)
            }
    }

    private func bestStart(_ slot: Int32, now: Timestamp) -> Candidate? {
        guard self.functions[Int(slot)].rollout != .failed else { return nil }
        let plan = self.functions[Int(slot)].plan
        if plan.deviceCount == 0 { return Candidate(cost: 0, sleeper: nil, devices: [], victims: []) }
        if plan.deviceCount == 1, let device = self.roomyDevice(plan, now: now) {
            return Candidate(cost: 0, sleeper: nil, devices: [device], victims: [])
        }
        var places: [Candidate] = []
        // Of many devices some are as good as all, and another start looks at others.
        let first = self.devices.count > Limits.Pool.devicesWeighed ? Int(self.lastInstance) : 0
        for step in self.devices.indices {
            if step >= Limits.Pool.devicesWeighed, places.count >= plan.deviceCount { break }
            let index = (first + step) % self.devices.count
            let device = DeviceID(index)
            guard self.devices[index].ledger.health == .working,
                plan.kind == nil || plan.kind == self.devices[index].kind,
                let found = self.room(for: slot, on: [device], besides: nil, now: now)
            else { continue }
            // An empty device is taken last of equals: a large model may want it whole.
            let spread = self.devices[index].ledger.instances == 0 ? 1e-9 : 0
            let cost = Self.cost(of: found.value, self.wait(at: index, now: now)) + spread
            if plan.deviceCount == 1, cost >= places.first?.cost ?? .infinity { continue }
            let candidate = Candidate(cost: cost, sleeper: nil, devices: [device], victims: found.victims)
            if plan.deviceCount == 1 { places = [candidate] } else { places.append(candidate) }
        }
        guard places.count >= plan.deviceCount else { return nil }
        if plan.deviceCount == 1 { return places.first }
        let chosen = places.sorted { $0.cost < $1.cost }.prefix(plan.deviceCount)
        return Candidate(
            cost: chosen.reduce(0) { $0 + $1.cost }, sleeper: nil, devices: chosen.flatMap(\.devices).sorted(),
            victims: Array(Set(chosen.flatMap(\.victims))))
    }

    /// One where nobody has to leave: where the least has to be waited for, and of equals one that holds something already, since a
    /// large model may want an empty one whole.
    private func roomyDevice(_ plan: PoolFunction, now: Timestamp) -> DeviceID? {
        guard plan.deviceBytes > 0 else { return nil }
        var best: (device: Int, wait: TimeSpan, isEmpty: Bool)?
        var weighed = 0
        for index in self.devices.indices
        where self.devices[index].ledger.roomToClaim >= plan.deviceBytes
            && (plan.kind == nil || plan.kind == self.devices[index].kind)
        {
            let wait = self.wait(at: index, now: now)
            let isEmpty = self.devices[index].ledger.instances == 0
            if wait == .zero, !isEmpty { return DeviceID(index) }
            if best.map({ wait < $0.wait || wait == $0.wait && $0.isEmpty && !isEmpty }) ?? true {
                best = (index, wait, isEmpty)
            }
            // Where starts queue everywhere, some devices are as good as all.
            if wait > .zero { weighed += 1 }
            if weighed >= Limits.Pool.devicesWeighed { break }
        }
        return best.map { DeviceID($0.device) }
    }

    /// How long the starts that were placed on a device before take: they follow each other.
    private func wait(at index: Int, now: Timestamp) -> TimeSpan {
        // Nothing is copied: decisions ask of many devices.
        var wait = TimeSpan.zero
        if let starting = self.devices[index].ledger.starting {
            let end = self.instances[Int(starting)].startedAt + self.instances[Int(starting)].expected
            wait = end > now ? end - now : .zero
        }
        for slot in self.devices[index].gate { wait = wait + self.instances[Int(slot)].expected }
        return wait
    }

    /// Seconds of waiting, for the start and for those who leave for it: how much these would have been used in a while.
    private static func cost(of value: Double, _ wait: TimeSpan) -> Double {
        Double(wait.microseconds) * 1e-6 + value * Double(Limits.Pool.evictionHorizon.microseconds) * 1e-6
    }

    /// What has to leave the devices for an instance, and what keeping it would be worth. Nil when even then there is no room.
    private func room(
        for slot: Int32, on devices: [DeviceID], besides sleeper: Int32?, now: Timestamp
    ) -> (value: Double, victims: [Int32])? {
        let need = self.functions[Int(slot)].plan.deviceBytes
        var victims: [Int32] = []
        var value = 0.0
        for device in devices {
            guard self.devices[device.index].ledger.health == .working else { return nil }
            let own = sleeper.map { self.devices[device.index].ledger.promised(to: $0) } ?? 0
            var missing = need - own - self.devices[device.index].ledger.roomToClaim
            for victim in victims { missing -= self.devices[device.index].ledger.promised(to: victim) }
            guard missing > 0 else { continue }
            let ledger = self.devices[device.index].ledger
            let idle = self.devices[device.index].instances.filter {
                self.instances[Int($0)].state == .ready && self.isEvictable($0, now: now) && $0 != sleeper
                    && !victims.contains($0) && ledger.promised(to: $0) > self.residue($0)
            }
            guard !idle.isEmpty else { return nil }
            let ranked = idle.map { (victim: $0, worth: self.worth($0, now: now)) }.sorted { $0.worth < $1.worth }
            for (victim, worth) in ranked where missing > 0 {
                victims.append(victim)
                let freed = ledger.promised(to: victim) - self.residue(victim)
                missing -= freed
                value += worth.perByte * Double(freed)
            }
            guard missing <= 0 else { return nil }
        }
        return (value, victims)
    }

    func isEvictable(_ instance: Int32, now: Timestamp) -> Bool {
        let state = self.instances[Int(instance)]
        guard state.state == .ready, state.passage == .settled else { return false }
        let function = self.functions[Int(state.function)]
        // What a newer revision is to replace makes way for it.
        if function.rollout == .starting, state.revision != function.plan.generation { return true }
        guard now - state.since >= Limits.Pool.protection else { return false }
        // What the manifest asks for stays, and what has work waiting is about to be used.
        return function.capacity > function.plan.min && function.queued == 0
    }

    /// What an instance leaves on its device when it goes: nothing when it stops.
    func residue(_ instance: Int32) -> Int64 {
        self.canSleepNow(instance) ? self.functions[Int(self.instances[Int(instance)].function)].plan.residueBytes : 0
    }

    private func worth(_ instance: Int32, now: Timestamp) -> EvictionValue {
        let slot = Int(self.instances[Int(instance)].function)
        let reload = self.startEstimate(Int32(slot), from: self.canSleepNow(instance) ? .host : .disk)
        return EvictionValue(
            rate: self.functions[slot].rate.rate(now: now), reload: reload, weight: self.functions[slot].plan.weight,
            bytes: self.functions[slot].plan.deviceBytes)
    }

    /// How long its next start takes from where it is now, once there is room for it.
    /// - Returns: nil for a function that is not deployed.
    public func nextStart(of function: FunctionID) -> TimeSpan? {
        guard let slot = self.functionSlots[function] else { return nil }
        let state = self.functions[Int(slot)]
        return self.startEstimate(slot, from: state.sleeping > 0 ? .host : state.plan.fetch == nil ? .disk : .remote)
    }

    func startEstimate(_ slot: Int32, from tier: Tier) -> TimeSpan {
        let plan = self.functions[Int(slot)].plan
        let cold = self.estimator.estimate(function: Int(slot), from: .disk, prior: plan.coldPrior)
        return switch tier {
        case .device: .zero
        case .host: self.estimator.estimate(function: Int(slot), from: .host, prior: plan.wakePrior)
        case .disk: cold
        // What is left to fetch differs from start to start: it is told, not learned.
        case .remote: cold + (plan.fetch ?? .zero)
        }
    }

    /// Whether there is room in the host's memory for it to sleep.
    func canSleepNow(_ instance: Int32) -> Bool {
        let plan = self.functions[Int(self.instances[Int(instance)].function)].plan
        return plan.canSleep && self.instances[Int(instance)].canSleep
            && self.hostBytes + plan.hostBytes <= self.configuration.hostMemory
    }
}
