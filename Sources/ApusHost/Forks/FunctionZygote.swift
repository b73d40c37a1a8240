internal import ApusCore
internal import ApusLoop
internal import CShims
internal import Glibc

/// The server's side of one function's zygote: its descriptors, the calls that wait for it and those it has. Loop thread only;
/// owned by a ``ForkingLauncher``, which is told of what it comes to.
final class FunctionZygote {
    typealias Completion = (Result<LaunchedWorker, ApusError>) -> Void

    /// A call that asked for a process.
    struct Waiting {
        var order: LaunchOrder
        var completion: Completion
    }

    /// FORK was sent for it.
    private struct Asked {
        var waiting: Waiting
        var worker: LaunchedWorker
    }

    let order: LaunchOrder
    let fork: ForkOrder
    private(set) var ticket: LaunchTicket?
    private(set) var machine: ForkMachine
    /// Calls by their numbers.
    private(set) var tickets: [UInt64: LaunchTicket] = [:]
    private var waiting: [Waiting] = []
    private var asked: [UInt64: Asked] = [:]
    private var missingLayers: [String] = []

    private unowned let owner: ForkingLauncher
    private var descriptors: LaunchedWorker?
    private var reader = FrameReader(capacity: Limits.Host.zygoteBufferBytes)
    private var output = OutputBuffer()
    private var readWatch: DescriptorWatch?
    private var writeWatch: DescriptorWatch?
    private var printed: [ZygoteOutput] = []

    init(_ order: LaunchOrder, _ fork: ForkOrder, owner: ForkingLauncher, now: Timestamp) {
        self.order = order
        self.fork = fork
        self.owner = owner
        self.machine = ForkMachine(children: fork.children, now: now)
    }

    deinit {
        self.closeDescriptors()
        self.reader.release()
        self.output.release()
    }

    // MARK: its sandbox

    /// - Returns: whether its descriptors can be watched.
    func adopt(_ launched: LaunchedWorker, loop: EventLoop) -> Bool {
        self.ticket = launched.ticket
        self.missingLayers = launched.missingLayers
        self.descriptors = launched
        self.machine.launched()
        self.readWatch = DescriptorWatch(loop, descriptor: launched.fromWorker) { [unowned self] _ in self.readable() }
        self.writeWatch = DescriptorWatch(loop, descriptor: launched.toWorker) { [unowned self] _ in self.flush() }
        self.printed = [(launched.stdout, LogPayload.Level.stdout), (launched.stderr, .stderr)].map {
            descriptor, level in
            ZygoteOutput(descriptor, loop) { [unowned self] in self.owner.log(self, level, $0) }
        }
        self.readWatch?.watch(.readable)
        return self.readWatch != nil && self.writeWatch != nil && self.printed.allSatisfy(\.isWatching)
    }

    /// No frame is read or written any more; its sandbox is about to go, or gone.
    func silence() {
        self.machine.died()
        self.readWatch?.watch([])
        self.writeWatch?.watch([])
        self.output.release()
    }

    func close() {
        self.silence()
        self.readWatch?.close()
        self.writeWatch?.close()
        self.readWatch = nil
        self.writeWatch = nil
        for output in self.printed { output.close() }
        self.printed = []
        self.closeDescriptors()
    }

    private func closeDescriptors() {
        if let descriptors = self.descriptors { Self.close(descriptors) }
        self.descriptors = nil
    }

    private static func close(_ worker: LaunchedWorker) {
        for descriptor in [
            worker.toWorker, worker.fromWorker, worker.descriptors, worker.stdout, worker.stderr,
        ] { _ = Glibc.close(descriptor) }
    }

    // MARK: calls

    /// Whether one more call may be given to it.
    var hasRoom: Bool {
        switch self.machine.state {
        case .launching, .greeting, .loading, .ready: self.machine.count + self.waiting.count < self.fork.children
        case .retiring, .refused, .dead: false
        }
    }

    /// Makes the call's process, or lets it wait until the function is loaded.
    func add(_ waiting: Waiting, now: Timestamp) {
        guard self.machine.state == .ready else { return self.waiting.append(waiting) }
        self.send(waiting, now: now)
    }

    private func send(_ waiting: Waiting, now: Timestamp) {
        guard let descriptors = self.descriptors else { return self.owner.launchAlone(waiting) }
        var ours = [CInt](repeating: -1, count: Int(APUS_CALL_DESCRIPTORS))
        var theirs = ours
        guard apus_channel_make_call(&ours, &theirs) == 0 else { return self.owner.launchAlone(waiting) }
        let worker = LaunchedWorker(
            ticket: self.owner.nextTicket(), toWorker: ours[0], fromWorker: ours[1], descriptors: ours[2],
            stdout: ours[3], stderr: ours[4], missingLayers: self.missingLayers, sharesSandbox: true)
        defer { for descriptor in theirs { _ = Glibc.close(descriptor) } }
        guard let number = self.machine.fork(now: now) else {
            Self.close(worker)
            return self.owner.launchAlone(waiting)
        }
        guard apus_channel_send_call(descriptors.descriptors, theirs, number) == 0 else {
            // It takes nothing any more: what was promised it with FORK can no longer be kept.
            Self.close(worker)
            self.owner.launchAlone(waiting)
            return self.owner.failed(self, "its socket takes no descriptors")
        }
        self.asked[number] = Asked(waiting: waiting, worker: worker)
        self.say(.fork, number)
    }

    /// Ends one call.
    func kill(_ number: UInt64, now: Timestamp) {
        if self.machine.kill(number, now: now) { self.say(.kill, number) }
    }

    /// Takes what its end leaves: the calls that never had a process, and those that had one.
    func takeCalls() -> (waiting: [Waiting], running: [LaunchTicket]) {
        let waiting = self.asked.sorted { $0.key < $1.key }.map {
            Self.close($0.value.worker)
            return $0.value.waiting
        }
        defer {
            self.asked = [:]
            self.waiting = []
            self.tickets = [:]
        }
        return (waiting + self.waiting, self.tickets.sorted { $0.key < $1.key }.map(\.value))
    }

    func retire() { self.machine.retire() }

    // MARK: frames

    private func say(_ type: FrameType, _ number: UInt64, payload: [UInt8] = []) {
        let target = self.output.extend(by: FrameHeader.byteCount + payload.count)
        guard let base = target.baseAddress else { return }
        FrameHeader(type, stream: number, length: payload.count).write(to: base)
        payload.withUnsafeBytes {
            UnsafeMutableRawBufferPointer(rebasing: target[FrameHeader.byteCount...]).copyMemory(from: $0)
        }
        self.flush()
    }

    private func flush() {
        guard let descriptor = self.descriptors?.toWorker, self.machine.state != .dead else { return }
        switch self.output.flush(to: descriptor) {
        case .everything: self.writeWatch?.watch([])
        case .part: self.writeWatch?.watch(.writable)
        case .closed: self.owner.failed(self, "it reads no orders")
        }
    }

    private func readable() {
        guard let descriptor = self.descriptors?.fromWorker, self.machine.state != .dead else { return }
        let now = self.owner.now
        do throws(FrameError) {
            let read = self.reader.fill(from: descriptor)
            while let (header, payload) = try self.reader.next() {
                try self.received(self.machine.receive(header, payload.bytes, now: now), now: now)
                if self.machine.state == .dead { return }
            }
            if read == .closed { self.owner.failed(self, "it closed its line") }
        } catch {
            self.owner.failed(self, "it broke the worker protocol: \(error)")
        }
    }

    private func received(_ step: ForkMachine.Step, now: Timestamp) throws(FrameError) {
        switch step {
        case .nothing: break
        case .initialize: self.say(.initialize, 0, payload: self.fork.initialization)
        case .ready:
            let waiting = self.waiting
            self.waiting = []
            for call in waiting { self.send(call, now: now) }
        case .refused(let error): self.owner.refused(self, error)
        case .log(let log): self.owner.log(self, log.level, Array(log.text.utf8))
        case .forked(let number):
            guard let asked = self.asked.removeValue(forKey: number) else { throw .unexpected(.forked) }
            self.tickets[number] = asked.worker.ticket
            self.owner.forked(self, number, asked.worker, asked.waiting.completion)
        case .ended(let number, let exit, _):
            if let asked = self.asked.removeValue(forKey: number) {
                Self.close(asked.worker)
                self.owner.launchAlone(asked.waiting)
            } else if let ticket = self.tickets.removeValue(forKey: number) {
                self.owner.ended(ticket, exit)
            }
        }
    }
}

/// What importing a function prints, read by line and bounded. Loop thread only.
private final class ZygoteOutput {
    private static let bufferBytes = 16 * 1024

    private let descriptor: CInt
    private let onLine: ([UInt8]) -> Void
    private var lines = LineCapture()
    private var left = Limits.Host.zygoteOutputBytes
    private var watch: DescriptorWatch?

    init(_ descriptor: CInt, _ loop: EventLoop, onLine: @escaping ([UInt8]) -> Void) {
        self.descriptor = descriptor
        self.onLine = onLine
        self.watch = DescriptorWatch(loop, descriptor: descriptor) { [unowned self] _ in self.read() }
        self.watch?.watch(.readable)
    }

    var isWatching: Bool { self.watch != nil }

    func close() {
        self.watch?.close()
        self.watch = nil
    }

    private func read() {
        withUnsafeTemporaryAllocation(byteCount: Self.bufferBytes, alignment: 16) { buffer in
            let count = Glibc.read(self.descriptor, buffer.baseAddress, buffer.count)
            if count < 0, errno == EINTR || errno == EAGAIN { return }
            // Beyond its bound the pipe is left full: what prints on then is held up, and replaced when it answers no more.
            self.left -= max(count, 0)
            if count <= 0 || self.left < 0 { self.watch?.watch([]) }
            guard count > 0 else { return self.lines.finish { line, _ in self.onLine(line) } }
            self.lines.take(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count])) { line, _ in
                self.onLine(line)
            }
        }
    }
}
