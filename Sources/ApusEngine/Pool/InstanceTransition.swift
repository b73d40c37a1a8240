public import ApusCore

/// One change of an instance's state, as it is logged: replaying them gives the accounts.
public struct InstanceTransition: Sendable, Hashable {
    public enum Cause: UInt8, Sendable, Hashable, CaseIterable {
        /// Work waits for it; the manifest asks for it; it is expected to be needed.
        case demand, minimum, prediction
        /// It was used, or its use ended.
        case use, release
        /// It had nothing to do for as long as its policy keeps it.
        case idle
        /// Another function's start needs its room.
        case eviction
        /// A newer revision replaces it, or its function is gone.
        case rollout, removal
        /// The host reported the next phase, or the end.
        case progress, failure, ended
    }

    public var instance: InstanceID
    public var function: FunctionID
    /// The generation of its revision.
    public var generation: UInt64
    /// Empty for one that runs on none.
    public var devices: [DeviceID]
    public var from: InstanceState
    public var to: InstanceState
    /// Where its weights came from in its last start.
    public var tier: Tier
    public var at: Timestamp
    public var cause: Cause

    public init(
        instance: InstanceID, function: FunctionID, generation: UInt64 = 0, devices: [DeviceID] = [], from: InstanceState,
        to: InstanceState, tier: Tier = .disk, at: Timestamp, cause: Cause
    ) {
        self.instance = instance
        self.function = function
        self.generation = generation
        self.devices = devices
        self.from = from
        self.to = to
        self.tier = tier
        self.at = at
        self.cause = cause
    }

    public var device: DeviceID? { self.devices.first }
}

/// A transition with the names that outlast this run of the server: what `apus.usage` keeps, and what the accounts are made of.
///
/// Workers that a shard scales by itself have none of a device; their transitions are told alike.
public struct InstanceChange: Sendable, Hashable {
    /// Namespace and function.
    public var name: ResourceName
    /// The revision's content hash.
    public var revision: String
    public var labels: [String: String]
    /// ``DeviceDescription/id`` of each of the transition's devices, in their order.
    public var deviceIDs: [String]
    public var isSimulated: Bool
    /// What it takes on each device while it is there, what it leaves there while it sleeps, and what it then takes of the host's
    /// memory.
    public var deviceBytes: Int64
    public var residueBytes: Int64
    public var hostBytes: Int64
    public var transition: InstanceTransition

    public init(
        name: ResourceName, revision: String, labels: [String: String] = [:], deviceIDs: [String] = [],
        isSimulated: Bool = false, deviceBytes: Int64 = 0, residueBytes: Int64 = 0, hostBytes: Int64 = 0,
        transition: InstanceTransition
    ) {
        self.name = name
        self.revision = revision
        self.labels = labels
        self.deviceIDs = deviceIDs
        self.isSimulated = isSimulated
        self.deviceBytes = deviceBytes
        self.residueBytes = residueBytes
        self.hostBytes = hostBytes
        self.transition = transition
    }
}
