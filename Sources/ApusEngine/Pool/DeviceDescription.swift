/// An accelerator as a driver found it, or as the configuration declares it. The pool knows it by its place in the inventory, a
/// ``DeviceID``; everyone else by ``id``.
public struct DeviceDescription: Sendable, Hashable {
    /// What stays the same over restarts: the driver's UUID, or the name of a simulated one.
    public var id: String
    /// As functions ask for it, in lower case: `h200`.
    public var kind: String
    public var memoryBytes: Int64
    public var links: DeviceLinks
    /// It is declared, not found: whatever is told of it says so.
    public var isSimulated: Bool
    public var health: DeviceLedger.Health
    /// What a worker on it is given: the number of its node, and for a part of a device (MIG) minor numbers below
    /// `/dev/nvidia-caps`. Empty for a simulated one.
    public var nodes: [UInt32]
    public var capabilities: [UInt32]

    public init(
        id: String, kind: String, memoryBytes: Int64, links: DeviceLinks = DeviceLinks(), isSimulated: Bool = false,
        health: DeviceLedger.Health = .working, nodes: [UInt32] = [], capabilities: [UInt32] = []
    ) {
        self.nodes = nodes
        self.capabilities = capabilities
        self.id = id
        self.kind = kind
        self.memoryBytes = memoryBytes
        self.links = links
        self.isSimulated = isSimulated
        self.health = health
    }
}

/// How fast bytes come to a device and leave it, in bytes a second.
public struct DeviceLinks: Sendable, Hashable {
    /// From the host's memory.
    public var fromHost: Int64
    /// To the host's memory.
    public var toHost: Int64
    /// From the disk that weights lie on.
    public var fromDisk: Int64

    /// Half of what one link of the fourth generation reaches, and one drive: starts are rather quicker than foretold than slower.
    public init(fromHost: Int64 = 12_000_000_000, toHost: Int64 = 12_000_000_000, fromDisk: Int64 = 2_000_000_000) {
        self.fromHost = fromHost
        self.toHost = toHost
        self.fromDisk = fromDisk
    }
}
