public import ApusCore
public import ApusEngine
internal import ApusJSON

/// What one node counted in one stretch of time, as it lies on `apus.usage`. Records add up: each tells only what came since the one
/// before it.
public struct UsageRecord: Sendable, Hashable {
    /// Work and workers of one function.
    public struct Function: Sendable, Hashable {
        public var name: ResourceName
        public var calls: Int64 = 0
        public var failed: Int64 = 0
        /// Microseconds of its attempts.
        public var running: Int64 = 0
        public var workers = WorkerUsage()
        /// Starts, and the microseconds that they took until ready.
        public var starts = IdleGaps.Count()
        public var gaps = IdleGaps.Seen()

        public init(_ name: ResourceName) { self.name = name }
    }

    /// What one function took of devices of one kind.
    public struct Share: Sendable, Hashable {
        public var name: ResourceName
        public var kind: String
        public var isSimulated: Bool
        public var share = DeviceShare()
        /// Millionths of a device that one of its instances holds while it waits.
        public var portion: Int64 = 0
        public var starts = IdleGaps.Count()
        public var wakes = IdleGaps.Count()
        public var gaps = IdleGaps.Seen()

        public init(_ name: ResourceName, kind: String, isSimulated: Bool) {
            self.name = name
            self.kind = kind
            self.isSimulated = isSimulated
        }
    }

    public struct Device: Sendable, Hashable {
        public var id: String
        public var kind: String
        public var isSimulated: Bool
        public var usage: DeviceUsage

        public init(id: String, kind: String, isSimulated: Bool, usage: DeviceUsage) {
            self.id = id
            self.kind = kind
            self.isSimulated = isSimulated
            self.usage = usage
        }
    }

    /// What one principal called.
    public struct Caller: Sendable, Hashable {
        public var name: ResourceName
        public var principal: String
        public var calls: Int64
        public var failed: Int64
        public var running: Int64

        public init(_ name: ResourceName, principal: String, calls: Int64, failed: Int64, running: Int64) {
            self.name = name
            self.principal = principal
            self.calls = calls
            self.failed = failed
            self.running = running
        }
    }

    /// The server, and this run of it, whose records are numbered: one that comes twice counts once.
    public var node: String
    public var run: String
    public var sequence: UInt64
    public var from: Timestamp
    public var to: Timestamp
    public var functions: [Function] = []
    public var shares: [Share] = []
    public var devices: [Device] = []
    public var callers: [Caller] = []
    public var transitions: [UsageTransition] = []

    public init(node: String, run: String, sequence: UInt64, from: Timestamp, to: Timestamp) {
        self.node = node
        self.run = run
        self.sequence = sequence
        self.from = from
        self.to = to
    }

    public var isEmpty: Bool {
        self.functions.isEmpty && self.shares.isEmpty && self.devices.isEmpty && self.callers.isEmpty
            && self.transitions.isEmpty
    }

    /// Rows, which bound its size.
    public var rows: Int {
        self.functions.count + self.shares.count + self.devices.count + self.callers.count + self.transitions.count
    }
}

/// One change of an instance on a device, kept for those who ask why something was started or stopped.
public struct UsageTransition: Sendable, Hashable {
    public var at: Timestamp
    public var instance: UInt64
    public var name: ResourceName
    public var revision: String
    public var device: String
    public var before: String
    public var after: String
    public var cause: String
    /// Where its weights came from in its last start.
    public var tier: String

    public init(
        at: Timestamp, instance: UInt64, name: ResourceName, revision: String, device: String, before: String,
        after: String, cause: String, tier: String
    ) {
        self.at = at
        self.instance = instance
        self.name = name
        self.revision = revision
        self.device = device
        self.before = before
        self.after = after
        self.cause = cause
        self.tier = tier
    }

    public init(_ change: InstanceChange) {
        self.init(
            at: change.transition.at, instance: change.transition.instance.rawValue, name: change.name,
            revision: change.revision, device: change.deviceIDs.joined(separator: ","),
            before: change.transition.from.name, after: change.transition.to.name,
            cause: "\(change.transition.cause)", tier: "\(change.transition.tier)")
    }
}

extension InstanceState {
    /// As records and answers say it, without numbers.
    public var name: String {
        switch self {
        case .absent: "absent"
        case .starting(let phase): "\(phase)"
        case .ready: "ready"
        case .busy: "busy"
        case .sleeping: "sleeping"
        case .draining: "draining"
        case .stopped: "stopped"
        case .quarantined: "quarantined"
        }
    }
}
