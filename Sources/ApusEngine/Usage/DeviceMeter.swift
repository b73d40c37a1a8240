public import ApusCore

/// What one device did, in microseconds: the parts sum to the time that passed, always.
public struct DeviceUsage: Sendable, Hashable {
    public var busy: Int64 = 0
    public var idle: Int64 = 0
    public var transfer: Int64 = 0
    public var unallocated: Int64 = 0

    public init() {}

    public var total: Int64 { self.busy + self.idle + self.transfer + self.unallocated }

    public static func += (left: inout DeviceUsage, right: DeviceUsage) {
        left.busy += right.busy
        left.idle += right.idle
        left.transfer += right.transfer
        left.unallocated += right.unallocated
    }
}

/// What one function took of one device's time, and of the host's memory for what sleeps.
public struct DeviceShare: Sendable, Hashable {
    /// Microseconds of the device.
    public var busy: Int64 = 0
    public var idle: Int64 = 0
    public var transfer: Int64 = 0
    /// Mebibytes in the host's tier, times microseconds.
    public var host: Int64 = 0

    public init() {}

    public var isEmpty: Bool { self == DeviceShare() }

    public static func += (left: inout DeviceShare, right: DeviceShare) {
        left.busy += right.busy
        left.idle += right.idle
        left.transfer += right.transfer
        left.host += right.host
    }
}

extension DeviceShare {
    public static func -= (left: inout DeviceShare, right: DeviceShare) {
        left.busy -= right.busy
        left.idle -= right.idle
        left.transfer -= right.transfer
        left.host -= right.host
    }

    /// A part of it, from 0 to 1.
    public func part(_ part: Double) -> DeviceShare {
        func cut(_ value: Int64) -> Int64 { Int64((Double(value) * min(max(part, 0), 1)).rounded(.down)) }
        var first = DeviceShare()
        (first.busy, first.idle) = (cut(self.busy), cut(self.idle))
        (first.transfer, first.host) = (cut(self.transfer), cut(self.host))
        return first
    }
}

/// Who had each device, second by second. A machine without a clock: it is told of every change of an instance.
///
/// A stretch of time of a device belongs to the instances that run something on it, in equal parts; when none does, to those that bring
/// weights there or take them away, in equal parts; else each instance that waits there takes the part of it that its bytes are of
/// the device, and the rest is unallocated. Nothing is counted twice and nothing left out: integers are divided, and what is left
/// over of a division has its place.
public struct DeviceMeter: Sendable {
    /// Whose time of which device.
    public struct Key: Sendable, Hashable {
        public var function: ResourceName
        public var device: DeviceID
    }

    private enum Part: Sendable { case busy, transfer, idle, sleeping, none }

    private struct Instance: Sendable {
        var function: ResourceName
        var devices: [DeviceID]
        /// Bytes on each of its devices while it is there, and while it sleeps; bytes in the host's memory while it sleeps.
        var bytes: Int64
        var residue: Int64
        var hostBytes: Int64
        var part: Part
    }

    private struct Device: Sendable {
        var capacity: Int64
        var instances: [InstanceID] = []
        var since: Timestamp
        var usage = DeviceUsage()
    }

    private var devices: [Device] = []
    private var instances: [InstanceID: Instance] = [:]
    private var shares: [Key: DeviceShare] = [:]
    private var asleep: Set<InstanceID> = []
    private var hostSince: Timestamp?

    public init() {}

    /// Devices come in the order of the inventory.
    @discardableResult
    public mutating func add(capacity: Int64, now: Timestamp) -> DeviceID {
        self.devices.append(Device(capacity: max(1, capacity), since: now))
        return DeviceID(self.devices.count - 1)
    }

    public var count: Int { self.devices.count }

    /// An instance changed its state; one that it did not know appears.
    public mutating func changed(_ change: InstanceChange) {
        let (id, now) = (change.transition.instance, change.transition.at)
        let part = Self.part(of: change.transition.to)
        // Of what it had until now, and of what it has from now on.
        let before = self.instances[id]?.devices ?? []
        let devices = change.transition.devices.filter { self.devices.indices.contains($0.index) }
        for device in before + devices { self.accrue(device, now: now) }
        self.accrueHost(now: now)
        for device in before { self.devices[device.index].instances.removeAll { $0 == id } }
        guard part != .none, !devices.isEmpty else {
            self.instances[id] = nil
            self.asleep.remove(id)
            return
        }
        self.instances[id] = Instance(
            function: change.name, devices: devices, bytes: change.deviceBytes, residue: change.residueBytes,
            hostBytes: change.hostBytes, part: part)
        if Self.isInHostMemory(change.transition.to) { self.asleep.insert(id) } else { self.asleep.remove(id) }
        for device in devices { self.devices[device.index].instances.append(id) }
    }

    private static func part(of state: InstanceState) -> Part {
        switch state {
        case .absent, .quarantined, .starting(.fetching), .starting(.forking): .none
        case .starting(.loading), .starting(.warming), .starting(.waking), .stopped: .transfer
        case .ready: .idle
        case .busy, .draining: .busy
        case .sleeping: .sleeping
        }
    }

    private static func isInHostMemory(_ state: InstanceState) -> Bool {
        state == .sleeping || state == .starting(.waking)
    }

    // MARK: adding up

    /// What each device did since the last call, by its place, and whose it was.
    public mutating func take(now: Timestamp) -> (devices: [DeviceUsage], shares: [Key: DeviceShare]) {
        for index in self.devices.indices { self.accrue(DeviceID(index), now: now) }
        self.accrueHost(now: now)
        let usage = self.devices.map(\.usage)
        for index in self.devices.indices { self.devices[index].usage = DeviceUsage() }
        defer { self.shares.removeAll(keepingCapacity: true) }
        return (usage, self.shares)
    }

    private mutating func accrue(_ device: DeviceID, now: Timestamp) {
        guard self.devices.indices.contains(device.index) else { return }
        let span = now.microseconds - self.devices[device.index].since.microseconds
        guard span > 0 else { return }
        self.devices[device.index].since = now
        var usage = DeviceUsage()
        let there = self.devices[device.index].instances
        let busy = there.filter { self.instances[$0]?.part == .busy }
        let moving = there.filter { self.instances[$0]?.part == .transfer }
        if !busy.isEmpty {
            usage.busy = span
            self.divide(span, among: busy, device) { $0.busy += $1 }
        } else if !moving.isEmpty {
            usage.transfer = span
            self.divide(span, among: moving, device) { $0.transfer += $1 }
        } else {
            usage.idle = self.charge(span, to: there, device)
            usage.unallocated = span - usage.idle
        }
        self.devices[device.index].usage += usage
    }

    private mutating func divide(
        _ span: Int64, among instances: [InstanceID], _ device: DeviceID, _ add: (inout DeviceShare, Int64) -> Void
    ) {
        let part = span / Int64(instances.count)
        for (place, id) in instances.enumerated() {
            guard let function = self.instances[id]?.function else { continue }
            // The first takes what is left of the division.
            let own = place == 0 ? span - part * Int64(instances.count - 1) : part
            add(&self.shares[Key(function: function, device: device), default: DeviceShare()], own)
        }
    }

    /// - Returns: what was charged, at most `span`.
    private mutating func charge(_ span: Int64, to instances: [InstanceID], _ device: DeviceID) -> Int64 {
        let capacity = self.devices[device.index].capacity
        var left = span
        for id in instances {
            guard let instance = self.instances[id] else { continue }
            let bytes = instance.part == .sleeping ? instance.residue : instance.bytes
            let (high, low) = span.multipliedFullWidth(by: max(0, min(bytes, capacity)))
            let own = min(left, capacity.dividingFullWidth((high, low)).quotient)
            guard own > 0 else { continue }
            left -= own
            self.shares[Key(function: instance.function, device: device), default: DeviceShare()].idle += own
        }
        return span - left
    }

    private mutating func accrueHost(now: Timestamp) {
        let span = now.microseconds - (self.hostSince ?? now).microseconds
        self.hostSince = now
        guard span > 0 else { return }
        for id in self.asleep {
            guard let instance = self.instances[id], let device = instance.devices.first else { continue }
            let mebibytes = (instance.hostBytes + (1 << 20) - 1) >> 20
            self.shares[Key(function: instance.function, device: device), default: DeviceShare()].host +=
                mebibytes * span
        }
    }
}
