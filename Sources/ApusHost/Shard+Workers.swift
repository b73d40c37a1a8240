internal import ApusCore
internal import ApusEngine
internal import ApusLoop
internal import ApusTelemetry
internal import Glibc

extension Shard {
    // MARK: starting

    func start(_ worker: WorkerID, _ function: FunctionID, now: Timestamp) {
        guard let state = self.functions[function] else {
            if let instance = self.pooled.take(worker) { self.gone(instance.id) }
            self.engine.startFailed(worker, Failure(.functionNotFound, "the function is no longer deployed"), now: now)
            return
        }
        let channel = WorkerChannel(worker, state, shard: self, now: now)
        self.channels[worker] = channel
        self.statistics.workersStarted += 1
        var order = state.function.launch
        if let instance = self.pooled.take(worker) {
            channel.instance = instance.id
            order.gpus = instance.nodes
            order.gpuCapabilities = instance.capabilities
        }
        do throws(ApusError) {
            try self.open(secretsFor: channel, &order)
            try self.open(injectionsFor: channel, order)
        } catch {
            if order.secrets >= 0 { _ = Glibc.close(order.secrets) }
            self.launched(channel, .failure(error))
            return self.requestTurn()
        }
        // Who brings files bounds that: the time of a start begins behind it.
        if !self.launcher.hasFiles(for: order) {
            channel.isWaitingForFiles = true
            self.engine.startWaitsForFiles(worker)
        }
        self.noteStart(channel)
        guard self.engine.isAhead(worker), let aheadStarts else { return self.launch(channel, order) }
        aheadStarts.add { [unowned self] in self.launch(channel, order) }
    }

    private func launch(_ channel: WorkerChannel, _ order: LaunchOrder) {
        self.launcher.launch(order) { [unowned self] result in
            self.launched(channel, result)
            self.requestTurn()
        }
    }

    private func launched(_ channel: WorkerChannel, _ result: Result<LaunchedWorker, ApusError>) {
        channel.isWaitingForFiles = false
        switch result {
        case .failure(let error):
            self.forget(channel)
            channel.close()
            self.reportStartFailure(channel, Failure(error.code, error.message))
        case .success(let launched):
            self.workers[launched.ticket] = channel
            channel.launchedAt = self.now
            self.engine.startHasFiles(channel.worker, now: self.now)
            self.openWay(for: channel, launched)
            let isWatched = channel.adopt(launched, loop: self.loop)
            if !isWatched, channel.fatal == nil {
                channel.fatal = Failure(
                    .startFailed, "the worker's descriptors cannot be watched: raise the limit of open files")
            }
            // Its end may have been decided while it was being made.
            if channel.isKilled || channel.fatal != nil { self.kill(channel) }
        }
    }

    private func forget(_ channel: WorkerChannel) {
        self.noteEnd(channel, now: self.now)
        channel.left(now: self.now)
        self.channels.removeValue(forKey: channel.worker)
        self.unpool(channel)
        self.lastChannel = nil
        self.retired.append(channel)
    }

    private func reportStartFailure(_ channel: WorkerChannel, _ failure: Failure) {
        self.statistics.startsFailed += 1
        self.engine.startFailed(channel.worker, failure, now: self.now)
        if self.isCurrent(channel) { self.configuration.onStartFailed(channel.function.function.name, failure) }
    }

    /// Whether it runs what is deployed now: who waits for a start hears nothing of the revision before.
    func isCurrent(_ channel: WorkerChannel) -> Bool {
        let started = channel.function.function.plan
        return self.functions[started.function]?.function.plan.generation == started.generation
    }

    // MARK: ending

    /// DRAIN: it finishes what it has, says BYE and leaves. One that never took work is ended at once.
    func stop(_ worker: WorkerID, now: Timestamp) {
        guard let channel = self.channels[worker] else { return }
        channel.isRetired = true
        if channel.machine.drain() {
            channel.stateSince = now
            channel.send(.drain)
            self.mustFlush(channel)
        } else if channel.machine.state != .draining, channel.machine.state != .left {
            channel.isKilled = true
            self.kill(channel)
        }
    }

    func cancel(_ worker: WorkerID, _ stream: StreamID) {
        if self.giveUpAwaited(stream) { return }
        guard let channel = self.channels[worker], channel.attempts.index(of: stream.rawValue) != nil else { return }
        if self.isForsaken(channel, stream) {
            // A sandbox of this one call: nobody reads its answer, and it never gets other work. It need not be asked.
            if channel.fatal == nil { channel.fatal = Failure(.cancelled, "the caller left") }
            channel.isKilled = true
            return self.kill(channel)
        }
        channel.send(.cancel, stream: stream.rawValue)
        self.mustFlush(channel)
    }

    private func isForsaken(_ channel: WorkerChannel, _ stream: StreamID) -> Bool {
        guard channel.function.function.plan.reuse == .never, channel.attempts.count == 1,
            let index = channel.attempts.index(of: stream.rawValue),
            case .request(let request) = channel.attempts[index].work
        else { return false }
        return self.requests[request] == nil
    }

    func kill(_ worker: WorkerID, _ reason: KillReason) {
        guard let channel = self.channels[worker] else { return }
        if channel.fatal == nil { channel.fatal = Self.failure(of: reason, channel) }
        channel.isKilled = true
        self.kill(channel)
    }

    private static func failure(of reason: KillReason, _ channel: WorkerChannel) -> Failure {
        switch reason {
        case .deadline:
            Failure(.deadlineExceeded, "the attempt passed its deadline and did not heed CANCEL; its worker was killed")
        case .protocolError: Failure(.protocolError, "the worker broke the worker protocol")
        case .tableFailed: Failure(.tableFailed, "the worker failed to take in a record of its table")
        case .stopTimedOut: Failure(.workerCrashed, "the worker did not leave when it was told to and was killed")
        case .startTimedOut:
            Failure(
                .startFailed, "the worker was not ready in time\(Self.quoted(channel))", detail: channel.budget.lastText
            )
        case .removed: Failure(.cancelled, "the function was removed")
        case .spent: Failure(.workerCrashed, "the worker had served its one invocation")
        }
    }

    private static func quoted(_ channel: WorkerChannel) -> String {
        guard let last = channel.budget.lastLine else { return "" }
        return "; it last wrote: \(clipped(String(decoding: last, as: UTF8.self), to: 300))"
    }

    /// The worker broke the protocol: it dies of it, its attempts fail, nothing else happens.
    func violated(_ channel: WorkerChannel, _ error: FrameError) {
        self.statistics.protocolErrors += 1
        self.end(channel, Self.failure(of: error, channel))
    }

    private static func failure(of error: FrameError, _ channel: WorkerChannel) -> Failure {
        let what =
            switch error {
            case .tooLarge: "a frame or a part of one is over its bound"
            case .unknownType(let type): "there is no frame of type \(type)"
            case .truncated: "a frame ends before what its lengths announce"
            case .malformed: "the lengths or values of a frame contradict each other"
            case .unexpected(let type): "a frame of type \(type) may not come there"
            case .wrongVersion(let version): "a frame of version \(version)"
            }
        // Larger numbers are noise rather than a version to come.
        if case .wrongVersion(let version) = error, channel.machine.state == .greeting, version < 256 {
            return Failure(
                .startFailed,
                "the worker speaks version \(version) of the worker protocol, this server \(FrameHeader.version): "
                    + "build the function with the tools of this release")
        }
        return Failure(.protocolError, "the worker broke the worker protocol: \(what)")
    }

    /// Ends a worker for a reason that its attempts get.
    func end(_ channel: WorkerChannel, _ failure: Failure) {
        if channel.fatal == nil { channel.fatal = failure }
        self.kill(channel)
    }

    private func kill(_ channel: WorkerChannel) {
        channel.silence()
        if let ticket = channel.ticket { self.launcher.kill(ticket) }
    }

    /// The worker closed its pipe. One that said BYE leaves by itself; any other is of no use any more.
    func hungUp(_ channel: WorkerChannel) {
        let isLeaving = channel.machine.state == .left || channel.machine.state == .failed
        channel.silence()
        if !isLeaving, let ticket = channel.ticket { self.launcher.kill(ticket) }
    }

    func exited(_ ticket: LaunchTicket, _ exit: WorkerExit) {
        guard let channel = self.workers.removeValue(forKey: ticket) else { return }
        // What it wrote before its end still counts.
        channel.readToItsEnd()
        while channel.machine.state != .dead, channel.hasUnread { self.readable(channel) }
        for capture in channel.captures { capture.finish() }
        self.statistics.workersExited += 1
        if channel.function.function.network != nil { self.configuration.egress?.close(ticket) }
        self.statistics.logLinesDropped += UInt64(channel.budget.droppedTotal)
        self.forget(channel)
        self.gatherDenials(of: channel, exit, now: self.now)
        let failure = Self.failure(of: exit, channel)
        if !channel.attempts.isEmpty || !channel.hasBeenReady {
            self.log(failure, of: channel.attempts.only, by: channel, now: self.now)
        }
        let now = self.now
        for attempt in channel.attempts.removeAll() {
            self.paused(attempt, on: channel, now: now)
            self.lost(attempt, on: channel, failure, now: now)
        }
        channel.close()
        if channel.hasBeenReady {
            self.engine.workerExited(channel.worker, failure, now: self.now)
        } else {
            self.reportStartFailure(channel, failure)
        }
        self.requestTurn()
    }

    private static func failure(of exit: WorkerExit, _ channel: WorkerChannel) -> Failure {
        if exit.isOutOfMemory || (exit.signal != nil && channel.budget.saysHeapIsFull) {
            let bound = channel.function.function.launch.bounds.memoryBytes >> 20
            return Failure(
                .memoryExceeded,
                "the worker used more than its \(bound) MiB of memory: raise resources.memory or use less")
        }
        if let fatal = channel.fatal { return fatal }
        let end = exit.signal.map { "was ended by signal \($0)" } ?? "exited with code \(exit.code ?? -1)"
        if let stage = exit.failedStage {
            return Failure(
                .startFailed, "the sandbox could not be made: \(stage) failed", detail: channel.budget.lastText)
        }
        guard channel.hasBeenReady else {
            return Failure(
                .startFailed, "the worker \(end) before it was ready\(Self.quoted(channel))",
                detail: channel.budget.lastText)
        }
        return Failure(.workerCrashed, "the worker \(end)\(Self.quoted(channel))", detail: channel.budget.lastText)
    }

    // MARK: looking after

    /// Deadlines of one channel that no frame would bring up.
    func look(after channel: WorkerChannel, now: Timestamp) {
        for capture in channel.captures { capture.resume() }
        guard channel.machine.state != .dead else { return }
        if let since = channel.partSince, channel.intake == .open, now - since > Limits.Host.partialFrameTimeout {
            self.statistics.protocolErrors += 1
            self.end(
                channel,
                Failure(.protocolError, "the worker left a frame incomplete for \(Limits.Host.partialFrameTimeout)"))
        } else if let since = channel.hookSince, now - since > Limits.Host.hookTimeout {
            self.end(
                channel,
                Failure(.workerCrashed, "the worker did not say within \(Limits.Host.hookTimeout) that it sleeps"))
        } else if let sent = channel.machine.pingSentAt, now - sent > Limits.Host.pingTimeout, channel.attempts.isEmpty
        {
            self.end(channel, Failure(.workerCrashed, "the idle worker did not answer for \(Limits.Host.pingTimeout)"))
        } else if now - channel.idleSince > Limits.Host.pingInterval,
            channel.machine.ping(inFlight: channel.attempts.count, now: now)
        {
            channel.idleSince = now
            channel.send(.ping)
            self.flush(channel)
        }
    }

    // MARK: for others

    /// All workers of this shard, by their ids.
    public func instances() -> [InstanceSnapshot] {
        self.channels.values.map { $0.snapshot() }.sorted { $0.worker.rawValue < $1.worker.rawValue }
    }

    // MARK: logs

    /// A line of standard output or error.
    func printed(_ line: [UInt8], isCut: Bool, level: LogPayload.Level, by channel: WorkerChannel, now: Timestamp) {
        if level == .stderr { channel.budget.remember(line) }
        self.logged(line, isCut: isCut, level: level, by: channel, channel.attempts.only, now: now)
    }

    func logged(
        _ text: [UInt8], isCut: Bool, level: LogPayload.Level, by channel: WorkerChannel, _ attempt: Attempt?,
        now: Timestamp
    ) {
        guard let dropped = channel.budget.admit(text.count, now: now) else { return }
        let text = channel.masks.apply(text)
        self.statistics.logLines += 1
        self.configuration.logSink(
            LogLine(
                function: channel.function.function.name, revision: channel.function.function.revision,
                worker: channel.worker,
                invocation: attempt.map { self.invocation(of: $0) }, level: level, text: text, isCut: isCut,
                droppedBefore: dropped,
                time: now, trace: attempt?.extras?.trace?.context.trace))
    }

    func invocation(of attempt: Attempt) -> InvocationID {
        switch attempt.work {
        case .delivery(let delivery), .tableRecord(let delivery):
            attempt.trigger?.invocation(partition: delivery.partition, offset: delivery.offset)
                ?? InvocationID(high: 0, low: 0)
        case .request: self.invocation(of: attempt.work)
        }
    }
}
