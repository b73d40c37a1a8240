public import ApusCore
public import ApusEngine

/// What the configuration says of devices, of the memory of what sleeps, and of prices.
public struct PoolSettings: Sendable, Equatable {
    /// Bytes of this host's memory for models that sleep.
    public var hostMemory: Int64 = 4 << 30
    public var prices = Prices()
    /// Looks for devices of a driver.
    public var discovers = true
    /// The driver's library, by name or path.
    public var library = "libnvidia-ml.so.1"
    public var simulated: [SimulatedDevices] = []
    /// Bytes of what the pool is told and decides that are written down; 0 writes nothing.
    public var recordBytes = 0
    /// A driver that has not answered for so long hangs.
    var hang = Limits.Devices.hang

    public init() {}
}

/// Devices of one kind that are declared, not found.
public struct SimulatedDevices: Sendable, Equatable {
    public var kind: String
    public var memoryBytes: Int64
    public var count: Int
    public var links = DeviceLinks()

    public init(kind: String, memoryBytes: Int64, count: Int = 1) {
        self.kind = kind
        self.memoryBytes = memoryBytes
        self.count = count
    }
}

extension Limits {
    /// Bounds of devices.
    public enum Devices {
        /// Kinds that have a price, with those of memory and processors.
        public static let kinds = 64
        /// Entries of declared devices, and devices of one of them.
        public static let simulated = 64
        public static let each = 1_024
        /// Devices that are looked at; a driver that names more is not believed.
        public static let all = 1_024
        /// Processes of one device that are looked at.
        public static let processes = 1_024
        /// How often the driver is asked what is in use.
        public static let readMilliseconds: Int64 = 1_000
        /// The same while memory is to come back.
        public static let returnMilliseconds: UInt64 = 50
        /// A driver that has not answered for so long hangs: nothing is placed on its devices until it answers.
        public static let hang: TimeSpan = .seconds(10)
        /// How long the start of the server waits for a driver.
        public static let openMilliseconds: Int32 = 10_000
        /// Events of one device that are remembered, the newest.
        public static let events = 16
    }
}
