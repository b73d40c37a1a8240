internal import ApusCore
internal import ApusLoop

/// Those who wait until an invocation has ended, bounded in number and time. On the store thread; only the timer that keeps the
/// bounds is of a loop.
final class InvocationWaits: Sendable {
    /// Told once that it may look again: the invocation ended, the time is over, or the server stops.
    typealias Completion = @Sendable () -> Void

    private struct Waiter {
        var deadline: Timestamp
        /// Whether it looks again at each state, not at the last alone.
        var wantsNews: Bool
        /// Says when it does not wait any more.
        var watch: InvocationWatch?
        var completion: Completion

        func isDue(_ now: Timestamp) -> Bool { self.deadline <= now || self.watch?.isOver == true }
    }

    private let thread: WorkThread
    private let loop: EventLoop
    private let clock = SystemClock()
    // SAFETY: touched on the store thread only.
    nonisolated(unsafe) private var waiters: [String: [Waiter]] = [:]
    // SAFETY: as `waiters`.
    nonisolated(unsafe) private(set) var count = 0
    // SAFETY: as `waiters`.
    nonisolated(unsafe) private var isStopped = false
    // SAFETY: touched on `loop` only.
    nonisolated(unsafe) private var timer: LoopTimer?

    init(thread: WorkThread, loop: EventLoop) {
        self.thread = thread
        self.loop = loop
    }

    /// - Returns: whether the server ends: nothing more is waited for.
    var isEnding: Bool { self.isStopped }

    /// - Throws: `overloaded` when ``Limits/Invocations/waiters`` wait already.
    func wait(
        _ id: InvocationID, until deadline: Timestamp, wantsNews: Bool = false, watch: InvocationWatch? = nil,
        _ completion: @escaping Completion
    ) throws(ApusError) {
        guard !self.isStopped else { return completion() }
        guard self.count < Limits.Invocations.waiters else {
            throw ApusError(.overloaded, "\(self.count) requests wait for invocations already: ask without wait")
        }
        if self.count == 0 { self.loop.post { self.startTimer() } }
        self.waiters[id.description, default: []].append(
            Waiter(deadline: deadline, wantsNews: wantsNews, watch: watch, completion: completion))
        self.count += 1
    }

    func ended(_ ids: [String]) {
        guard self.count > 0 else { return }
        for id in ids {
            guard let waiting = self.waiters.removeValue(forKey: id) else { continue }
            self.count -= waiting.count
            for waiter in waiting { waiter.completion() }
        }
        self.stopTimerIfIdle()
    }

    /// Invocations have another state, which is not their last.
    func changed(_ ids: [String]) {
        guard self.count > 0 else { return }
        for id in ids {
            guard let waiting = self.waiters[id] else { continue }
            let left = waiting.filter { !$0.wantsNews }
            guard left.count < waiting.count else { continue }
            self.waiters[id] = left.isEmpty ? nil : left
            self.count -= waiting.count - left.count
            for waiter in waiting where waiter.wantsNews { waiter.completion() }
        }
        self.stopTimerIfIdle()
    }

    private func expire() {
        let now = self.clock.now
        for (id, waiting) in self.waiters where waiting.contains(where: { $0.isDue(now) }) {
            let left = waiting.filter { !$0.isDue(now) }
            self.waiters[id] = left.isEmpty ? nil : left
            self.count -= waiting.count - left.count
            for waiter in waiting where waiter.isDue(now) { waiter.completion() }
        }
        self.stopTimerIfIdle()
    }

    func stop() {
        self.isStopped = true
        let all = self.waiters.values
        self.waiters = [:]
        self.count = 0
        for waiting in all { for waiter in waiting { waiter.completion() } }
        self.stopTimerIfIdle()
    }

    private func stopTimerIfIdle() {
        guard self.count == 0 else { return }
        self.loop.post {
            self.timer?.close()
            self.timer = nil
        }
    }

    private func startTimer() {
        guard self.timer == nil else { return }
        // A full queue only puts the answer off to the next time.
        let timer = LoopTimer(self.loop) { [thread = self.thread, weak self] in
            thread.run { [weak self] in self?.expire() }
        }
        timer.start(
            milliseconds: Limits.Invocations.waitStepMilliseconds, repeating: Limits.Invocations.waitStepMilliseconds)
        self.timer = timer
    }
}
