internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusLoop
internal import ApusManifest
internal import ApusStore
internal import ApusTelemetry

/// Queues that several nodes share: whoever owns a queue's share runs its invocations, wherever they were accepted.
extension InvocationQueue {
    var isShared: Bool { self.log.sharing != nil }

    /// Whether only other servers run a function: this one has not its class.
    func isElsewhere(_ function: Catalogue.Function) -> Bool {
        self.log.sharing.map { !$0.classes.contains(function.manifest.resources.workClass) } ?? false
    }

    /// Takes up queues that other nodes made, and counts what waits in all of them: what is accepted on one node ends on another. On the
    /// control thread, now and then.
    func takeUpShared(_ catalogue: Catalogue, _ journal: Log) {
        for topic in self.log.topics() {
            guard let name = topic.invokedFunction, catalogue.functions[name] != nil, !self.isOpen(name) else {
                continue
            }
            do throws(ApusError) { try self.open(name, catalogue) } catch {
                journal.warning("the queue of invocations of '\(name)' cannot be taken up yet: \(error.message)")
            }
        }
        self.recount { place in
            guard let bounds = try? self.log.bounds(of: place) else { return nil }
            // Its owner lets go of what is settled, a little later.
            return max(0, Int(bounds.end - bounds.start))
        }
    }

    /// An invocation is to be cancelled, as its request on the log says. From any thread; harmless where it does not run.
    func cancelRequested(_ text: String) {
        guard let id = InvocationID(text), let lane = self.lane(of: id) else { return }
        let runtime = self.shard(lane.shard)
        runtime.loop.post {
            runtime.shard.cancelInvocation(lane.function, offset: Offset(bitPattern: id.low))
        }
    }

    /// How many on a queue are not settled; nil when the queue is one that a function of before left behind.
    func sharedOpenCount(of trigger: InvocationTrigger) throws(ApusError) -> Int? {
        try self.log.sharing?.read(trigger.share)
        let all = try self.log.ledger(prefix: InvocationTrigger.prefix(of: trigger.function))
        let entry = all.first { $0.key == trigger.ledgerKey }
        if entry == nil, all.contains(where: { !$0.key.starts(with: trigger.ledgerPrefix) }),
            !all.contains(where: { $0.key.starts(with: trigger.ledgerPrefix) })
        {
            return nil
        }
        let state = try entry.map { (entry) throws(ApusError) in try LedgerKey.decode(entry.value) }
        let bounds = try self.log.bounds(of: trigger.place)
        let settled = state?.settled.reduce(0) { $0 + $1.count } ?? 0
        return max(0, Int(bounds.end - max(state?.watermark ?? 0, bounds.start)) - settled)
    }
}

/// Looks for what other nodes made, as long as the server serves.
final class SharedQueues: Sendable {
    private let loop: EventLoop
    // SAFETY: touched on `loop` only.
    nonisolated(unsafe) private var timer: LoopTimer?

    init(loop: EventLoop) { self.loop = loop }

    func start(_ look: @escaping @Sendable () -> Void) {
        self.loop.post {
            let timer = LoopTimer(self.loop) { look() }
            timer.start(
                milliseconds: Limits.Invocations.sharedLookMilliseconds,
                repeating: Limits.Invocations.sharedLookMilliseconds)
            self.timer = timer
        }
    }

    func stop() {
        self.loop.runAndWait {
            self.timer?.close()
            self.timer = nil
        }
    }
}
