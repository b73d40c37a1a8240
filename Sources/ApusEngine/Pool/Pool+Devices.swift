public import ApusCore

/// The inventory, and what the driver says of it.
extension Pool {
    /// - Returns: the device's place, which it keeps.
    @discardableResult
    public mutating func add(capacity: Int64, kind: Int = 0, now: Timestamp) -> DeviceID {
        self.devices.append(Device(ledger: DeviceLedger(capacity: capacity), kind: kind))
        self.serveWaiting(now: now)
        return DeviceID(self.devices.count - 1)
    }

    public func ledger(_ device: DeviceID) -> DeviceLedger { self.devices[device.index].ledger }

    public mutating func observed(_ device: DeviceID, used: Int64, attributed: Int64, now: Timestamp) {
        let before = self.devices[device.index].ledger.free
        self.devices[device.index].ledger.observed(used: used, attributed: attributed)
        guard self.devices[device.index].ledger.free > before else { return }
        self.openGates([device], now: now)
        self.serveWaiting(now: now)
    }

    /// A critical error, or memory that did not come back: nothing starts there until it is cleared. What is idle there leaves.
    public mutating func quarantine(_ device: DeviceID, _ reason: String, now: Timestamp) {
        // One that is gone stays gone, whatever becomes known of its memory.
        guard self.devices[device.index].ledger.health != .lost else { return }
        self.devices[device.index].ledger.becomes(.quarantined(reason))
        self.empty(device, now: now)
    }

    /// The device is gone, and everything on it with it.
    public mutating func lost(_ device: DeviceID, now: Timestamp) {
        self.devices[device.index].ledger.becomes(.lost)
        for slot in self.devices[device.index].instances { self.kill(slot, .failed, .failure, now: now) }
        self.balanceAll(now: now)
    }

    public mutating func drain(_ device: DeviceID, now: Timestamp) {
        guard self.devices[device.index].ledger.health != .lost else { return }
        self.devices[device.index].ledger.becomes(.draining)
        self.empty(device, now: now)
    }

    /// An operator says that it is well.
    public mutating func clear(_ device: DeviceID, now: Timestamp) {
        self.devices[device.index].ledger.becomes(.working)
        for slot in self.devices[device.index].instances where self.instances[Int(slot)].state == .quarantined {
            self.move(slot, .cleared, .ended, now: now)
            self.forget(slot, now: now)
        }
        self.openGates([device], now: now)
        self.serveWaiting(now: now)
    }

    private mutating func empty(_ device: DeviceID, now: Timestamp) {
        for slot in self.devices[device.index].instances {
            switch self.instances[Int(slot)].state {
            case .ready, .sleeping, .starting: self.end(slot, .failure, now: now)
            case .busy: self.end(slot, .failure, now: now)
            case .absent, .draining, .stopped, .quarantined: break
            }
        }
        self.balanceAll(now: now)
    }

    private mutating func balanceAll(now: Timestamp) {
        for slot in self.functions.indices where !self.functions[slot].instances.isEmpty {
            self.balance(Int32(slot), now: now)
        }
    }

    /// Asked after every event of a simulation, in debug builds too: plain loops, and nothing is copied.
    /// - Returns: what does not add up, for tests and the simulator.
    public func fault() -> String? {
        for index in self.devices.indices {
            if let fault = self.devices[index].ledger.fault() { return "device \(index): \(fault)" }
            var held: Int64 = 0
            for slot in self.devices[index].instances { held += self.devices[index].ledger.promised(to: slot) }
            if held != self.devices[index].ledger.promisedBytes {
                return "device \(index): promises to instances that are not there"
            }
        }
        var host: Int64 = 0
        for slot in self.instances.indices where self.instances[slot].function >= 0 {
            let state = self.instances[slot].state
            guard state == .sleeping || state == .starting(.waking) else { continue }
            host += self.functions[Int(self.instances[slot].function)].plan.hostBytes
        }
        if host != self.hostBytes { return "\(self.hostBytes) bytes of sleepers counted, \(host) there" }
        for slot in self.functions.indices {
            var capacity = 0
            for instance in self.functions[slot].instances where self.instances[Int(instance)].state.isCapacity {
                capacity += 1
            }
            if capacity != self.functions[slot].capacity { return "function \(slot): capacity miscounted" }
        }
        return nil
    }
}

extension Pool {
    /// The devices of an instance, quarantined ones included.
    public func devices(of instance: InstanceID) -> [DeviceID] {
        self.slot(of: instance).map { self.instances[Int($0)].devices } ?? []
    }
}
