internal import ApusCore

/// What one device holds, as promised to instances and as seen by its driver. One machine owns it; nothing else changes it.
///
/// Room is what is left of both accounts, the worse of them: a promise counts before the memory is used, and memory that nobody was
/// promised counts although nobody answers for it. A part of the device is never given away.
public struct DeviceLedger: Sendable {
    public enum Health: Sendable, Hashable {
        case working
        /// No new starts; what runs goes on.
        case draining
        /// Nothing starts until an operator clears it.
        case quarantined(String)
        /// It is not there any more.
        case lost
    }

    /// Bytes.
    public let capacity: Int64
    public private(set) var health = Health.working
    /// Bytes promised to each instance, by its place.
    private var promised: [Int32: Int64] = [:]
    public private(set) var promisedBytes: Int64 = 0
    /// Bytes meant for starts that were placed here and wait for their turn.
    public private(set) var claimedBytes: Int64 = 0
    /// Bytes, still promised, of instances that were told to leave.
    public private(set) var leavingBytes: Int64 = 0
    /// Bytes that the driver saw in use and no instance answers for.
    public private(set) var unattributedBytes: Int64 = 0
    /// Starts on a device follow each other: two that size their memory at once size it wrongly.
    public private(set) var starting: Int32?

    public init(capacity: Int64) {
        precondition(capacity >= 0, "a device of \(capacity) bytes")
        self.capacity = capacity
    }

    public var usable: Int64 { self.capacity - self.capacity / 100 * Int64(Limits.Pool.headroomPercent) }

    public var free: Int64 {
        guard self.health == .working else { return 0 }
        return max(0, self.usable - self.promisedBytes - self.unattributedBytes)
    }

    /// Room for another start, once everyone who was told to leave has left, and everyone who was placed here has come.
    public var roomToClaim: Int64 {
        guard self.health == .working else { return 0 }
        return max(
            0, self.usable - self.unattributedBytes - self.promisedBytes + self.leavingBytes - self.claimedBytes)
    }

    public mutating func claim(_ bytes: Int64) { self.claimedBytes += bytes }

    public mutating func unclaim(_ bytes: Int64) {
        precondition(bytes <= self.claimedBytes, "\(bytes) bytes of \(self.claimedBytes) claimed let go")
        self.claimedBytes -= bytes
    }

    public mutating func leaves(_ bytes: Int64) { self.leavingBytes += bytes }

    public mutating func left(_ bytes: Int64) {
        precondition(bytes <= self.leavingBytes, "\(bytes) bytes of \(self.leavingBytes) that leave have left")
        self.leavingBytes -= bytes
    }

    public func promised(to instance: Int32) -> Int64 { self.promised[instance] ?? 0 }
    public var instances: Int { self.promised.count }

    /// - Returns: whether there was room. The promise of an instance that has one is changed to `bytes`.
    public mutating func promise(_ bytes: Int64, to instance: Int32) -> Bool {
        precondition(bytes >= 0, "a promise of \(bytes) bytes")
        let before = self.promised[instance] ?? 0
        guard bytes - before <= self.free || bytes <= before else { return false }
        self.promised[instance] = bytes
        self.promisedBytes += bytes - before
        return true
    }

    /// The instance holds nothing here any more.
    public mutating func release(_ instance: Int32) {
        self.promisedBytes -= self.promised.removeValue(forKey: instance) ?? 0
        if self.starting == instance { self.starting = nil }
    }

    public mutating func begin(_ instance: Int32) -> Bool {
        guard self.starting == nil, self.health == .working else { return false }
        self.starting = instance
        return true
    }

    public mutating func ended(_ instance: Int32) { if self.starting == instance { self.starting = nil } }

    /// What the driver saw: all that is in use, and of it what belongs to instances.
    public mutating func observed(used: Int64, attributed: Int64) {
        self.unattributedBytes = max(0, used - max(0, attributed))
    }

    public mutating func becomes(_ health: Health) { self.health = health }

    /// - Returns: what does not add up, for tests and the simulator.
    public func fault() -> String? {
        var sum: Int64 = 0
        for (_, bytes) in self.promised { sum += bytes }
        if sum != self.promisedBytes { return "promises of \(sum) bytes, counted as \(self.promisedBytes)" }
        if self.promisedBytes > self.usable { return "\(self.promisedBytes) bytes promised of \(self.usable)" }
        return nil
    }
}
