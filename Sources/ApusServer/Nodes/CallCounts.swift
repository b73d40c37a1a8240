internal import ApusCore
internal import ApusLoop
internal import ApusStore
internal import ApusTelemetry
internal import ApusTools
internal import Synchronization

/// Writes what callers with bounds were let do to `apus.calls`, a record for each caller and server, and takes in what the others write
/// there: so bounds hold on all of them together, and a day's calls are counted on after a restart.
///
/// What a kill comes upon before it is written, at most 250 ms, is not counted. Its timer and writing live on one loop.
final class CallCounts: @unchecked Sendable {
    // SAFETY: `timer`, `isWriting` and `lookedAt` are touched on `loop` only, or while that is waited for.

    private let log: any EventLog
    private let tools: ToolRegistry
    private let node: String
    private let isShared: Bool
    private let loop: EventLoop
    private let clock = SystemClock()
    private let journal: Log
    private let tail: TopicTail
    private var timer: LoopTimer?
    private var isWriting = false
    private var lookedAt = Timestamp.zero

    init(
        _ log: any EventLog, _ tools: ToolRegistry, node: String, isShared: Bool, loop: EventLoop, _ journal: Log
    ) {
        self.log = log
        self.tools = tools
        self.node = node
        self.isShared = isShared
        self.loop = loop
        self.journal = journal
        let life = Life()
        self.life = life
        self.tail = TopicTail(log, .calls, journal) { [clock = self.clock] event in
            guard let record = CallRecord(event) else { return }
            let isOld = life.isRestoring.load(ordering: .acquiring)
            guard isOld || record.node != node else { return }
            tools.limits.withLock { limits in
                if isOld {
                    let other = record.node == node ? nil : record.node
                    limits.restore(record.caller, of: other, record.count, now: clock.now)
                } else {
                    limits.heard(record.caller, from: record.node, record.count, now: clock.now)
                }
            }
        }
    }

    private let life: Life

    private final class Life: Sendable {
        let isRestoring = Atomic(true)
    }

    /// Once, before anybody calls.
    /// - Throws: what the log says.
    func start() throws(ApusError) {
        try self.tail.start(skipsOld: false)
        self.life.isRestoring.store(false, ordering: .releasing)
        self.loop.runAndWait {
            let timer = LoopTimer(self.loop) { [weak self] in self?.tick() }
            timer.start(milliseconds: Limits.Nodes.countMilliseconds, repeating: Limits.Nodes.countMilliseconds)
            self.timer = timer
        }
    }

    private func tick() {
        if self.isShared { self.tail.look() }
        guard !self.isWriting else { return }
        self.write()
    }

    private func write() {
        let now = self.clock.now
        let isDue = now >= self.lookedAt + Limits.Nodes.countsOutdated
        if isDue { self.lookedAt = now }
        let (news, outdated) = self.tools.limits.withLock { limits in
            (
                limits.news(now: now, isShared: self.isShared, max: Limits.Nodes.countsPerWrite),
                isDue ? limits.outdated(now: now) : []
            )
        }
        let events =
            outdated.map { CallRecord.tombstone(self.node, $0) }
            + news.map { CallRecord(node: self.node, caller: $0.name, count: $0.count).event }
        guard !events.isEmpty else { return }
        self.isWriting = true
        let appends = events.map { LogBatch.Append(topic: .calls, partition: 0, block: EventBlock.encode($0)) }
        self.log.submit(LogBatch(urgency: .settlement, appends: appends)) { [weak self] result in
            guard let self else { return }
            if case .failure = result { self.tools.limits.withLock { $0.untold(news.map(\.name)) } }
            self.loop.post { self.isWriting = false }
        }
    }

    /// Writes the rest. Once, before the log is closed, which waits for it.
    func stop() {
        self.tail.stop()
        self.loop.runAndWait {
            self.timer?.close()
            self.timer = nil
            self.write()
        }
    }
}
