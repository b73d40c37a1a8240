internal import CShims

/// What this host can enforce, as the nursery found it at its start.
public struct HostReport: Sendable, Equatable {
    /// Whom the server becomes: the user `apus`, or without one the first uid of the block.
    public var serverUser: UInt32
    public var serverGroup: UInt32
    /// The first uid of the locked block; slots follow it.
    public var uidBase: UInt32
    public var slots: Int
    /// 0 without Landlock.
    public var landlockVersion: Int
    public var usesCgroupV1: Bool
    public var usesCgroupV2: Bool
    public var missing: [IsolationLayer]
    /// The numbers of the devices that a worker may be given.
    public var gpus: [UInt32]

    init(_ event: nursery_event) {
        self.serverUser = event.server_uid
        self.serverGroup = event.server_gid
        self.uidBase = event.uid_base
        self.slots = Int(event.slots)
        self.landlockVersion = Int(event.landlock_abi)
        self.usesCgroupV1 = event.cgroup_versions & 1 != 0
        self.usesCgroupV2 = event.cgroup_versions & 2 != 0
        self.missing = IsolationLayer.list(event.missing)
        self.gpus = (0..<UInt32(NURSERY_GPUS_MAX)).filter { event.gpus & (1 << UInt64($0)) != 0 }
    }

    /// Whether functions with `isolation: hostile` may run here.
    public var allowsHostile: Bool { !self.missing.contains { $0.concernsFunctions } }

    /// One line for every layer: its name, whether this host enforces it, and what its absence means.
    public var lines: [DoctorLine] {
        let always = [
            "namespaces", "read-only-root", "own-uid", "no-capabilities", "no-new-privileges", "system-call-filter",
            "empty-network",
        ].map { DoctorLine(name: $0, isEnforced: true, detail: "") }
        let others = IsolationLayer.allCases.map { layer in
            let isMissing = self.missing.contains(layer)
            return DoctorLine(
                name: layer.description, isEnforced: !isMissing, detail: isMissing ? layer.whenMissing : "")
        }
        return always + others
    }

    public struct DoctorLine: Sendable, Equatable {
        public var name: String
        public var isEnforced: Bool
        /// Empty when it is enforced.
        public var detail: String
    }
}
