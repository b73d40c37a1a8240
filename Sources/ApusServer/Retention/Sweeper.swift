internal import ApusCore
internal import ApusLoop
internal import ApusTelemetry
internal import Synchronization

/// Performs what ``SweepSchedule`` decides, on a thread of its own, a bounded step at a time.
final class Sweeper: Sendable {
    typealias Report = @Sendable (Result<[SweepKind: SweepStatus], ApusError>) -> Void

    private struct State {
        var schedule: SweepSchedule
        var reports: [UInt64: Report] = [:]
        var nextRequest: UInt64 = 1
        var steps: (any SweepPerforming)?
        var isStopping = false
    }

    private let thread = WorkThread()
    private let state: Mutex<State>
    private let loop: EventLoop
    private let journal: Log
    private let clock: SystemClock
    // SAFETY: touched on `loop` only.
    nonisolated(unsafe) private var timer: LoopTimer?

    init(loop: EventLoop, journal: Log, clock: SystemClock) {
        self.loop = loop
        self.journal = journal
        self.clock = clock
        self.state = Mutex(State(schedule: SweepSchedule(now: clock.now)))
    }

    func start(_ steps: any SweepPerforming) {
        self.state.withLock { $0.steps = steps }
        self.loop.post {
            let timer = LoopTimer(self.loop) { [weak self] in self?.event(.tick) }
            timer.start(
                milliseconds: Limits.Server.sweepTickMilliseconds, repeating: Limits.Server.sweepTickMilliseconds)
            self.timer = timer
        }
    }

    /// What each kind holds and what was removed since the start. From any thread.
    var status: [SweepKind: SweepStatus] { self.state.withLock { $0.schedule.status } }

    /// Sweeps everything now, or tells what that would remove. `report` is called once, on the sweeper's thread or before this
    /// returns.
    func sweep(isDryRun: Bool, _ report: @escaping Report) {
        let request = self.state.withLock { state -> UInt64? in
            guard !state.isStopping else { return nil }
            defer { state.nextRequest += 1 }
            state.reports[state.nextRequest] = report
            return state.nextRequest
        }
        guard let request else { return report(.failure(Self.stopping)) }
        self.event(.asked(request: request, isDryRun: isDryRun))
    }

    /// From any thread.
    private func event(_ event: SweepSchedule.Event) {
        let now = self.clock.now
        let action = self.state.withLock { $0.isStopping ? .none : $0.schedule.event(event, now: now) }
        switch action {
        case .none: break
        case .run(let kind, let isDryRun): self.thread.run { self.perform(kind, isDryRun: isDryRun) }
        case .done(let requests, let found):
            for request in requests { self.take(request)?(.success(found)) }
            self.event(.tick)
        case .refuse(let request):
            self.take(request)?(.failure(ApusError(.overloaded, "too many sweeps wait: try again in a moment")))
        }
    }

    private func perform(_ kind: SweepKind, isDryRun: Bool) {
        guard let steps = self.state.withLock({ $0.steps }) else { return }
        do throws(ApusError) {
            let step = try steps.perform(kind, isDryRun: isDryRun, now: self.clock.now)
            if step.removed > 0, !isDryRun {
                self.journal.info(
                    "swept \(kind.rawValue)", ["removed": "\(step.removed)", "bytes": "\(step.removedBytes)"])
            }
            self.event(.finished(step))
        } catch {
            if error.code != .shuttingDown {
                self.journal.warning(
                    "\(kind.rawValue) could not be swept: \(error.message)", ["code": error.code.rawValue])
            }
            self.event(.failed(error.message))
        }
    }

    private func take(_ request: UInt64) -> Report? { self.state.withLock { $0.reports.removeValue(forKey: request) } }

    private static let stopping = ApusError(.shuttingDown, "the server is stopping: sweep when it is back")

    /// Ends after the step under way. Before control and store threads end, which a step may wait for.
    func stop() {
        let reports = self.state.withLock { state in
            state.isStopping = true
            defer { state.reports = [:] }
            return state.reports
        }
        for report in reports.values { report(.failure(Self.stopping)) }
        self.loop.runAndWait {
            self.timer?.close()
            self.timer = nil
        }
        self.thread.stop()
    }
}

/// Performs one step of a kind; blocks.
protocol SweepPerforming: Sendable {
    func perform(_ kind: SweepKind, isDryRun: Bool, now: Timestamp) throws(ApusError) -> SweepStep
}
