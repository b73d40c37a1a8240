internal import ApusCore

/// Functions that have work all the time take turns on devices that do not hold them all: who was served least for its weight is next,
/// and who is furthest ahead of it makes room, when what runs there is over.
extension Pool {
    /// What its instances held of devices while somebody waited moves the function's virtual time on.
    mutating func charge(_ slot: Int32, now: Timestamp) {
        guard let contendedSince = self.contendedSince else { return }
        let place = Int(slot)
        var service: Int64 = 0
        for instance in self.functions[place].instances where self.instances[Int(instance)].isServing {
            let from = Swift.max(self.instances[Int(instance)].chargedAt, contendedSince)
            guard from < now else { continue }
            service += (now - from).microseconds * Int64(self.instances[Int(instance)].devices.count)
            self.instances[Int(instance)].chargedAt = now
        }
        guard service > 0 else { return }
        self.functions[place].virtualTime = self.waiting.advance(
            self.functions[place].virtualTime, service: Double(service) * 1e-6, weight: self.functions[place].plan.weight)
    }

    /// Lets those rest whose turn is over and whose room would do for who waits first. Nobody where room comes free anyway.
    mutating func endTurns(now: Timestamp) {
        guard let waiter = self.waiting.first(), self.wanted(waiter) > self.capacity(waiter),
            !self.isFallingAsleep(waiter)
        else { return }
        self.charge(waiter, now: now)
        // Of equally many the first found.
        let best = self.resting(for: waiter, now: now).min { $0.count < $1.count }
        for slot in best ?? [] {
            if self.instances[Int(slot)].state == .ready {
                self.leave(slot, .eviction, now: now)
            } else {
                self.instances[Int(slot)].passage = .resting
                self.actions.append(.rest(self.id(slot)))
            }
        }
    }

    /// Who would have to rest for an instance of it, for each place where that would do.
    private mutating func resting(for waiter: Int32, now: Timestamp) -> [[Int32]] {
        let plan = self.functions[Int(waiter)].plan
        let sleepers = self.functions[Int(waiter)].instances.filter {
            self.instances[Int($0)].state == .sleeping && self.serves($0)
        }
        if !sleepers.isEmpty {
            return sleepers.compactMap { sleeper in
                self.resting(on: self.instances[Int(sleeper)].devices, for: waiter, besides: sleeper, now: now)
            }
        }
        var single: [[Int32]] = []
        for step in 0..<Swift.min(self.devices.count, Limits.Pool.devicesWeighed) {
            // Of many devices others are looked at each time.
            let index = (step + Int(self.lastInstance)) % self.devices.count
            guard plan.kind == nil || plan.kind == self.devices[index].kind else { continue }
            if let found = self.resting(on: [DeviceID(index)], for: waiter, besides: nil, now: now) { single.append(found) }
        }
        guard plan.deviceCount > 1 else { return single }
        guard single.count >= plan.deviceCount else { return [] }
        let chosen = single.sorted { $0.count < $1.count }.prefix(plan.deviceCount)
        // In one order, so that a run with the same seed is the same run.
        return [Set(chosen.joined()).sorted()]
    }

    private mutating func resting(
        on devices: [DeviceID], for waiter: Int32, besides sleeper: Int32?, now: Timestamp
    ) -> [Int32]? {
        var chosen: [Int32] = []
        for device in devices {
            guard self.devices[device.index].ledger.health == .working else { return nil }
            let own = sleeper.map { self.devices[device.index].ledger.promised(to: $0) } ?? 0
            var missing = self.functions[Int(waiter)].plan.deviceBytes - own - self.devices[device.index].ledger.roomToClaim
            var due: [(slot: Int32, lead: Double)] = []
            for slot in self.devices[device.index].instances where slot != sleeper {
                let freed = self.devices[device.index].ledger.promised(to: slot) - self.residue(slot)
                let isLeaving =
                    self.instances[Int(slot)].passage == .resting || self.instances[Int(slot)].state == .draining
                    || self.isEvictable(slot, now: now)
                if isLeaving || chosen.contains(slot) {
                    missing -= freed
                } else if freed > 0, let lead = self.leadOverTurn(slot, for: waiter, now: now) {
                    due.append((slot, lead))
                }
            }
            due.sort { ($0.lead, $1.slot) > ($1.lead, $0.slot) }
            for (slot, _) in due where missing > 0 {
                chosen.append(slot)
                missing -= self.devices[device.index].ledger.promised(to: slot) - self.residue(slot)
            }
            guard missing <= 0 else { return nil }
        }
        return chosen
    }

    /// How far its function is ahead of who waits; nil while its turn lasts.
    private mutating func leadOverTurn(_ slot: Int32, for waiter: Int32, now: Timestamp) -> Double? {
        let instance = self.instances[Int(slot)]
        let place = Int(instance.function)
        guard instance.function != waiter, instance.isServing, instance.passage == .settled,
            now - instance.readyAt >= Limits.Pool.protection, self.functions[place].capacity > self.functions[place].plan.min
        else { return nil }
        self.charge(instance.function, now: now)
        let reload = self.startEstimate(instance.function, from: self.canSleepNow(slot) ? .host : .disk)
        let turn = Swift.max(Limits.Pool.turn, reload * Limits.Pool.turnStarts)
        let lead = self.waiting.lead(
            of: self.functions[place].virtualTime, before: self.functions[Int(waiter)].virtualTime)
        return lead >= Double(turn.microseconds) * 1e-6 ? lead : nil
    }
}

extension Pool.Instance {
    /// It has its devices for the work of its function.
    fileprivate var isServing: Bool {
        switch self.state {
        case .ready, .busy: true
        case .absent, .starting, .sleeping, .draining, .stopped, .quarantined: false
        }
    }
}
