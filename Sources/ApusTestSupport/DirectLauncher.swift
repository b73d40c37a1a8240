public import ApusCore
public import ApusLoop
internal import CShims
internal import Glibc

/// Starts workers as plain processes, without a sandbox: for tests and benchmarks. Confined to its loop.
public final class DirectLauncher: WorkerLauncher {
    private final class Running {
        let process: CInt
        let watched: CInt
        var watch: DescriptorWatch?

        init(process: CInt, watched: CInt) {
            self.process = process
            self.watched = watched
        }
    }

    /// The program and its arguments for an order.
    public typealias Command = (LaunchOrder) -> (path: String, arguments: [String])

    private let loop: EventLoop
    private let command: Command
    private var running: [LaunchTicket: Running] = [:]
    private var nextTicket: UInt64 = 1
    public var onExit: ((LaunchTicket, WorkerExit) -> Void)?

    public init(loop: EventLoop, command: @escaping Command) {
        self.loop = loop
        self.command = command
    }

    public func launch(_ order: LaunchOrder, _ completion: @escaping (Result<LaunchedWorker, ApusError>) -> Void) {
        // A plain process has no sandbox to inherit secrets in.
        if order.secrets >= 0 { _ = Glibc.close(order.secrets) }
        let (path, arguments) = self.command(order)
        var process = apus_direct_process()
        let status = withCStrings([path] + arguments) { arguments in
            withCStrings(order.environment) { apus_direct_launch(path, arguments, $0, &process) }
        }
        guard status == 0 else {
            completion(
                .failure(ApusError(.startFailed, "\(path) could not be started: \(String(cString: strerror(-status)))"))
            )
            return
        }
        let ticket = LaunchTicket(rawValue: self.nextTicket)
        self.nextTicket += 1
        let running = Running(process: process.process, watched: process.watch)
        running.watch = DescriptorWatch(self.loop, descriptor: process.watch) { [unowned self] _ in self.ended(ticket) }
        running.watch?.watch(.readable)
        self.running[ticket] = running
        completion(
            .success(
                LaunchedWorker(
                    ticket: ticket, toWorker: process.to_worker, fromWorker: process.from_worker,
                    descriptors: process.descriptors,
                    stdout: process.out, stderr: process.err)))
    }

    public func kill(_ ticket: LaunchTicket) {
        guard let running = self.running[ticket] else { return }
        _ = Glibc.kill(running.process, SIGKILL)
    }

    private func ended(_ ticket: LaunchTicket) {
        guard let running = self.running.removeValue(forKey: ticket) else { return }
        running.watch?.close()
        _ = Glibc.close(running.watched)
        var code: CInt = -1
        var signal: CInt = -1
        _ = apus_direct_reap(running.process, &code, &signal)
        self.onExit?(ticket, WorkerExit(code: code < 0 ? nil : code, signal: signal < 0 ? nil : signal))
    }
}

private func withCStrings<Result>(
    _ strings: [String], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
    pointers.append(nil)
    defer { for pointer in pointers { free(pointer) } }
    return pointers.withUnsafeBufferPointer { buffer in
        guard let base = buffer.baseAddress else { preconditionFailure("the list ends with nil") }
        return body(base)
    }
}
