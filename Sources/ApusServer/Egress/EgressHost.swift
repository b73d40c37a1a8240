internal import ApusCore
internal import ApusEgress
internal import ApusHost
internal import ApusLoop
internal import ApusSandbox
internal import ApusTelemetry
internal import CShims
internal import Glibc
internal import Synchronization

/// Keeps the egress process running while there are workers with a way out, tells it of them, and hands on what it says.
///
/// The listening sockets stay here too: when the process dies, its connections are cut, and those that workers make from then on wait
/// in their sockets' queues for the next one.
final class EgressHost: EgressDirecting, @unchecked Sendable {
    // SAFETY: everything but `counts` is touched on the loop only; `open` and `close` get there by `loop.post`.

    struct Counts: Sendable {
        var isRunning = false
        var restarts: UInt64 = 0
        var workers = 0
    }

    private enum State {
        /// Nothing needs it. To `starting`.
        case absent
        /// The nursery was asked. To `running` or `waiting`.
        case starting
        case running(LaunchTicket)
        /// It ended, or did not start. To `starting` when its time is over.
        case waiting
        case stopped
    }

    private struct Worker {
        var access: NetworkAccess
        var listener: CInt
        var values: CInt
    }

    private enum Command {
        case start
        case open(UInt64)
        case close(UInt64)
    }

    private let loop: EventLoop
    private let launcher: NurseryClient
    private let settings: EgressSettings
    private let authorities: [UInt8]
    private let journal: Log
    private let report: @Sendable (LaunchTicket, [EgressNote]) -> Void
    let counts = Mutex(Counts())
    private var state = State.absent
    private var workers: [UInt64: Worker] = [:]
    private var unsent = Deque<Command>()
    private var link: EgressLink?
    private var backoff = Limits.Server.egressBackoffMilliseconds
    private var startedAt = Timestamp.zero
    private var timer: LoopTimer?
    private let clock = SystemClock()
    private var bytes = [UInt8](repeating: 0, count: Limits.Egress.packetBytes)

    /// On the loop.
    /// - Parameter report: takes what became of a worker's connections, on the loop.
    init(
        _ loop: EventLoop, _ launcher: NurseryClient, _ settings: EgressSettings, authorities: [UInt8],
        _ journal: Log, report: @escaping @Sendable (LaunchTicket, [EgressNote]) -> Void
    ) {
        self.loop = loop
        self.launcher = launcher
        self.settings = settings
        self.authorities = authorities
        self.journal = journal
        self.report = report
        self.timer = LoopTimer(loop) { [weak self] in self?.start() }
        launcher.onExit = { [weak self] ticket, exit in self?.ended(ticket, exit) }
    }

    /// From any thread.
    var metrics: [(MetricDescription, Double)] {
        let counts = self.counts.withLock { $0 }
        return [
            (ServerMetric.egressRunning, counts.isRunning ? 1 : 0),
            (ServerMetric.egressRestarts, Double(counts.restarts)),
            (ServerMetric.egressWorkers, Double(counts.workers)),
        ]
    }

    // MARK: from shards

    func open(_ worker: LaunchTicket, _ access: NetworkAccess, listener: CInt, values: CInt) {
        self.loop.post {
            self.workers[worker.rawValue] = Worker(access: access, listener: listener, values: values)
            self.counts.withLock { $0.workers = self.workers.count }
            if case .stopped = self.state { return self.forget(worker.rawValue) }
            if case .absent = self.state { self.start() }
            guard self.link != nil else { return }
            self.unsent.append(.open(worker.rawValue))
            self.flush()
        }
    }

    func close(_ worker: LaunchTicket) {
        self.loop.post {
            self.forget(worker.rawValue)
            guard self.link != nil else { return }
            self.unsent.append(.close(worker.rawValue))
            self.flush()
        }
    }

    private func forget(_ worker: UInt64) {
        guard let known = self.workers.removeValue(forKey: worker) else { return }
        Glibc.close(known.listener)
        if known.values >= 0 { Glibc.close(known.values) }
        self.counts.withLock { $0.workers = self.workers.count }
    }

    // MARK: the process

    /// Starts it ahead of its first worker. From any thread.
    func prepare() {
        self.loop.post { if case .absent = self.state { self.start() } }
    }

    private func start() {
        if case .stopped = self.state { return }
        self.state = .starting
        var order = LaunchOrder(runtime: .egress, bundle: "", bounds: Limits.Server.egressBounds)
        // Names are looked up as they are written first, and nobody waits for a name server for long.
        order.environment = ["RES_OPTIONS=ndots:1 timeout:3 attempts:2"]
        self.launcher.launch(order) { [weak self] result in
            guard let self else { return }
            switch result {
            case .success(let worker): self.started(worker)
            case .failure(let error):
                if case .stopped = self.state { return }
                self.journal.error("the egress process does not start: \(error.message)", ["code": error.code.rawValue])
                self.wait()
            }
        }
    }

    private func started(_ worker: LaunchedWorker) {
        // It speaks on one socket alone.
        for descriptor in [worker.toWorker, worker.fromWorker, worker.stdout] { _ = Glibc.close(descriptor) }
        if case .stopped = self.state {
            for descriptor in [worker.descriptors, worker.stderr] { _ = Glibc.close(descriptor) }
            return self.launcher.kill(worker.ticket)
        }
        self.state = .running(worker.ticket)
        self.startedAt = self.clock.now
        let link = EgressLink(
            self.loop, socket: worker.descriptors, errors: worker.stderr,
            onEvents: { [weak self] in self?.exchange() },
            onLine: { [journal = self.journal] in journal.warning("the egress process says: \($0)") })
        guard let link else { return self.launcher.kill(worker.ticket) }
        self.link = link
        self.counts.withLock { $0.isRunning = true }
        self.unsent = Deque()
        self.unsent.append(.start)
        for id in self.workers.keys.sorted() { self.unsent.append(.open(id)) }
        self.flush()
    }

    private func ended(_ ticket: LaunchTicket, _ exit: WorkerExit) {
        guard case .running(ticket) = self.state else { return }
        let how = exit.failedStage ?? exit.signal.map { "signal \($0)" } ?? "code \(exit.code ?? -1)"
        self.journal.error(
            "the egress process ended (\(how)): connections of functions are cut, and it is started again",
            ["workers": "\(self.workers.count)"])
        self.disconnect()
        self.counts.withLock { $0.restarts += 1 }
        if self.clock.now - self.startedAt > Limits.Server.egressSteady {
            self.backoff = Limits.Server.egressBackoffMilliseconds
        }
        self.wait()
    }

    private func wait() {
        if case .stopped = self.state { return }
        self.state = .waiting
        self.timer?.start(milliseconds: self.backoff)
        self.backoff = min(self.backoff * 2, Limits.Server.egressBackoffMaxMilliseconds)
    }

    private func disconnect() {
        self.link?.close()
        self.link = nil
        self.counts.withLock { $0.isRunning = false }
    }

    /// Ends the process and with it all connections; whoever asks for a way out from then on gets none. Once, not from the loop.
    func stop() {
        self.loop.runAndWait { self.stopNow() }
        self.loop.stop()
    }

    private func stopNow() {
        self.state = .stopped
        self.launcher.onExit = nil
        self.timer?.close()
        self.timer = nil
        self.disconnect()
        for id in Array(self.workers.keys) { self.forget(id) }
        // The nursery ends the process.
        self.launcher.close()
    }

    // MARK: talking to it

    private func exchange() {
        self.flush()
        var notes: [UInt64: [EgressNote]] = [:]
        for _ in 0..<Limits.Egress.packetsPerTurn {
            guard let link = self.link else { break }
            var descriptors = [CInt](repeating: -1, count: 64)
            var count: CInt = 0
            let length = apus_hand_over_receive(link.socket, &self.bytes, self.bytes.count, &descriptors, &count, 0)
            for descriptor in descriptors[..<Int(count)] { _ = Glibc.close(descriptor) }
            if length == -Int(ETIMEDOUT) || length == -Int(EAGAIN) || length == -Int(EINTR) { break }
            guard length > 0 else {
                link.silence()
                break
            }
            // Whatever it says, only its own workers can be told of.
            guard let record = EgressRecord(Array(self.bytes[..<length])) else { continue }
            notes[record.lease, default: []].append(EgressNote(record))
        }
        for (id, notes) in notes where self.workers[id] != nil { self.report(LaunchTicket(rawValue: id), notes) }
    }

    private func flush() {
        guard let link = self.link else { return }
        while let command = self.unsent.first {
            guard self.send(command, link) else { return link.await(writing: true) }
            self.unsent.popFirst()
        }
        link.await(writing: false)
    }

    /// - Returns: false when the socket is full. A broken one counts as sent: its end is heard of next.
    private func send(_ command: Command, _ link: EgressLink) -> Bool {
        switch command {
        case .start:
            guard !self.authorities.isEmpty else { return link.send(.start(self.settings), []) }
            let memory = apus_channel_sealed_memory(self.authorities, self.authorities.count)
            guard memory >= 0 else { return false }
            defer { Glibc.close(memory) }
            return link.send(.start(self.settings), [memory])
        case .open(let id):
            guard let worker = self.workers[id] else { return true }
            return link.send(
                .open(lease: id, worker.access), [worker.listener] + (worker.values >= 0 ? [worker.values] : []))
        case .close(let id): return link.send(.close(lease: id), [])
        }
    }
}

/// The server's ends of one egress process: its socket and what it prints. Loop thread only.
private final class EgressLink {
    let socket: CInt
    private let errors: CInt
    private var watch: DescriptorWatch?
    private var errorWatch: DescriptorWatch?
    private var lines = 0

    /// Takes both descriptors.
    init?(
        _ loop: EventLoop, socket: CInt, errors: CInt, onEvents: @escaping () -> Void,
        onLine: @escaping (String) -> Void
    ) {
        self.socket = socket
        self.errors = errors
        self.watch = DescriptorWatch(loop, descriptor: socket) { _ in onEvents() }
        self.errorWatch = DescriptorWatch(loop, descriptor: errors) { [weak self] _ in self?.read(onLine) }
        guard let watch = self.watch, let errorWatch = self.errorWatch else {
            self.close()
            return nil
        }
        watch.watch(.readable)
        errorWatch.watch(.readable)
    }

    func close() {
        self.watch?.close()
        self.errorWatch?.close()
        Glibc.close(self.socket)
        Glibc.close(self.errors)
    }

    func await(writing: Bool) { self.watch?.watch(writing ? [.readable, .writable] : .readable) }

    /// Its peer is gone; the nursery tells of its end.
    func silence() { self.watch?.watch([]) }

    func send(_ order: EgressOrder, _ descriptors: [CInt]) -> Bool {
        let bytes = order.encoded()
        let result = apus_hand_over_send(self.socket, bytes, bytes.count, descriptors, CInt(descriptors.count))
        return result != -EAGAIN && result != -ENOBUFS && result != -ETOOMANYREFS
    }

    private func read(_ onLine: (String) -> Void) {
        var chunk = [UInt8](repeating: 0, count: 4_096)
        let count = Glibc.read(self.errors, &chunk, chunk.count)
        guard count > 0 else {
            if count == 0 || errno != EAGAIN && errno != EINTR { self.errorWatch?.watch([]) }
            return
        }
        for line in chunk[..<count].split(separator: 0x0A) where self.lines < Limits.Server.egressLines {
            self.lines += 1
            onLine(String(decoding: line.prefix(300).map { $0 < 0x20 ? 0x20 : $0 }, as: UTF8.self))
        }
    }
}

extension EgressNote {
    /// As functions' logs have it. Names and addresses in it were read by us, and hold nothing else.
    init(_ record: EgressRecord) {
        let isShown =
            record.address.isEmpty || [record.target, record.message].contains { $0.contains(record.address) }
        let place = isShown ? "" : " (\(record.address))"
        let with = record.injected.isEmpty ? "" : " with \(record.injected.joined(separator: ", "))"
        let verdict: Verdict
        var text: String
        switch record.verdict {
        case .allowed:
            verdict = .allowed
            text = "egress: allowed \(record.target)\(place)\(with)"
        case .refused, .failed:
            verdict = record.verdict == .refused ? .refused : .failed
            let target = record.target.isEmpty || record.message.contains(record.target) ? "" : " \(record.target)"
            text =
                "egress: \(record.verdict == .refused ? "refused" : "failed")\(target)\(place), "
                + "\(record.reason?.rawValue ?? "unknown"): \(record.message)"
        case .closed:
            verdict = .closed
            let why = record.message.isEmpty ? "" : ": \(record.message)"
            text = "egress: closed \(record.target), \(record.sent) bytes sent, \(record.received) received\(why)"
        }
        text = String(text.prefix(Limits.Server.egressTextCharacters))
        if record.dropped > 0 { text += " [\(record.dropped) before it not told]" }
        self.init(
            verdict, text, sent: record.sent, received: record.received, dropped: UInt64(record.dropped))
    }
}
