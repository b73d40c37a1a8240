internal import ApusCore

/// How instances come onto their devices and leave them.
extension Pool {
    mutating func makeInstance(_ function: Int32, on devices: [DeviceID]) -> Int32 {
        let slot = self.freeInstances.popLast() ?? Int32(self.instances.count)
        if Int(slot) == self.instances.count { self.instances.append(Instance()) }
        let place = Int(slot)
        self.lastInstance &+= 1
        self.instances[place] = Instance()
        self.instances[place].generation = self.lastInstance
        self.instances[place].function = function
        self.instances[place].revision = self.functions[Int(function)].plan.generation
        self.instances[place].devices = devices
        self.functions[Int(function)].instances.append(slot)
        for device in devices { self.devices[device.index].instances.append(slot) }
        return slot
    }

    /// What it starts from comes to this machine's disk first. It has no devices until then: they serve others.
    mutating func fetch(_ function: Int32, now: Timestamp) {
        let slot = self.makeInstance(function, on: [])
        self.instances[Int(slot)].startTier = .remote
        self.instances[Int(slot)].startedAt = now
        // Who fetches bounds that, and says when it is over.
        self.move(slot, .start(from: .remote), self.startCause(Int(function)), now: now)
        self.actions.append(.fetch(self.id(slot), self.functions[Int(function)].plan.function))
    }

    /// Its weights have come: it is given devices, now or when there is room.
    mutating func fetched(_ slot: Int32, now: Timestamp) {
        let place = Int(slot)
        guard self.instances[place].state == .starting(.fetching), self.instances[place].passage == .settled else { return }
        self.instances[place].passage = .seeking
        self.balance(self.instances[place].function, now: now)
    }

    /// Its bytes are claimed; it gets them in its turn.
    /// - Parameter tier: remote for one whose weights were fetched for this start.
    mutating func place(_ slot: Int32, from tier: Tier, now: Timestamp) {
        let place = Int(slot)
        let function = Int(self.instances[place].function)
        let plan = self.functions[function].plan
        self.instances[place].passage = .claiming
        self.instances[place].startTier = tier
        self.instances[place].startedAt = now
        for device in self.instances[place].devices {
            self.devices[device.index].ledger.claim(self.claim(slot, on: device))
            self.devices[device.index].gate.append(slot)
        }
        let expected = self.startEstimate(Int32(function), from: tier == .remote ? .disk : tier)
        self.instances[place].expected = expected
        let service = Double(expected.microseconds) * 1e-6
        self.functions[function].virtualTime = self.waiting.advance(
            self.functions[function].virtualTime, service: service, weight: plan.weight)
        if tier == .host {
            self.move(slot, .wake, self.startCause(function), now: now)
        } else {
            let isFetched = tier == .remote
            self.move(
                slot, isFetched ? .fetched : .start(from: tier), isFetched ? .progress : self.startCause(function), now: now)
            self.watchStart(slot, now: now)
            self.actions.append(.start(self.id(slot), plan.function, self.instances[place].devices, from: tier))
        }
        self.openGates(self.instances[place].devices, now: now)
        self.openWithoutGate(slot, now: now)
    }

    private func startCause(_ function: Int) -> InstanceTransition.Cause {
        let state = self.functions[function]
        if state.running + state.queued > 0 { return .demand }
        return state.isPrewarming ? .prediction : state.rollout == .starting ? .rollout : .minimum
    }

    /// One that runs on no device waits for none.
    mutating func openWithoutGate(_ slot: Int32, now: Timestamp) {
        let instance = self.instances[Int(slot)]
        if instance.devices.isEmpty, instance.passage == .claiming, self.isAtGate(slot) {
            _ = self.admit(slot, now: now)
        }
    }

    /// Whether others were placed here who wait for this one's room.
    func isRoomWanted(of slot: Int32) -> Bool {
        self.instances[Int(slot)].devices.contains { device in
            let ledger = self.devices[device.index].ledger
            return ledger.starting == nil
                && self.devices[device.index].gate.contains {
                    self.isAtGate($0) && self.claim($0, on: device) > ledger.free
                }
        }
    }

    /// What it claims beyond what it was promised: a sleeping one left something there.
    private func claim(_ slot: Int32, on device: DeviceID) -> Int64 {
        let plan = self.functions[Int(self.instances[Int(slot)].function)].plan
        return Swift.max(0, plan.deviceBytes - self.devices[device.index].ledger.promised(to: slot))
    }

    /// Gives their bytes to those at the gates who are ready for them and find room. One at a time brings its weights.
    mutating func openGates(_ devices: [DeviceID], now: Timestamp) {
        for device in devices {
            for slot in self.devices[device.index].gate where self.isAtGate(slot) {
                if self.admit(slot, now: now) { break }
            }
        }
    }

    private func isAtGate(_ slot: Int32) -> Bool {
        let state = self.instances[Int(slot)].state
        return state == .starting(.loading) || state == .starting(.waking)
    }

    private mutating func admit(_ slot: Int32, now: Timestamp) -> Bool {
        let place = Int(slot)
        let bytes = self.functions[Int(self.instances[place].function)].plan.deviceBytes
        for device in self.instances[place].devices {
            let ledger = self.devices[device.index].ledger
            guard ledger.starting == nil, ledger.health == .working, self.claim(slot, on: device) <= ledger.free
            else { return false }
        }
        for device in self.instances[place].devices {
            self.devices[device.index].ledger.unclaim(self.claim(slot, on: device))
            let isPromised = self.devices[device.index].ledger.promise(bytes, to: slot)
            precondition(isPromised && self.devices[device.index].ledger.begin(slot), "room that was there is gone")
            self.devices[device.index].gate.removeAll { $0 == slot }
        }
        self.instances[place].passage = .settled
        // What it waited for others here says nothing of how long its start takes.
        self.instances[place].startedAt = self.instances[place].startedAt + (now - self.instances[place].since)
        self.watchStart(slot, now: now)
        self.actions.append(self.instances[place].startTier == .host ? .wake(self.id(slot)) : .load(self.id(slot)))
        return true
    }

    /// An idle instance goes to sleep where it can and is worth it, else it stops.
    mutating func leave(_ slot: Int32, _ cause: InstanceTransition.Cause, now: Timestamp) {
        let place = Int(slot)
        let isKept = cause == .eviction || self.instances[place].keep.host > self.instances[place].keep.device
        guard isKept, self.canSleepNow(slot) else { return self.end(slot, cause, now: now) }
        guard self.move(slot, .sleep, cause, now: now) else { return }
        let plan = self.functions[Int(self.instances[place].function)].plan
        self.hostBytes += plan.hostBytes
        self.instances[place].passage = .leaving
        for device in self.instances[place].devices {
            let promised = self.devices[device.index].ledger.promised(to: slot)
            self.devices[device.index].ledger.leaves(Swift.max(0, promised - plan.residueBytes))
        }
        self.actions.append(.sleep(self.id(slot)))
    }

    /// An instance ends: a busy one when what runs in it is over.
    mutating func end(_ slot: Int32, _ cause: InstanceTransition.Cause, now: Timestamp) {
        let place = Int(slot)
        if case .busy = self.instances[place].state {
            if self.move(slot, .drain, cause, now: now) { self.actions.append(.drain(self.id(slot))) }
            return
        }
        self.kill(slot, .stop, cause, now: now)
    }

    /// Its process is to go, or is gone: what it claimed is let go of, what it was promised leaves.
    mutating func kill(_ slot: Int32, _ event: InstanceEvent, _ cause: InstanceTransition.Cause, now: Timestamp) {
        let place = Int(slot)
        let before = self.instances[place].state
        guard self.move(slot, event, cause, now: now) else { return }
        let plan = self.functions[Int(self.instances[place].function)].plan
        if before == .sleeping { self.hostBytes -= plan.hostBytes }
        for device in self.instances[place].devices {
            let index = device.index
            if self.instances[place].passage == .claiming {
                self.devices[index].ledger.unclaim(self.claim(slot, on: device))
                self.devices[index].gate.removeAll { $0 == slot }
            }
            let promised = self.devices[index].ledger.promised(to: slot)
            let already = self.instances[place].passage == .leaving ? Swift.max(0, promised - plan.residueBytes) : 0
            self.devices[index].ledger.leaves(promised - already)
            self.devices[index].ledger.ended(slot)
        }
        // A waking one still holds the host's memory that it slept in.
        if before == .starting(.waking) { self.hostBytes -= plan.hostBytes }
        self.instances[place].passage = .leaving
        self.actions.append(.stop(self.id(slot)))
        self.openGates(self.instances[place].devices, now: now)
    }

    /// Its process is gone and its memory is free: nothing is left of it.
    mutating func forget(_ slot: Int32, now: Timestamp) {
        let place = Int(slot)
        let function = Int(self.instances[place].function)
        let devices = self.instances[place].devices
        for device in devices {
            self.devices[device.index].ledger.left(self.devices[device.index].ledger.promised(to: slot))
            self.devices[device.index].ledger.release(slot)
            self.devices[device.index].instances.removeAll { $0 == slot }
        }
        self.functions[function].instances.removeAll { $0 == slot }
        self.instances[place].function = -1
        self.instances[place].generation = 0
        self.freeInstances.append(slot)
        self.openGates(devices, now: now)
    }
}
