internal import ApusCore
internal import ApusEngine

/// What is known of each device, and what of it the pool must hear. A machine without I/O and clock.
struct DeviceRegister: Sendable {
    /// What the pool is told; the same words as its methods.
    enum Change: Sendable, Equatable {
        case observed(DeviceID, used: Int64, attributed: Int64)
        case quarantined(DeviceID, String)
        case lost(DeviceID, String)
        case draining(DeviceID)
        case cleared(DeviceID)
    }

    struct Noted: Sendable, Equatable {
        var at: Timestamp
        var text: String
    }

    struct Device: Sendable, Equatable {
        var found: FoundDevice
        var health = DeviceLedger.Health.working
        var since: Timestamp
        /// Bytes in use, and those of them that our own processes hold.
        var used: Int64 = 0
        var attributed: Int64 = 0
        var readAt: Timestamp?
        /// Why there is no newer reading.
        var problem: String?
        /// What happened, the newest last.
        var events: [Noted] = []

        var unattributed: Int64 { max(0, self.used - self.attributed) }
    }

    private(set) var devices: [Device] = []
    /// The driver was asked and has not answered for long.
    private(set) var isHanging = false
    private static let hanging = "the driver does not answer"

    init(_ found: [FoundDevice], now: Timestamp) {
        self.devices = found.map { Device(found: $0, since: now) }
    }

    func place(of id: String) -> Int? { self.devices.firstIndex { $0.found.description.id == id } }

    // MARK: the driver

    /// - Parameter attributed: how much of a device our own processes hold.
    mutating func read(
        _ readings: [DeviceReading], attributed: (FoundDevice, [DeviceProcess]) -> Int64, now: Timestamp
    ) -> [Change] {
        var changes = self.answered(now: now)
        for (place, reading) in readings.enumerated() where self.devices.indices.contains(place) {
            switch reading {
            case .used(let used, let processes):
                let own = min(used, attributed(self.devices[place].found, processes))
                self.devices[place].readAt = now
                self.devices[place].problem = nil
                guard used != self.devices[place].used || own != self.devices[place].attributed else { continue }
                self.devices[place].used = used
                self.devices[place].attributed = own
                changes.append(.observed(DeviceID(place), used: used, attributed: own))
            case .unknown(let text): self.devices[place].problem = text
            case .lost(let text):
                self.devices[place].problem = text
                guard self.devices[place].health != .lost else { continue }
                self.note(place, text, now: now)
                self.become(place, .lost, now: now)
                changes.append(.lost(DeviceID(place), text))
            }
        }
        return changes
    }

    mutating func happened(_ event: DeviceEvent, now: Timestamp) -> [Change] {
        var changes: [Change] = []
        for place in event.devices where self.devices.indices.contains(place) {
            self.note(place, event.text, now: now)
            if event.isCritical { changes += self.quarantine(place, event.text, now: now) }
        }
        return changes
    }

    /// The driver has not answered for ``Limits/Devices/hang``.
    mutating func hangs(now: Timestamp) -> [Change] {
        guard !self.isHanging else { return [] }
        self.isHanging = true
        return self.devices.indices.filter { !self.devices[$0].found.description.isSimulated }.flatMap { place in
            self.note(place, Self.hanging, now: now)
            return self.quarantine(place, Self.hanging, now: now)
        }
    }

    /// A driver that only hung made nothing ill: what was quarantined because of it alone is well again.
    private mutating func answered(now: Timestamp) -> [Change] {
        guard self.isHanging else { return [] }
        self.isHanging = false
        return self.devices.indices.filter { self.devices[$0].health == .quarantined(Self.hanging) }.flatMap {
            self.clear($0, now: now)
        }
    }

    // MARK: operators and the pool

    mutating func quarantine(_ place: Int, _ reason: String, now: Timestamp) -> [Change] {
        switch self.devices[place].health {
        // The first reason is the one to look at.
        case .quarantined(let known) where known != Self.hanging: return []
        case .lost: return []
        case .quarantined, .working, .draining:
            self.become(place, .quarantined(reason), now: now)
            return [.quarantined(DeviceID(place), reason)]
        }
    }

    /// Memory of an instance that is gone is still in use.
    mutating func leaked(_ place: Int, now: Timestamp) -> [Change] {
        guard self.devices.indices.contains(place) else { return [] }
        let reason = "memory of an instance that is gone is still in use"
        self.note(place, reason, now: now)
        return self.quarantine(place, reason, now: now)
    }

    mutating func drain(_ place: Int, now: Timestamp) -> [Change] {
        guard self.devices[place].health == .working else { return [] }
        self.become(place, .draining, now: now)
        return [.draining(DeviceID(place))]
    }

    mutating func clear(_ place: Int, now: Timestamp) -> [Change] {
        guard self.devices[place].health != .working else { return [] }
        self.become(place, .working, now: now)
        return [.cleared(DeviceID(place))]
    }

    /// As an earlier run left it.
    mutating func restore(_ place: Int, _ health: DeviceLedger.Health, now: Timestamp) -> [Change] {
        switch health {
        case .working, .lost: []
        case .draining: self.drain(place, now: now)
        case .quarantined(let reason): self.quarantine(place, reason, now: now)
        }
    }

    private mutating func become(_ place: Int, _ health: DeviceLedger.Health, now: Timestamp) {
        self.devices[place].health = health
        self.devices[place].since = now
    }

    private mutating func note(_ place: Int, _ text: String, now: Timestamp) {
        self.devices[place].events.append(Noted(at: now, text: text))
        self.devices[place].events.removeFirst(max(0, self.devices[place].events.count - Limits.Devices.events))
    }
}
