public import ApusCore

/// A layer of isolation that a host may lack. What is not listed here the nursery cannot start without.
public enum IsolationLayer: Int, Sendable, CaseIterable, CustomStringConvertible {
    case memory = 0
    case swap = 1
    case processes = 2
    case cpu = 3
    case cgroupKill = 4
    case landlockFiles = 5
    case landlockNetwork = 6
    case landlockScopes = 7
    case execOnce = 8
    case keyring = 9
    case procSubset = 10
    case fetchBound = 11
    case denialAudit = 12
    case ownUser = 13
    case egress = 14

    /// The name that outcomes, `/readyz` and `apus doctor` use.
    public var description: String {
        switch self {
        case .memory: "memory-limit"
        case .swap: "swap-limit"
        case .processes: "process-limit"
        case .cpu: "cpu-limit"
        case .cgroupKill: "cgroup-kill"
        case .landlockFiles: "landlock-files"
        case .landlockNetwork: "landlock-network"
        case .landlockScopes: "landlock-scopes"
        case .execOnce: "exec-once"
        case .keyring: "session-keyring"
        case .procSubset: "proc-subset"
        case .fetchBound: "fetch-network-bound"
        case .denialAudit: "denial-audit"
        case .ownUser: "own-uid"
        case .egress: "egress"
        }
    }

    /// What its absence means, and what to do about it.
    /// - Parameter shortfall: why there are no uids of their own.
    public func whenMissing(_ mode: WorkerIsolation.Mode, shortfall: String) -> String {
        if mode == .rootless, let text = self.whenMissingWithoutRoot(shortfall) { return text }
        return self.whenMissing
    }

    private func whenMissingWithoutRoot(_ shortfall: String) -> String? {
        let delegate = "have systemd delegate a control group: docs/rootless.md#control-groups"
        return switch self {
        case .memory:
            "no control group can be written: RLIMIT_DATA bounds each process, and nothing what they share; \(delegate)"
        case .processes:
            "no control group can be written: only the per-user process limit stops a fork bomb; \(delegate)"
        case .cpu: "no control group can be written: a function may take every CPU; \(delegate)"
        case .cgroupKill: "no v2 group can be written: sandboxes end by their pid namespace alone; \(delegate)"
        case .execOnce:
            "page zero cannot be mapped without root: a worker that was not cloned can execute its own program and the loader again; "
                + "run the server as root for more"
        case .ownUser:
            "all sandboxes have the server's own uid, and with it one set of the kernel's limits per user: \(shortfall); "
                + "docs/rootless.md#single-uid"
        default: nil
        }
    }

    private var whenMissing: String {
        switch self {
        case .memory:
            "no memory control group can be written: RLIMIT_DATA bounds each process, and nothing what they share; "
                + "mount the memory controller (v1 or v2)"
        case .swap:
            "swap is on and cannot be bounded: a function over its memory bound is slowed before it is ended; "
                + "turn swap off"
        case .processes:
            "no pids control group can be written: only the per-user process limit stops a fork bomb; "
                + "mount the pids controller"
        case .cpu: "no cpu control group can be written: a function may take every CPU; mount the cpu controller"
        case .cgroupKill: "no v2 hierarchy is mounted: sandboxes end by their pid namespace alone; mount cgroup2"
        case .landlockFiles:
            "the kernel has no Landlock: mounts alone say which files a function reaches; "
                + "use Linux 5.13 or newer with Landlock on"
        case .landlockNetwork:
            "Landlock cannot refuse TCP: the empty network namespace and the call filter alone do; "
                + "use Linux 6.7 or newer"
        case .landlockScopes:
            "Landlock cannot scope signals and abstract sockets: namespaces and the call filter alone do; "
                + "use Linux 6.12 or newer"
        case .execOnce: "vm.mmap_min_addr is 0: a function can start further programs of its own root; set it to 65536"
        case .keyring: "session keyrings cannot be made: functions keep the server's; allow keyctl to the server"
        case .procSubset:
            "/proc cannot be mounted with subset=pid: functions see the host's kernel settings there; "
                + "use Linux 5.8 or newer"
        case .fetchBound:
            "fetching dependencies uses the host's network without a bound to the package index; "
                + "set `resolve: false` or trust what you deploy"
        case .denialAudit:
            "no auditor runs: denied calls stay denied, and nobody counts them; a container or tracer around the server that "
                + "listens to system calls itself leaves it none, and one that ended is started again with the next sandbox"
        case .ownUser: "all sandboxes have one uid, and with it one set of the kernel's limits per user"
        case .egress:
            "the egress program is not beside the nursery: functions with `network: {allow: […]}` do not start; "
                + "install apus whole"
        }
    }

    static func list(_ bits: UInt64) -> [IsolationLayer] {
        Self.allCases.filter { bits & (1 << UInt64($0.rawValue)) != 0 }
    }

    /// Whether its absence weakens running functions; otherwise only the building of dependencies, or what does not start then.
    public var concernsFunctions: Bool { self != .fetchBound && self != .egress }
}
