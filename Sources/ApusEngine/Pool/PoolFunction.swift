public import ApusCore

/// An instance as the pool knows it: made up when it decides to start one, never reused within a run.
public struct InstanceID: Sendable, Hashable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    init(slot: Int32, generation: UInt32) { self.rawValue = UInt64(generation) << 32 | UInt64(UInt32(bitPattern: slot)) }
    package var slot: Int { Int(UInt32(truncatingIfNeeded: self.rawValue)) }
    var generation: UInt32 { UInt32(self.rawValue >> 32) }
}

/// A device, by its place in the inventory.
public struct DeviceID: Sendable, Hashable, Comparable {
    public let index: Int
    public init(_ index: Int) { self.index = index }
    public static func < (left: DeviceID, right: DeviceID) -> Bool { left.index < right.index }
}

/// What the pool needs to know of one revision of a function that asks for devices.
public struct PoolFunction: Sendable, Equatable {
    public var function: FunctionID
    /// Grows with every deploy.
    public var generation: UInt64
    /// Devices that each instance takes, and the memory on each of them, in bytes.
    public var deviceCount: Int
    public var deviceBytes: Int64
    /// The kind of device it asks for, as numbered by the inventory; nil takes any.
    public var kind: Int?
    /// What a sleeping instance may leave on each device.
    public var residueBytes: Int64
    /// What a sleeping instance takes in the host's memory.
    public var hostBytes: Int64
    /// It has the hooks `sleep()` and `wake()`.
    public var canSleep: Bool
    /// Invocations in flight per instance.
    public var concurrency: Int
    public var min: Int
    public var max: Int
    /// Its part under contention, by weighted fairness.
    public var weight: Double
    /// How long an idle instance keeps its device and its host memory; nil is the policy's to decide.
    public var deviceIdle: TimeSpan?
    public var hostIdle: TimeSpan?
    /// How long starts take, by what the weights take on the links, until one was seen.
    public var wakePrior: TimeSpan
    public var coldPrior: TimeSpan
    /// How long it may take to fetch what is not on this machine's disk yet; nil where all is there.
    public var fetch: TimeSpan?

    public init(
        function: FunctionID, generation: UInt64 = 0, deviceCount: Int = 1, deviceBytes: Int64, kind: Int? = nil,
        residueBytes: Int64 = 0, hostBytes: Int64 = 0, canSleep: Bool = true, concurrency: Int = 1, min: Int = 0, max: Int = 8,
        weight: Double = 1, deviceIdle: TimeSpan? = nil, hostIdle: TimeSpan? = nil,
        wakePrior: TimeSpan, coldPrior: TimeSpan, fetch: TimeSpan? = nil
    ) {
        self.function = function
        self.generation = generation
        self.deviceCount = deviceCount
        self.deviceBytes = deviceBytes
        self.kind = kind
        self.residueBytes = residueBytes
        self.hostBytes = hostBytes
        self.canSleep = canSleep
        self.concurrency = concurrency
        self.min = min
        self.max = max
        self.weight = weight
        self.deviceIdle = deviceIdle
        self.hostIdle = hostIdle
        self.wakePrior = wakePrior
        self.coldPrior = coldPrior
        self.fetch = fetch
    }
}
