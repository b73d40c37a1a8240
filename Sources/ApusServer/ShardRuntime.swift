internal import ApusCore
internal import ApusEngine
internal import ApusHTTP
internal import ApusHost
internal import ApusJSON
internal import ApusLoop
internal import ApusSandbox
internal import ApusStore
internal import ApusTelemetry

/// One shard with everything that lives on its loop: engine and workers, listener, log lines.
final class ShardRuntime: @unchecked Sendable {
    // SAFETY: made on its loop and touched there only; references cross threads to come back by `loop.post` or `runAndWait`.

    let index: Int
    let loop: EventLoop
    let shard: Shard
    let nursery: NurseryClient
    /// Of the server: starts and stops the instances of functions on devices.
    let pool: PoolHost
    private let launcher: FetchingLauncher
    let logs: FunctionLogWriter
    /// Which functions there are on this server, not only on this shard.
    var directory = FunctionDirectory()
    /// Which of them answer requests below `/fn`.
    var triggers = HTTPTriggerTable()
    /// What agents may use.
    let tools = ToolTable()
    var listener: HTTPListener?
    /// How long requests took, and what their operations are called, by their place in the table.
    var durations = RequestDurations()
    var operations: [String] = []
    var tags = RequestTagGenerator()
    /// Who holds which token.
    var principals = PrincipalDirectory() { didSet { self.principalsVersion += 1 } }
    private(set) var principalsVersion = 0
    var invocationIDs = InvocationIDGenerator()
    var refusals = RefusalJournal()
    /// What principals called.
    let callers = CallerCounts()
    private var streamWatch: LoopTimer?
    /// For what is read on this loop; it keeps its memory from one text to the next.
    let parser = JSONParser()
    /// Of the shard that samples what is appended to topics.
    var rateTimer: LoopTimer?
    /// Looks whether keys of issuers are due, on the first shard.
    var issuerTimer: LoopTimer?
    /// On the first shard: looks at what waits for other servers on the same log.
    var shareTimer: LoopTimer?
    private(set) var isStopping = false
    private var handOverTimer: LoopTimer?
    /// Streams that only their client or the server's end completes.
    private var streams: [ObjectIdentifier: any EndableStream] = [:]

    /// On the loop.
    init(
        index: Int, loop: EventLoop, log: any EventLog, channel: CInt, report: HostReport, reader: WorkThread,
        files: FunctionFiles, tracer: Tracer?, vault: SecretVault, egress: any EgressDirecting, pool: PoolHost,
        workers: Int,
        onNurseryDeath: @escaping @Sendable () -> Void,
        onInvocationsEnded: @escaping @Sendable (ResourceName, Int) -> Void = { _, _ in },
        onReplayComplete: @escaping @Sendable (ResourceName, UInt64) -> Void = { _, _ in },
        onInvocationAttempt: @escaping @Sendable (ResourceName, String, TimeSpan) -> Void = { _, _, _ in },
        passCall: @escaping @Sendable (String, FunctionCall) -> Bool = { _, _ in false },
        approvals: HeldApprovals = HeldApprovals(),
        note: @escaping @Sendable (String) -> Void = { _ in }
    ) throws(ApusError) {
        self.index = index
        self.loop = loop
        let logs = FunctionLogWriter(loop, log)
        self.logs = logs
        self.nursery = try NurseryClient(loop, channel: channel, shard: index, report: report, onDeath: onNurseryDeath)
        self.launcher = FetchingLauncher(self.nursery, files: files, loop: loop)
        let starts = StartWatch()
        var configuration = ShardConfiguration(
            seed: UInt64.random(in: 0 ... .max),
            readAhead: { work in reader.run(work) },
            logSink: { line in logs.append(ApusStore.LogLine(line)) },
            secrets: { (function) throws(ApusError) in try vault.open(for: function) },
            tracer: tracer,
            onReady: { name, _ in starts.ready(name) },
            onStartFailed: { name, failure in starts.failed(name, failure) },
            onInvocationsEnded: onInvocationsEnded
        )
        configuration.refusalOfQuestions = Self.refusal(of:askedOf:)
        configuration.injections = { (function) throws(ApusError) in try vault.openInjections(for: function) }
        configuration.egress = egress
        configuration.pool = { pool.receive($0) }
        configuration.engine.workers = workers
        self.pool = pool
        configuration.onReplayComplete = onReplayComplete
        configuration.onInvocationAttempt = onInvocationAttempt
        configuration.passCall = passCall
        configuration.refusalOfApproval = Self.refusal(ofApproval:)
        configuration.approval = { approvals.state($0) }
        configuration.onApprovalUsed = { approvals.used($0) }
        configuration.blobs = BlobStore(log: log)
        configuration.note = note
        self.shard = Shard(loop: loop, log: log, launcher: self.launcher, configuration: configuration)
        self.starts = starts
    }

    /// Has the journal told when the auditor of denied calls was replaced. On the loop of one shard.
    func watchAuditor(_ journal: Log) {
        self.nursery.onAuditorStart = { starts in
            journal.warning(
                "the auditor of denied calls ended and another was started; what running sandboxes are denied stays denied and goes "
                    + "uncounted",
                ["auditors": "\(starts)"])
        }
    }

    var now: Timestamp { self.shard.now }

    /// Shared with the shard's callbacks, which are made before `self` is whole.
    private let starts: StartWatch

    /// Starts one worker of a function unless one runs, and tells how that went.
    func warm(_ function: ResourceName, _ completion: @escaping (ApusError?) -> Void) {
        guard let entry = self.directory[function] else {
            return completion(ApusError(.functionNotFound, "\(function) is not deployed"))
        }
        // Its workers are others' to start.
        if entry.isElsewhere { return completion(nil) }
        if self.isStopping {
            return completion(ApusError(.shuttingDown, "the server is stopping: \(function) starts when it is back"))
        }
        if entry.isPaused { return completion(function.isPausedError) }
        if self.shard.warm(entry.id) { return completion(nil) }
        self.starts.wait(for: function, self.loop, completion)
    }

    // MARK: streams

    func opened(_ stream: any EndableStream) {
        self.streams[ObjectIdentifier(stream)] = stream
        if self.isStopping { stream.end() }
    }

    func closed(_ stream: any EndableStream) { self.streams[ObjectIdentifier(stream)] = nil }

    func rightsChanged() { for stream in Array(self.streams.values) { stream.rightsChanged() } }

    /// Calls `sweep` now and then, until the end.
    func watchStreams(_ sweep: @escaping () -> Void) {
        let timer = LoopTimer(self.loop, onFire: sweep)
        timer.start(milliseconds: Limits.Access.sweepMilliseconds, repeating: Limits.Access.sweepMilliseconds)
        self.streamWatch = timer
    }

    // MARK: the end

    /// Nothing waits for a start any more. Before ``stop(until:_:)``, so that deployments can end.
    func endWaiting() {
        self.isStopping = true
        self.launcher.close()
        self.starts.close()
    }

    /// Lets new connections wait for the server that takes over, and serves those there are until they have closed or a short time
    /// is over. `completion` is called once, on the loop.
    func handOver(_ completion: @escaping () -> Void) {
        guard let listener = self.listener else { return completion() }
        listener.handOver()
        for stream in Array(self.streams.values) { stream.end() }
        let until = self.shard.now + .milliseconds(Limits.Server.handOverMilliseconds)
        self.handOverTimer = LoopTimer(self.loop) {
            guard listener.connectionCount == 0 || self.shard.now >= until else { return }
            self.handOverTimer?.close()
            self.handOverTimer = nil
            completion()
        }
        let step = Limits.Server.handOverStepMilliseconds
        self.handOverTimer?.start(milliseconds: step, repeating: step)
    }

    /// Answers who still has a connection, one request each, until none is left or the time is up.
    func linger(milliseconds: UInt64, _ completion: @escaping () -> Void) {
        guard let listener = self.listener else { return completion() }
        listener.stop(withinMilliseconds: milliseconds, closesIdle: false, whenDone: completion)
    }

    /// Stops within a bound. `completion` is called once, on the loop, when nothing of the shard is left on it.
    /// - Parameter keepsListener: who is connected is still answered, with `shutting_down`.
    func stop(until: Timestamp, keepsListener: Bool = false, _ completion: @escaping () -> Void) {
        self.endWaiting()
        self.issuerTimer?.close()
        self.issuerTimer = nil
        self.rateTimer?.close()
        self.rateTimer = nil
        self.shareTimer?.close()
        self.shareTimer = nil
        // They would keep their connections, and so the listener, until the time is up.
        for stream in Array(self.streams.values) { stream.end() }
        let milliseconds = UInt64(max(0, (until - self.shard.now).milliseconds))
        let stop = RuntimeStop(self.loop, afterMilliseconds: milliseconds + Limits.Server.killMilliseconds) {
            self.streamWatch?.close()
            self.streamWatch = nil
            self.tools.close()
            self.logs.close {
                self.nursery.close()
                completion()
            }
        }
        // Closing the line ends every sandbox and fails every launch that waits: nothing is left for the drain to wait for.
        stop.onLate = { self.nursery.close() }
        self.shard.drain(until: until) { stop.drained() }
        guard !keepsListener, let listener = self.listener else { return stop.listenerStopped() }
        listener.stop(withinMilliseconds: milliseconds + Limits.Server.answerGraceMilliseconds) {
            stop.listenerStopped()
        }
    }
}

/// Waits for the two parts of a shard's end, each bounded: the listener by itself, the drain by a timer here, since it depends on
/// another process. Confined to one loop.
private final class RuntimeStop {
    var onLate: (() -> Void)?
    private var isDrained = false
    private var isListenerStopped = false
    private var isLate = false
    private var timer: LoopTimer?
    private var completion: (() -> Void)?

    init(_ loop: EventLoop, afterMilliseconds milliseconds: UInt64, _ completion: @escaping () -> Void) {
        self.completion = completion
        self.timer = LoopTimer(loop) { self.fired() }
        self.timer?.start(milliseconds: milliseconds, repeating: Limits.Server.stopStepMilliseconds)
    }

    private func fired() {
        // Once late, the drain gets one step more to notice; then the end goes on without it.
        if self.isLate { return self.drained() }
        self.isLate = true
        self.onLate?()
    }

    func drained() {
        self.isDrained = true
        self.finishIfDone()
    }

    func listenerStopped() {
        self.isListenerStopped = true
        self.finishIfDone()
    }

    private func finishIfDone() {
        guard self.isDrained, self.isListenerStopped, let completion = self.completion else { return }
        self.completion = nil
        self.onLate = nil
        self.timer?.close()
        self.timer = nil
        completion()
    }
}

/// An answer that goes on until its client leaves: it must be told when the server ends. Confined to the loop of its shard.
protocol EndableStream: AnyObject {
    /// Completes the answer; harmless when it is complete.
    func end()
    /// Principals have other rights than before; on the loop.
    func rightsChanged()
}

extension EndableStream {
    func rightsChanged() {}
}

extension ApusStore.LogLine {
    init(_ line: ApusHost.LogLine) {
        var text = String(decoding: line.text, as: UTF8.self)
        if line.isCut { text += " [cut]" }
        if line.droppedBefore > 0 { text = "[\(line.droppedBefore) lines dropped] " + text }
        self.init(
            function: line.function, time: line.time, level: line.level, text: text, revision: line.revision,
            worker: line.worker.rawValue,
            invocation: line.invocation?.description ?? "", trace: line.trace?.description ?? ""
        )
    }
}
