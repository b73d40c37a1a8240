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

    /// - Returns: what does not add up, for tests and the simulator.
    public func fault() -> String? {
        for (index, device) in self.devices.enumerated() {
            if let fault = device.ledger.fault() { return "device \(index): \(fault)" }
            let held = device.instances.reduce(Int64(0)) { $0 + device.ledger.promised(to: $1) }
            if held != device.ledger.promisedBytes { return "device \(index): promises to instances that are not there" }
        }
        var host: Int64 = 0
        for instance in self.instances where instance.function >= 0 {
            let plan = self.functions[Int(instance.function)].plan
            if instance.state == .sleeping || instance.state == .starting(.waking) { host += plan.hostBytes }
        }
        if host != self.hostBytes { return "\(self.hostBytes) bytes of sleepers counted, \(host) there" }
        for (slot, function) in self.functions.enumerated() {
            let states = function.instances.map { self.instances[Int($0)].state }
            if states.count(where: \.isCapacity) != function.capacity { return "function \(slot): capacity miscounted" }
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
