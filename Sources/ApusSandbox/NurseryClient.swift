public import ApusCore
public import ApusLoop
internal import CShims
internal import Glibc

/// One shard's line to the nursery. Loop thread only; every callback is on it.
public final class NurseryClient: WorkerLauncher {
    /// What waits for the nursery's answer to a request.
    private enum Waiting {
        case launch(hasProxy: Bool, (Result<LaunchedWorker, ApusError>) -> Void)
        case layer(EncodedRequest, retriesLeft: Int, (Result<Void, ApusError>) -> Void)
        case report((Result<HostReport, ApusError>) -> Void)
    }

    public var onExit: ((LaunchTicket, WorkerExit) -> Void)?
    /// What the host can enforce, as of the nursery's start.
    public let report: HostReport
    /// The sandboxes of this shard that have not ended.
    public private(set) var running = 0
    /// Called when another auditor was started, with how many there have been.
    public var onAuditorStart: ((UInt32) -> Void)?

    private let loop: EventLoop
    private let channel: CInt
    private let onDeath: () -> Void
    private var watch: DescriptorWatch?
    private var retry: LoopTimer?
    private var retrying: [UInt64] = []
    private var waiting: [UInt64: Waiting] = [:]
    /// Launches that failed here after the nursery had made them: nobody hears of their end.
    private var unreported: Set<UInt64> = []
    private var unsent = Deque<EncodedRequest>()
    private var nextTicket: UInt64
    private var auditorStarts: UInt32
    private var denials = [nursery_denial](repeating: nursery_denial(), count: Int(NURSERY_AUDIT_RECORDS_MAX))

    /// - Parameters:
    ///   - channel: the shard's channel from ``Nursery/channels``; the client owns it from here on.
    ///   - onDeath: called once when the nursery is gone and with it every sandbox. A server without it ends.
    /// - Throws: `internal` when the loop cannot watch the channel.
    public init(_ loop: EventLoop, channel: CInt, shard: Int, report: HostReport, onDeath: @escaping () -> Void)
        throws(ApusError)
    {
        self.loop = loop
        self.channel = channel
        self.report = report
        self.auditorStarts = report.audit?.starts ?? 0
        self.onDeath = onDeath
        // Tickets name launches for the life of the server, over all shards.
        self.nextTicket = UInt64(shard) << 48 | 1
        let watch = DescriptorWatch(loop, descriptor: channel) { [weak self] _ in self?.exchange() }
        guard let watch else { throw ApusError(.internal, "the loop cannot watch the nursery's channel") }
        self.watch = watch
        self.retry = LoopTimer(loop) { [weak self] in self?.repeatRefused() }
        watch.watch(.readable)
    }

    deinit { precondition(self.watch == nil, "close() comes before the end of a client") }

    /// Ends every sandbox of this shard and the line. Waiting requests fail with `shutting_down`; no callback comes
    /// afterwards.
    public func close() {
        guard self.disconnect() else { return }
        self.failWaiting(ApusError(.shuttingDown, "the server is stopping"))
    }

    // MARK: requests

    public func launch(_ order: LaunchOrder, _ completion: @escaping (Result<LaunchedWorker, ApusError>) -> Void) {
        let ticket = self.takeTicket()
        do throws(ApusError) {
            let request = try EncodedRequest(launching: order, ticket: ticket)
            self.submit(request, .launch(hasProxy: order.hasProxy, completion))
        } catch {
            if order.secrets >= 0 { Glibc.close(order.secrets) }
            completion(.failure(error))
        }
    }

    public func kill(_ ticket: LaunchTicket) {
        self.write(EncodedRequest(NURSERY_KILL, ticket: ticket.rawValue))
    }

    /// Asks the nursery what the host can enforce.
    public func probe(_ completion: @escaping (Result<HostReport, ApusError>) -> Void) {
        self.submit(EncodedRequest(NURSERY_PROBE, ticket: self.takeTicket()), .report(completion))
    }

    /// Sends a request about a layer; the nursery works on one layer at a time, so it may be sent again for a while.
    func work(onLayer request: EncodedRequest, _ completion: @escaping (Result<Void, ApusError>) -> Void) {
        self.submit(request, .layer(request, retriesLeft: Limits.Sandbox.layerJobRetries, completion))
    }

    func takeTicket() -> UInt64 {
        defer { self.nextTicket += 1 }
        return self.nextTicket
    }

    private func submit(_ request: EncodedRequest, _ waiting: Waiting) {
        guard self.watch != nil else {
            request.release()
            return NurseryClient.fail(
                waiting, ApusError(.sandboxUnavailable, "the nursery is gone; restart the server"))
        }
        // A request of KILL or one on its way again was admitted before; a new one finds the bound here.
        guard self.unsent.count < Limits.Sandbox.waitingRequests else {
            request.release()
            return NurseryClient.fail(
                waiting, ApusError(.overloaded, "too many sandboxes are asked for at once; try again later"))
        }
        self.waiting[request.head.ticket] = waiting
        self.write(request)
    }

    private func write(_ request: EncodedRequest) {
        guard let watch = self.watch else { return }
        if self.unsent.isEmpty, self.isSent(request) { return }
        self.unsent.append(request)
        watch.watch([.readable, .writable])
    }

    /// False when the socket is full. A broken one counts as sent: its end is read next.
    private func isSent(_ request: EncodedRequest) -> Bool {
        let result = request.send(to: self.channel)
        guard result != -Int(EAGAIN), result != -Int(ENOBUFS), result != -Int(ETOOMANYREFS) else { return false }
        request.release()
        return true
    }

    private func flush() {
        while let request = self.unsent.first, self.isSent(request) { self.unsent.popFirst() }
        if self.unsent.isEmpty { self.watch?.watch(.readable) }
    }

    // MARK: events

    private func exchange() {
        self.flush()
        for _ in 0..<Limits.Sandbox.eventsPerTurn {
            guard self.watch != nil else { return }
            var event = nursery_event()
            var descriptors = [CInt](repeating: -1, count: Int(NURSERY_DESCRIPTORS))
            var count: CInt = 0
            var records: CInt = 0
            let length = apus_receive_event_with(
                self.channel, &event, &self.denials, &records, &descriptors, &count)
            if length == -Int(EAGAIN) || length == -Int(EINTR) { return }
            let received = Array(descriptors.prefix(Int(count)))
            guard length == MemoryLayout<nursery_event>.size, event.magic == NURSERY_MAGIC else {
                for descriptor in received { Glibc.close(descriptor) }
                return self.die()
            }
            self.take(event, received, records: Int(records))
        }
    }

    private func take(_ event: nursery_event, _ descriptors: [CInt], records: Int) {
        self.lookAtAuditor()
        switch nursery_kind(rawValue: event.kind) {
        case NURSERY_LAUNCHED: self.launched(event, descriptors)
        case NURSERY_EXITED: self.exited(event, records: records)
        case NURSERY_FAILED: self.failed(event)
        case NURSERY_DONE:
            guard case .layer(_, _, let completion)? = self.waiting.removeValue(forKey: event.ticket) else { return }
            completion(.success(()))
        case NURSERY_REPORT:
            guard case .report(let completion)? = self.waiting.removeValue(forKey: event.ticket) else { return }
            var report = HostReport(event)
            report.audit = self.report.audit
            completion(.success(report))
        default: self.die()
        }
    }

    private func launched(_ event: nursery_event, _ descriptors: [CInt]) {
        self.running += 1
        guard case .launch(let hasProxy, let completion)? = self.waiting.removeValue(forKey: event.ticket) else {
            for descriptor in descriptors { Glibc.close(descriptor) }
            return self.die()
        }
        // The last one only comes with a way out.
        guard descriptors.count == Int(hasProxy ? NURSERY_DESCRIPTORS : NURSERY_WORKER_DESCRIPTORS) else {
            // Too many descriptors are open here, so that the kernel kept some back: the worker cannot be talked to.
            for descriptor in descriptors { Glibc.close(descriptor) }
            self.unreported.insert(event.ticket)
            self.write(EncodedRequest(NURSERY_KILL, ticket: event.ticket))
            return completion(
                .failure(
                    ApusError(.overloaded, "the server has no descriptors left for another worker; raise its limit")))
        }
        var worker = LaunchedWorker(
            ticket: LaunchTicket(rawValue: event.ticket), toWorker: descriptors[0], fromWorker: descriptors[1],
            descriptors: descriptors[2], stdout: descriptors[3], stderr: descriptors[4],
            missingLayers: IsolationLayer.list(event.missing).filter(\.concernsFunctions).map(\.description),
            mode: event.is_rootless == 0 ? .root : .rootless,
            denials: self.report.audit?.source(slot: event.slot, ticket: event.ticket))
        if hasProxy { worker.listener = descriptors[5] }
        completion(.success(worker))
    }

    private func lookAtAuditor() {
        guard let starts = self.report.audit?.starts, starts != self.auditorStarts else { return }
        self.auditorStarts = starts
        self.onAuditorStart?(starts)
    }

    private func exited(_ event: nursery_event, records: Int) {
        self.running -= 1
        if self.unreported.remove(event.ticket) != nil { return }
        let isNotStarted = event.flags & NURSERY_NOT_STARTED.rawValue != 0
        var stage: String?
        if isNotStarted {
            stage = text(of: event.stage)
            if event.error != 0 { stage?.append(": \(errorText(event.error))") }
        }
        var exit = WorkerExit(
            code: event.signal == 0 ? event.code : nil, signal: event.signal == 0 ? nil : event.signal,
            isOutOfMemory: event.flags & NURSERY_OUT_OF_MEMORY.rawValue != 0, failedStage: stage)
        if let audit = self.report.audit, event.denied > 0 {
            exit.denials = audit.report(
                self.denials.prefix(min(records, Int(event.denials))), others: event.denied_others,
                isSpent: event.flags & NURSERY_AUDIT_SPENT.rawValue != 0)
        }
        exit.processesRefused = event.processes_refused
        exit.isUnaudited = event.flags & NURSERY_UNAUDITED.rawValue != 0
        self.onExit?(LaunchTicket(rawValue: event.ticket), exit)
    }

    private func failed(_ event: nursery_event) {
        guard let waiting = self.waiting.removeValue(forKey: event.ticket) else { return }
        let isBusy = event.flags & NURSERY_NO_SLOT.rawValue != 0
        if isBusy, case .layer(let request, let retriesLeft, let completion) = waiting, retriesLeft > 0 {
            self.waiting[event.ticket] = .layer(request, retriesLeft: retriesLeft - 1, completion)
            self.retrying.append(event.ticket)
            self.retry?.start(milliseconds: Limits.Sandbox.layerJobRetryMilliseconds)
            return
        }
        NurseryClient.fail(waiting, NurseryClient.error(of: event))
    }

    private func repeatRefused() {
        let tickets = self.retrying
        self.retrying = []
        for ticket in tickets {
            guard case .layer(let request, _, _)? = self.waiting[ticket] else { continue }
            self.write(request)
        }
    }

    private static func error(of event: nursery_event) -> ApusError {
        let stage = text(of: event.stage)
        let message = text(of: event.message)
        if event.flags & NURSERY_NO_SLOT.rawValue != 0 { return ApusError(.noSlot, "\(stage): \(message)") }
        if event.flags & NURSERY_INVALID.rawValue != 0 { return ApusError(.invalidArgument, "\(stage): \(message)") }
        if stage == "runtime" { return ApusError(.runtimeMissing, message) }
        if stage == "bundle" { return ApusError(.bundleNotFound, "the bundle cannot be opened: \(message)") }
        if stage == "seal" || stage == "prepare" || stage == "discard" {
            return ApusError(.buildFailed, "\(stage) layer: \(message)")
        }
        return ApusError(.sandboxUnavailable, "\(stage): \(message)")
    }

    // MARK: the end

    /// False when it was closed before.
    private func disconnect() -> Bool {
        guard let watch = self.watch else { return false }
        self.watch = nil
        watch.close()
        self.retry?.close()
        self.retry = nil
        while let request = self.unsent.popFirst() { request.release() }
        Glibc.close(self.channel)
        return true
    }

    private func die() {
        guard self.disconnect() else { return }
        self.failWaiting(ApusError(.sandboxUnavailable, "the nursery is gone; restart the server"))
        self.onDeath()
    }

    private func failWaiting(_ error: ApusError) {
        let all = self.waiting
        self.waiting = [:]
        for waiting in all.values { NurseryClient.fail(waiting, error) }
    }

    private static func fail(_ waiting: Waiting, _ error: ApusError) {
        switch waiting {
        case .launch(_, let completion): completion(.failure(error))
        case .layer(_, _, let completion): completion(.failure(error))
        case .report(let completion): completion(.failure(error))
        }
    }
}
