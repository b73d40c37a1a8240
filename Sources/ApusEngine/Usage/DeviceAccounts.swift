public import ApusCore

/// The accounts of one server's devices: whose time they were, how starts took, and how long instances had nothing to do. Made of
/// the changes of instances alone.
public struct DeviceAccounts: Sendable {
    /// What one function had of devices of one kind since the last look.
    public struct Row: Sendable, Hashable {
        public var share = DeviceShare()
        /// Millionths of a device that one of its instances holds while it waits.
        public var portion: Int64 = 0
        public var starts = IdleGaps.Count()
        public var wakes = IdleGaps.Count()
        public var gaps = IdleGaps.Seen()

        public init() {}

        public var isEmpty: Bool {
            self.share.isEmpty && self.starts.count == 0 && self.wakes.count == 0 && self.gaps.isEmpty
        }
    }

    public struct Key: Sendable, Hashable {
        public var name: ResourceName
        public var kind: String
        public var isSimulated: Bool
    }

    public struct Taken: Sendable {
        /// In the order of the inventory.
        public var devices: [DeviceUsage]
        public var rows: [Key: Row]
    }

    /// An instance between two of its changes.
    private struct Instance: Sendable {
        var key: Key
        var startedAt: Timestamp?
        var isWaking = false
        var freeSince: Timestamp?
        var hasBeenUsed = false
    }

    public private(set) var descriptions: [DeviceDescription] = []
    /// Each device's parts since the start.
    public private(set) var totals: [DeviceUsage] = []
    private var meter = DeviceMeter()
    private var instances: [InstanceID: Instance] = [:]
    private var gaps: [Key: IdleGaps] = [:]
    private var rows: [Key: Row] = [:]

    public init() {}

    /// Devices come in the order of the inventory, each once.
    public mutating func add(_ device: DeviceDescription, now: Timestamp) {
        self.descriptions.append(device)
        self.totals.append(DeviceUsage())
        self.meter.add(capacity: device.memoryBytes, now: now)
    }

    public mutating func changed(_ change: InstanceChange) {
        self.meter.changed(change)
        guard let device = change.transition.device, self.descriptions.indices.contains(device.index) else { return }
        let description = self.descriptions[device.index]
        let key = Key(name: change.name, kind: description.kind, isSimulated: description.isSimulated)
        let id = change.transition.instance
        let now = change.transition.at
        var instance = self.instances[id] ?? Instance(key: key)
        if case .ready = change.transition.from { self.leavesReady(&instance, change.transition) }
        switch change.transition.to {
        case .starting(let phase):
            // A start goes through its phases; only the first begins it.
            if instance.startedAt == nil {
                instance.startedAt = now
                instance.isWaking = phase == .waking
                instance.hasBeenUsed = false
            }
        case .ready:
            if let began = instance.startedAt { self.started(&instance, in: now - began, change) }
            instance.freeSince = now
        case .busy, .draining: break
        case .sleeping, .absent, .stopped, .quarantined:
            instance.startedAt = nil
            instance.freeSince = nil
        }
        if change.transition.to == .absent { self.instances[id] = nil } else { self.instances[id] = instance }
    }

    private mutating func started(_ instance: inout Instance, in span: TimeSpan, _ change: InstanceChange) {
        let count = IdleGaps.Count(count: 1, span: span.microseconds)
        if instance.isWaking {
            self.rows[instance.key, default: Row()].wakes += count
        } else {
            self.rows[instance.key, default: Row()].starts += count
        }
        instance.startedAt = nil
        guard let device = change.transition.device else { return }
        let capacity = max(1, self.descriptions[device.index].memoryBytes)
        let (high, low) = min(change.deviceBytes, capacity).multipliedFullWidth(by: 1_000_000)
        let portion = capacity.dividingFullWidth((high, low)).quotient * Int64(change.transition.devices.count)
        let known = self.rows[instance.key]?.portion ?? 0
        self.rows[instance.key, default: Row()].portion = max(known, portion)
    }

    /// It is used, or leaves what it held.
    private mutating func leavesReady(_ instance: inout Instance, _ transition: InstanceTransition) {
        guard let since = instance.freeSince else { return }
        if case .busy = transition.to {
            if instance.hasBeenUsed {
                self.gaps[instance.key, default: IdleGaps()].used(idleSince: since, now: transition.at)
            } else {
                instance.hasBeenUsed = true
                self.gaps[instance.key, default: IdleGaps()].started(now: transition.at)
            }
        } else if instance.hasBeenUsed {
            self.gaps[instance.key, default: IdleGaps()].stopped(idleSince: since)
        }
        instance.freeSince = nil
    }

    /// What came since the last call; functions without anything are left out.
    public mutating func take(now: Timestamp) -> Taken {
        let (devices, shares) = self.meter.take(now: now)
        for (index, usage) in devices.enumerated() { self.totals[index] += usage }
        for (share, amount) in shares {
            let description = self.descriptions[share.device.index]
            let key = Key(name: share.function, kind: description.kind, isSimulated: description.isSimulated)
            self.rows[key, default: Row()].share += amount
        }
        for key in self.gaps.keys {
            guard let seen = self.gaps[key]?.take(), !seen.isEmpty else { continue }
            self.rows[key, default: Row()].gaps += seen
        }
        defer { self.rows.removeAll(keepingCapacity: true) }
        return Taken(devices: devices, rows: self.rows.filter { !$0.value.isEmpty })
    }
}
