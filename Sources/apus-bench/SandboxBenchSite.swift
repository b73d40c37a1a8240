internal import ApusCore
internal import ApusLoop
internal import ApusSandbox
internal import Glibc
internal import Synchronization

/// A nursery, a loop and a data directory with a function to launch.
final class SandboxBenchSite: @unchecked Sendable {
    // SAFETY: `client` and `exits` are used on the loop only; the rest is constant.
    /// Microseconds from the decision to launch.
    struct ColdStart: Sendable {
        var hello = 0.0
        var result = 0.0
        /// From the kill to the sandbox verified empty.
        var kill = 0.0
    }

    static let bundle = String(repeating: "b", count: 64)
    /// The folder of the module `apus`'s parent, and of the function.
    let runtime: String
    let function: String
    let folder: String
    private let nursery: Nursery
    let loop = EventLoop()
    var client: NurseryClient?
    var exits: [UInt64: () -> Void] = [:]

    init(directory: String) throws {
        var template = Array("\(directory)/apus-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw BenchFailure("no folder can be made in \(directory)") }
        self.folder = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        self.function = "\(self.folder)/bundles/\(Self.bundle)"
        for path in [self.folder, "\(self.folder)/bundles", self.function] {
            mkdir(path, 0o755)
            chmod(path, 0o755)
        }
        try Self.write("def echo(event, context):\n    return event\n", to: "\(self.function)/main.py")
        let script = "exports.echo = (event, context) => ({ x: event.data.x });\n"
        try Self.write(script, to: "\(self.function)/main.js")
        try Self.copyProgram("/bin/true", to: "\(self.function)/true")
        let files = try InstalledFiles.locate()
        self.runtime = "\(files.runtimes)/python"
        self.nursery = try Nursery.start(
            Nursery.Configuration(
                executable: files.nursery, dataDirectory: self.folder, runtimes: files.runtimes,
                profiles: files.profiles,
                slots: 64, isRootless: geteuid() != 0))
        let channel = self.nursery.channels[0]
        let report = self.nursery.report
        try self.onLoop { done in
            do throws(ApusError) {
                let client = try NurseryClient(self.loop, channel: channel, shard: 0, report: report) {}
                client.onExit = { ticket, _ in self.exits.removeValue(forKey: ticket.rawValue)?() }
                self.client = client
                done(.success(()))
            } catch {
                done(.failure(error))
            }
        }
    }

    func close() {
        let _: Void? = try? self.onLoop { done in
            self.client?.close()
            self.client = nil
            done(.success(()))
        }
        self.loop.stop()
        var status: CInt = 0
        waitpid(self.nursery.process, &status, 0)
        _ = try? BenchProcess.run(["/bin/rm", "-rf", "--", self.folder], output: "/dev/null")
    }

    // MARK: figures

    /// Launches Python, invokes its handler once, kills it.
    func coldStart(isClone: Bool = false) throws -> ColdStart {
        try self.onLoop { done in
            guard let client = self.client else { return }
            let order = LaunchOrder(runtime: .python, bundle: Self.bundle, isClone: isClone)
            let start = nanoseconds()
            client.launch(order) { result in
                switch result {
                case .failure(let error): done(.failure(error))
                case .success(let worker):
                    let call = SandboxBenchCall(self.loop, worker, start: start) { times in
                        guard var times else {
                            return done(.failure(BenchFailure("the worker ended before its result")))
                        }
                        let killed = nanoseconds()
                        self.exits[worker.ticket.rawValue] = {
                            times.kill = Double(nanoseconds() - killed) / 1_000
                            done(.success(times))
                        }
                        client.kill(worker.ticket)
                    }
                    call.begin()
                }
            }
        }
    }

    /// Microseconds from the decision to launch to the exit of a program that does nothing, its sandbox verified empty.
    func runNative() throws -> Double {
        let start = nanoseconds()
        let _: Void = try self.onLoop { done in self.launchNative { done($0) } }
        return Double(nanoseconds() - start) / 1_000
    }

    /// Sandboxes made, run and ended per second.
    func createRate(_ count: Int, inFlight: Int) throws -> Double {
        let start = nanoseconds()
        let _: Void = try self.onLoop { done in
            var left = count
            var running = 0
            func next() {
                while running < inFlight, left > 0 {
                    left -= 1
                    running += 1
                    self.launchNative { result in
                        running -= 1
                        if case .failure(let error) = result { return done(.failure(error)) }
                        if left == 0, running == 0 { return done(.success(())) }
                        next()
                    }
                }
            }
            next()
        }
        return Double(count) * 1e9 / Double(nanoseconds() - start)
    }

    private func launchNative(_ done: @escaping (Result<Void, any Error>) -> Void) {
        let order = LaunchOrder(runtime: .native, bundle: Self.bundle, arguments: ["true"])
        self.client?.launch(order) { result in
            switch result {
            case .failure(let error): done(.failure(error))
            case .success(let worker):
                for descriptor in [
                    worker.toWorker, worker.fromWorker, worker.descriptors, worker.stdout, worker.stderr,
                ] {
                    Glibc.close(descriptor)
                }
                self.exits[worker.ticket.rawValue] = { done(.success(())) }
            }
        }
    }

    // MARK: helpers

    /// Runs on the loop and waits for the answer.
    func onLoop<Value: Sendable>(
        _ body: @escaping @Sendable (@escaping @Sendable (Result<Value, any Error>) -> Void) -> Void
    ) throws -> Value {
        let answer = SandboxBenchAnswer<Value>()
        self.loop.post { body { answer.fill($0) } }
        return try answer.take()
    }

    private static func write(_ text: String, to path: String) throws {
        guard let file = fopen(path, "w") else { throw BenchFailure("\(path) cannot be written") }
        fputs(text, file)
        fclose(file)
        chmod(path, 0o644)
    }

    private static func copyProgram(_ source: String, to target: String) throws {
        guard let from = fopen(source, "r"), let to = fopen(target, "w") else {
            throw BenchFailure("\(source) cannot be copied to \(target)")
        }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&buffer, 1, buffer.count, from)
            if count == 0 { break }
            fwrite(buffer, 1, count, to)
        }
        fclose(from)
        fclose(to)
        chmod(target, 0o755)
    }
}
