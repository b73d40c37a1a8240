import ApusCore
import ApusLoop
import ApusSandbox
import CShims
import Glibc
import Synchronization

/// A nursery with a loop and a client, and a data directory with bundles to run: shared by all tests of this process.
final class Laboratory: Sendable {
    /// How an attempt in a sandbox ended, with all it printed.
    struct Ending: Sendable {
        var output: String
        var errors: String
        var exit: WorkerExit
        var firstLine: String { String(self.output.prefix { $0 != "\n" }) }
    }

    private struct State {
        var exits: [UInt64: WorkerExit] = [:]
        var waiting: [UInt64: CheckedContinuation<WorkerExit, Never>] = [:]
    }

    /// The bundle that holds the probe as `probe`, and `main.py` for Python.
    static let bundle = String(repeating: "a", count: 64)
    /// Where the tests' own files are on the host.
    static let folder = "/tmp/apus-sandbox-tests-\(getpid())"
    static let dataDirectory = "\(folder)/data"
    static let isRoot = geteuid() == 0
    static let needsRoot = "sandboxes are made by root: run the tests with sudo"
    static let shared = try? Laboratory()

    let nursery: Nursery
    let loop = EventLoop()
    private let state = Mutex(State())
    // SAFETY: made on the loop in `init` before anybody else has `self`, then used on the loop only.
    nonisolated(unsafe) private var client: NurseryClient?

    static let buildFolder: String = {
        var buffer = [CChar](repeating: 0, count: 4_096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        let path = String(decoding: buffer.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
    }()

    static let packageFolder: String = {
        var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
        parts.removeLast(3)
        return parts.joined(separator: "/")
    }()

    /// Another nursery than the build's own: the sanitized one.
    static let nurseryExecutable = getenv("APUS_TEST_NURSERY").map { String(cString: $0) } ?? "\(buildFolder)/nursery"

    private init() throws {
        Laboratory.makeFolders()
        var configuration = Nursery.Configuration(
            executable: Laboratory.nurseryExecutable, dataDirectory: Laboratory.dataDirectory,
            runtimes: "\(Laboratory.folder)/runtimes", profiles: "\(Laboratory.packageFolder)/sandbox/profiles",
            slots: 16)
        configuration.deviceRoot = DeviceRoot.make(in: Laboratory.folder)
        self.nursery = try Nursery.start(configuration)
        chown(Laboratory.dataDirectory, self.nursery.report.serverUser, self.nursery.report.serverGroup)
        let made = Mutex(false)
        let report = self.nursery.report
        let channel = self.nursery.channels[0]
        self.loop.post {
            self.client = try? NurseryClient(self.loop, channel: channel, shard: 0, report: report) {}
            self.client?.onExit = { ticket, exit in self.ended(ticket, exit) }
            made.withLock { $0 = true }
        }
        while !made.withLock({ $0 }) { usleep(1_000) }
        atexit { TestFiles.remove(Laboratory.folder) }
    }

    private static func makeFolders() {
        TestFiles.makeFolder(self.folder)
        for name in [
            "data", "data/bundles", "data/bundles/\(self.bundle)", "host", "runtimes", "runtimes/python",
            "runtimes/python/apus", "runtimes/node", "runtimes/node/apus",
        ] {
            TestFiles.makeFolder("\(self.folder)/\(name)")
        }
        TestFiles.copy(
            "\(self.buildFolder)/probe", to: "\(self.dataDirectory)/bundles/\(self.bundle)/probe", mode: 0o755)
        self.makeProbeLibrary()
        self.makeHostilePackage()
        // What the nursery starts is this module; the attempt to make travels in the environment.
        TestFiles.write(
            "import os\nexec(os.environ['SNIPPET'])\n", to: "\(self.folder)/runtimes/python/apus/__main__.py")
        TestFiles.write(
            "require('vm').compileFunction('return (async () => {' + process.env.SNIPPET + '\\n})()', ['require', 'report'])(require, report)"
                + ".catch(report);\nfunction report(error) { console.log(error.code ?? error.name); }\n",
            to: "\(self.folder)/runtimes/node/apus/main.js")
    }

    private func ended(_ ticket: LaunchTicket, _ exit: WorkerExit) {
        let waiting = self.state.withLock { state in
            let waiting = state.waiting.removeValue(forKey: ticket.rawValue)
            if waiting == nil { state.exits[ticket.rawValue] = exit }
            return waiting
        }
        waiting?.resume(returning: exit)
    }

    // MARK: on the loop

    func withClient<Value: Sendable>(
        _ body: @escaping @Sendable (NurseryClient, @escaping @Sendable (Value) -> Void) -> Void
    ) async -> Value {
        await withCheckedContinuation { continuation in
            self.loop.post {
                guard let client = self.client else { preconditionFailure("the laboratory has a client") }
                body(client) { continuation.resume(returning: $0) }
            }
        }
    }

    func launch(_ order: LaunchOrder) async throws -> LaunchedWorker {
        let result: Result<LaunchedWorker, ApusError> = await self.withClient { client, done in
            client.launch(order) { done($0) }
        }
        return try result.get()
    }

    func kill(_ worker: LaunchedWorker) async {
        let ticket = worker.ticket
        let _: Bool = await self.withClient { client, done in
            client.kill(ticket)
            done(true)
        }
    }

    func exit(of worker: LaunchedWorker) async -> WorkerExit {
        await withCheckedContinuation { continuation in
            let exit = self.state.withLock { state in
                let exit = state.exits.removeValue(forKey: worker.ticket.rawValue)
                if exit == nil { state.waiting[worker.ticket.rawValue] = continuation }
                return exit
            }
            if let exit { continuation.resume(returning: exit) }
        }
    }

    // MARK: attempts

    func order(_ arguments: [String], bounds: SandboxBounds = SandboxBounds(), environment: [String] = [])
        -> LaunchOrder
    {
        LaunchOrder(
            runtime: .native, bundle: Self.bundle, arguments: ["probe"] + arguments, environment: environment,
            bounds: bounds)
    }

    func order(python snippet: String, bounds: SandboxBounds = SandboxBounds()) -> LaunchOrder {
        LaunchOrder(runtime: .python, bundle: Self.bundle, environment: ["SNIPPET=\(snippet)"], bounds: bounds)
    }

    func order(node snippet: String, bounds: SandboxBounds = SandboxBounds()) -> LaunchOrder {
        LaunchOrder(runtime: .node, bundle: Self.bundle, environment: ["SNIPPET=\(snippet)"], bounds: bounds)
    }

    /// Runs to the end and returns what was printed.
    func run(_ order: LaunchOrder) async throws -> Ending {
        let worker = try await self.launch(order)
        defer { Self.close(worker) }
        let exit = await self.exit(of: worker)
        return Ending(output: TestFiles.drain(worker.stdout), errors: TestFiles.drain(worker.stderr), exit: exit)
    }

    static func close(_ worker: LaunchedWorker) {
        for descriptor in [worker.toWorker, worker.fromWorker, worker.descriptors, worker.stdout, worker.stderr] {
            Glibc.close(descriptor)
        }
    }

    /// Waits until the descriptor has something and returns it.
    static func await(_ descriptor: CInt, milliseconds: CInt = 10_000) -> String? {
        guard apus_wait_readable(descriptor, milliseconds) == 1 else { return nil }
        return TestFiles.drain(descriptor)
    }

    /// The same program as root without any sandbox.
    static func control(_ arguments: [String]) -> (output: String, status: CInt, all: String) {
        var ends: (CInt, CInt) = (-1, -1)
        withUnsafeMutablePointer(to: &ends) { pointer in
            pointer.withMemoryRebound(to: CInt.self, capacity: 2) { precondition(pipe($0) == 0) }
        }
        _ = fcntl(ends.0, F_SETFD, FD_CLOEXEC)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, ends.1, 1)
        posix_spawn_file_actions_addclose(&actions, ends.1)
        defer { posix_spawn_file_actions_destroy(&actions) }
        var strings: [UnsafeMutablePointer<CChar>?] = (["probe"] + arguments).map { strdup($0) } + [nil]
        defer { for string in strings { free(string) } }
        var process: pid_t = 0
        let result = posix_spawn(&process, "\(self.buildFolder)/probe", &actions, nil, &strings, environ)
        Glibc.close(ends.1)
        defer { Glibc.close(ends.0) }
        precondition(result == 0, "the control run cannot start: \(result)")
        let output = TestFiles.drain(ends.0)
        var status: CInt = 0
        _ = apus_wait_for(process, &status)
        return (String(output.prefix { $0 != "\n" }), status, output)
    }
}

/// Runs `body` with the laboratory; a test only gets here as root.
func withLaboratory(_ body: (Laboratory) async throws -> Void) async throws {
    guard let laboratory = Laboratory.shared else {
        throw ApusError(.sandboxUnavailable, "the nursery did not start; its reason is on standard error")
    }
    try await body(laboratory)
}
