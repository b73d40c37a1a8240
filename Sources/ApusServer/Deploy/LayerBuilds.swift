internal import ApusCore
internal import ApusCrypto
internal import ApusHost
internal import ApusLoop
internal import ApusManifest
internal import ApusSandbox
internal import ApusStore
internal import ApusTelemetry
internal import Glibc

/// Builds dependency layers: fetches packages, installs them without a network, seals the result. One at a time, from a thread
/// that may block; the processes run through a loop and a line to the nursery of their own.
final class LayerBuilds: LayerBuilding {
    private let loop: EventLoop
    // SAFETY: used on `loop` only.
    nonisolated(unsafe) private let nursery: NurseryClient
    // SAFETY: as `nursery`.
    nonisolated(unsafe) private var current: BuildRun?
    // SAFETY: as `nursery`.
    nonisolated(unsafe) private var isAbandoned = false
    private let dataDirectory: String
    private let environment: [String]
    private let interpreter: String
    private let journal: Log

    /// - Parameter environment: what pip is told about its index: `PIP_…` and proxy variables.
    init(loop: EventLoop, nursery: NurseryClient, dataDirectory: String, environment: [String], journal: Log) {
        self.loop = loop
        self.nursery = nursery
        self.dataDirectory = dataDirectory
        self.environment = environment
        self.journal = journal
        // Another interpreter may not load what this one's packages hold.
        var status = stat()
        let found = stat("/usr/bin/python3", &status) == 0
        self.interpreter = found ? "\(status.st_ino)-\(status.st_size)-\(status.st_mtim.tv_sec)" : "none"
    }

    /// The layer of a function's requirements, built when it is not there yet.
    /// - Parameter progress: gets a sentence for each step.
    /// - Returns: the layer's key.
    /// - Throws: `build_failed` with pip's own words, or `bundle_invalid` when the requirements are not in the bundle.
    func layer(
        for function: FunctionManifest, _ dependencies: FunctionManifest.Dependencies, bundle: String,
        progress: (String) -> Void
    ) throws(ApusError) -> String {
        let key = try self.key(function, dependencies, bundle)
        try self.build(key, for: function, dependencies, bundle: bundle, progress: progress)
        return key
    }

    func build(
        _ key: String, for function: FunctionManifest, _ dependencies: FunctionManifest.Dependencies, bundle: String,
        progress: (String) -> Void
    ) throws(ApusError) {
        if access("\(self.dataDirectory)/layers/\(key)", F_OK) == 0 {
            return progress("dependencies of \(function.name): built before")
        }
        try self.onLoop { $0.prepareLayer(key, $1) }
        do {
            progress("dependencies of \(function.name): fetching")
            try self.run(.fetch, key, bundle, self.fetchArguments(dependencies), function, "fetching")
            progress("dependencies of \(function.name): installing")
            try self.run(.build, key, bundle, self.installArguments(dependencies), function, "installing")
            try self.onLoop { $0.sealLayer(key, $1) }
        } catch {
            // Once the line is closed nothing can be removed any more; the next build of this layer clears it away.
            guard error.code != .shuttingDown else { throw error }
            do throws(ApusError) { try self.onLoop { $0.discardLayer(key, $1) } } catch {
                self.journal.warning("what was left of a failed build could not be removed: \(error)")
            }
            throw error
        }
    }

    private func key(
        _ function: FunctionManifest, _ dependencies: FunctionManifest.Dependencies, _ bundle: String
    ) throws(ApusError) -> String {
        let path = "\(self.dataDirectory)/bundles/\(bundle)/\(dependencies.file)"
        guard let requirements = Self.contents(of: path) else {
            throw ApusError(
                .bundleInvalid,
                "\(function.name): the bundle has no file \(dependencies.file): put it beside the code, or correct `dependencies`"
            )
        }
        var bytes = Array(
            "\(function.namespace)\n\(self.interpreter)\n\(dependencies.resolves) \(dependencies.allowsBuild)\n".utf8)
        bytes.append(contentsOf: requirements)
        return Hex.encode(SHA256.hash(bytes))
    }

    private func fetchArguments(_ dependencies: FunctionManifest.Dependencies) -> [String] {
        var arguments = [
            "download", "--no-input", "--disable-pip-version-check", "--no-cache-dir", "--progress-bar", "off",
            "--dest", "/out/wheels",
        ]
        if !dependencies.allowsBuild { arguments.append("--only-binary=:all:") }
        if !dependencies.resolves { arguments.append("--no-deps") }
        return arguments + ["-r", "/function/\(dependencies.file)"]
    }

    private func installArguments(_ dependencies: FunctionManifest.Dependencies) -> [String] {
        var arguments = [
            "install", "--no-input", "--disable-pip-version-check", "--no-cache-dir", "--progress-bar", "off",
            "--no-index", "--find-links",
            "/out/wheels", "--target", "/out/site",
        ]
        if !dependencies.resolves { arguments.append("--no-deps") }
        return arguments + ["-r", "/function/\(dependencies.file)"]
    }

    private func run(
        _ runtime: LaunchOrder.Runtime, _ key: String, _ bundle: String, _ arguments: [String],
        _ function: FunctionManifest,
        _ what: String
    ) throws(ApusError) {
        let order = LaunchOrder(
            runtime: runtime, bundle: bundle, layer: key, arguments: arguments,
            environment: runtime == .fetch ? self.environment : [],
            bounds: SandboxBounds(memoryBytes: 2 << 30, cpuMillis: 2_000, processes: 64, scratchBytes: 1 << 30)
        )
        let slot = ResultSlot<Result<BuildRun.Outcome, ApusError>>()
        self.loop.post {
            guard !self.isAbandoned else { return slot.fill(.failure(Self.stopping)) }
            let folder = self.dataDirectory
            let run = BuildRun(self.loop, self.nursery, room: { DiskRoom.left(at: folder) }) { result in
                self.current = nil
                slot.fill(result)
            }
            self.current = run
            run.start(order)
        }
        let outcome = try slot.take().get()
        // No function's log is there yet: nobody has deployed it.
        if !outcome.exit.denials.isEmpty {
            let denied = outcome.exit.denials.denials.text(max: Limits.Host.denialsInHeader)
            self.journal.info("\(function.name): \(what) its dependencies was denied calls", ["denied": denied])
        }
        guard outcome.exit.code == 0 else {
            let reason =
                outcome.exit.isOutOfMemory
                ? "it ran out of memory" : outcome.exit.failedStage.map { "the sandbox failed at \($0)" } ?? "pip says"
            throw ApusError(
                .buildFailed,
                "\(function.name): \(what) the dependencies failed; \(reason):\n\(Self.relevant(outcome.output))")
        }
    }

    /// pip's errors and the lines that explain them; the end of everything when there are none.
    private static func relevant(_ output: String) -> String {
        let lines = output.split(separator: "\n").map(String.init)
        let errors = lines.filter { $0.hasPrefix("ERROR") || $0.contains("error:") || $0.hasPrefix("  ") }
        return (errors.isEmpty ? lines.suffix(20) : errors.suffix(20)).joined(separator: "\n")
    }

    private func onLoop(
        _ request: @escaping @Sendable (NurseryClient, @escaping (Result<Void, ApusError>) -> Void) -> Void
    ) throws(ApusError) {
        let slot = ResultSlot<Result<Void, ApusError>>()
        self.loop.post {
            guard !self.isAbandoned else { return slot.fill(.failure(Self.stopping)) }
            request(self.nursery) { slot.fill($0) }
        }
        try slot.take().get()
    }

    private static func contents(of path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Limits.Server.requirementsBytes + 1)
        var count = 0
        while count < bytes.count {
            let more = bytes.withUnsafeMutableBytes { buffer in
                buffer.baseAddress.map { read(descriptor, $0 + count, buffer.count - count) } ?? 0
            }
            if more <= 0 { break }
            count += more
        }
        return count <= Limits.Server.requirementsBytes ? Array(bytes[..<count]) : nil
    }

    private static let stopping = ApusError(.shuttingDown, "the server is stopping: deploy again when it is back")

    /// Closes the line to the nursery: the build under way ends, and whoever builds from now on hears `shutting_down`. The loop
    /// lives on, so that nobody waits for an answer in vain.
    func abandon() {
        self.loop.runAndWait {
            self.isAbandoned = true
            self.current?.abandon()
            self.nursery.close()
        }
    }

    /// Ends the loop. After ``abandon()``, when nobody builds any more.
    func stop() { self.loop.stop() }
}
