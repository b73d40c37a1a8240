internal import ApusCore
internal import ApusLoop
internal import ApusSandbox
internal import ApusTestSupport
internal import Glibc

/// The workers that dispatch is measured with: a bundle with the native echo worker and a Python function, run in
/// sandboxes by a nursery, or with `--sandbox none` as plain processes.
final class DispatchBenchWorkers {
    enum Kind: String, CaseIterable { case native, python }

    private static let bundle = String(repeating: "b", count: 64)
    /// A handler for one event at a time runs on Python's main thread; one for many has to be a coroutine.
    private static let source =
        """
        from time import monotonic_ns


        def echo(event, context):
            return event.data


        async def echo_many(event, context):
            return event.data


        def echo_batch(events, context):
            return [event.data for event in events]


        def stamp(event, context):
            return monotonic_ns().to_bytes(8, "little")

        """

    private let folder: String
    private let files: InstalledFiles
    private let nursery: Nursery?
    private var nextShard = 0

    /// - Parameter shards: how many launchers will be asked for.
    /// - Throws: when files cannot be made, or no sandbox can be had.
    init(directory: String, shards: Int, isSandboxed: Bool) throws {
        let files = try InstalledFiles.locate()
        self.files = files
        var template = Array("\(directory)/apus-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BenchFailure("no folder can be made in \(directory)") }
        self.folder = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        try Self.fill(self.folder, worker: files.echoWorker)
        self.nursery =
            isSandboxed
            ? try Nursery.start(
                Nursery.Configuration(
                    executable: files.nursery, dataDirectory: self.folder, runtimes: files.runtimes,
                    profiles: files.profiles,
                    shards: shards, slots: 16)) : nil
        if let report = self.nursery?.report { chown(self.folder, report.serverUser, report.serverGroup) }
    }

    private static func fill(_ folder: String, worker: String) throws {
        chmod(folder, 0o755)
        for name in ["bundles", "layers", "bundles/\(Self.bundle)"] { mkdir("\(folder)/\(name)", 0o755) }
        let bundle = "\(folder)/bundles/\(Self.bundle)"
        guard let file = fopen("\(bundle)/main.py", "w") else {
            throw BenchFailure("\(bundle)/main.py cannot be written")
        }
        fputs(Self.source, file)
        fclose(file)
        guard let from = fopen(worker, "r"), let to = fopen("\(bundle)/echo-native", "w") else {
            throw BenchFailure("\(worker) is missing: build the product echo-native")
        }
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&chunk, 1, chunk.count, from), count > 0 { fwrite(chunk, 1, count, to) }
        fclose(from)
        fclose(to)
        chmod("\(bundle)/echo-native", 0o755)
        chmod("\(bundle)/main.py", 0o644)
    }

    /// Where the worker finds its function.
    var functionPath: String { self.nursery == nil ? "\(self.folder)/bundles/\(Self.bundle)" : "/function" }

    func order(_ kind: Kind) -> LaunchOrder {
        switch kind {
        case .native: LaunchOrder(runtime: .native, bundle: Self.bundle, arguments: ["echo-native", "echo"])
        case .python: LaunchOrder(runtime: .python, bundle: Self.bundle)
        }
    }

    /// A launcher for one loop. Called on its thread.
    func makeLauncher(_ loop: EventLoop) throws(ApusError) -> any WorkerLauncher {
        guard let nursery = self.nursery else {
            let (native, main) = ("\(self.functionPath)/echo-native", "\(self.files.runtimes)/python/apus/__main__.py")
            return DirectLauncher(loop: loop) { order in
                order.runtime == .native ? (native, ["echo"]) : ("/usr/bin/python3", ["-I", "-S", "-B", main])
            }
        }
        defer { self.nextShard += 1 }
        return try NurseryClient(
            loop, channel: nursery.channels[self.nextShard], shard: self.nextShard, report: nursery.report
        ) {}
    }

    func close() {
        let bundle = "\(self.folder)/bundles/\(Self.bundle)"
        for file in ["main.py", "echo-native"] { unlink("\(bundle)/\(file)") }
        for name in ["bundles/\(Self.bundle)", "bundles", "layers", ""] { rmdir("\(self.folder)/\(name)") }
    }
}
