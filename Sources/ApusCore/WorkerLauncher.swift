/// Makes and ends sandboxed worker processes. Confined to one loop; every call and every callback is on its thread.
public protocol WorkerLauncher: AnyObject {
    /// Asks for a process. `completion` is called once, on the loop.
    func launch(_ order: LaunchOrder, _ completion: @escaping (Result<LaunchedWorker, ApusError>) -> Void)
    /// Whether what the process needs of files is on this machine. Where it is not, `launch` has it brought first, which may take as
    /// long as its bytes do.
    func hasFiles(for order: LaunchOrder) -> Bool
    /// Ends everything in the sandbox at once. Harmless when it has ended.
    func kill(_ ticket: LaunchTicket)
    /// Called on the loop once for each launched process, after its sandbox was verified empty.
    var onExit: ((LaunchTicket, WorkerExit) -> Void)? { get set }
}

extension WorkerLauncher {
    public func hasFiles(for order: LaunchOrder) -> Bool { true }
}

/// Names one launch for the life of the server.
public struct LaunchTicket: Sendable, Hashable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// What to run, and within which bounds.
public struct LaunchOrder: Sendable, Equatable {
    public enum Runtime: UInt32, Sendable {
        /// `/usr/bin/python3` with the module `apus` of `sandbox/runtimes/python`.
        case python = 1
        /// The function's own binary, which speaks the worker protocol.
        case native = 2
        /// Fetches packages: the host's network and pip settings, a writable `/out`.
        case fetch = 3
        /// Installs what was fetched: no network, a writable `/out`.
        case build = 4
        /// The worker for exec: a process for each event, of the command that INIT names.
        case exec = 5
        /// `/usr/bin/node` with the module `apus` of `sandbox/runtimes/node`.
        case node = 6
        /// Not a worker: connects on behalf of workers with a way out, with the host's network. It has no bundle.
        case egress = 8
        /// Python as the zygote of one function: forks a process for each of its calls.
        case forks = 9
    }

    public var runtime: Runtime
    public var isolation: WorkerIsolation.Level
    /// The bundle's content hash, 64 hexadecimal digits: `bundles/<hash>` read-only at `/function`. For `fetch` and `build`, where
    /// the requirements are.
    public var bundle: String
    /// The dependency layer's hash, or empty: `layers/<hash>` read-only at `/layer`, writable at `/out` for `fetch` and `build`.
    public var layer: String
    /// The hash of a set of weights, or empty: `weights/sets/<hash>` read-only at `/weights`.
    public var weights = ""
    /// For `native`: the binary's path inside the bundle and its arguments. For `fetch` and `build`: the arguments of pip.
    public var arguments: [String]
    /// `NAME=value`, at most ``SandboxBounds/environmentBytes`` in all.
    public var environment: [String]
    public var bounds: SandboxBounds
    /// For `python`: the worker may be the clone of a warm interpreter. It starts faster, and shares with others where its memory
    /// lies and the seed of its hashes.
    public var isClone: Bool
    /// Devices of NVIDIA's that the worker is given, by the number of their node; for `python` and `native`.
    public var gpus: [UInt32] = []
    /// Parts of these devices (MIG), by the minor number of their node below `/dev/nvidia-caps`.
    public var gpuCapabilities: [UInt32] = []
    /// What outcomes say: a device within reach is more than what was asked for.
    public var effectiveIsolation: WorkerIsolation.Level {
        self.isolation == .standard && !self.gpus.isEmpty ? .gpu : self.isolation
    }
    /// A sealed memory file that becomes the process's descriptor 6; -1 for none. Whoever is given the order closes it.
    public var secrets: CInt = -1
    /// It gets a network of its own, where one socket listens: see ``LaunchedWorker/listener``.
    public var hasProxy = false
    /// Its process may be forked from the function's zygote, in a sandbox that calls of this function share.
    public var fork: ForkOrder?

    public init(
        runtime: Runtime, isolation: WorkerIsolation.Level = .standard, bundle: String, layer: String = "",
        arguments: [String] = [],
        environment: [String] = [], bounds: SandboxBounds = SandboxBounds(), isClone: Bool = false
    ) {
        self.runtime = runtime
        self.isolation = isolation
        self.bundle = bundle
        self.layer = layer
        self.arguments = arguments
        self.environment = environment
        self.bounds = bounds
        self.isClone = isClone
    }
}

public struct SandboxBounds: Sendable, Hashable {
    public static let environmentBytes = 16 * 1024
    public static let argumentsBytes = 16 * 1024
    public static let processesMax: UInt32 = 100_000
    public static let cpuMillisMax: UInt32 = 1_000_000

    public var memoryBytes: UInt64
    /// Thousandths of a CPU.
    public var cpuMillis: UInt32
    public var processes: UInt32
    public var scratchBytes: UInt64
    public var openFiles: UInt32

    public init(
        memoryBytes: UInt64 = 512 << 20, cpuMillis: UInt32 = 1_000, processes: UInt32 = 32,
        scratchBytes: UInt64 = 64 << 20,
        openFiles: UInt32 = 256
    ) {
        self.memoryBytes = memoryBytes
        self.cpuMillis = cpuMillis
        self.processes = processes
        self.scratchBytes = scratchBytes
        self.openFiles = openFiles
    }
}

/// A process that runs, with the server's ends of its channels. The receiver owns the descriptors and closes them.
public struct LaunchedWorker: Sendable {
    public var ticket: LaunchTicket
    /// Becomes the worker's descriptor 3; written by the server. Non-blocking, as all of these.
    public var toWorker: CInt
    /// The worker's descriptor 4; read by the server.
    public var fromWorker: CInt
    /// The worker's descriptor 5: a SEQPACKET socket the server sends descriptors on.
    public var descriptors: CInt
    public var stdout: CInt
    public var stderr: CInt
    /// Isolation layers that this host could not give, by name; empty when all hold.
    public var missingLayers: [String]
    /// The socket that listens in the worker's own network, for an order with `hasProxy`; -1 for others.
    public var listener: CInt = -1
    public var mode: WorkerIsolation.Mode
    /// What it is denied; nil where nobody counts.
    public var denials: DenialSource?
    /// It is a process in a sandbox that other calls of its function are in.
    public var sharesSandbox: Bool

    public init(
        ticket: LaunchTicket, toWorker: CInt, fromWorker: CInt, descriptors: CInt, stdout: CInt, stderr: CInt,
        missingLayers: [String] = [], mode: WorkerIsolation.Mode = .root, denials: DenialSource? = nil,
        sharesSandbox: Bool = false
    ) {
        self.ticket = ticket
        self.toWorker = toWorker
        self.fromWorker = fromWorker
        self.descriptors = descriptors
        self.stdout = stdout
        self.stderr = stderr
        self.missingLayers = missingLayers
        self.denials = denials
        self.mode = mode
        self.sharesSandbox = sharesSandbox
    }
}

/// How a worker's process ended.
public struct WorkerExit: Sendable, Equatable {
    /// The exit code, or nil when a signal ended it.
    public var code: Int32?
    public var signal: Int32?
    /// The memory bound ended it.
    public var isOutOfMemory: Bool
    /// For an exit before the program ran: the step of the sandbox that failed.
    public var failedStage: String?
    /// All that it was denied in its life.
    public var denials = DenialReport()
    /// How often the bound of processes refused it another.
    public var processesRefused: UInt32 = 0
    /// Nobody counted what it was denied.
    public var isUnaudited = false

    public init(code: Int32?, signal: Int32?, isOutOfMemory: Bool = false, failedStage: String? = nil) {
        self.code = code
        self.signal = signal
        self.isOutOfMemory = isOutOfMemory
        self.failedStage = failedStage
    }
}
