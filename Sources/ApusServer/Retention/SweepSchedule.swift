internal import ApusCore

/// Decides which kind is swept next: one step at a time, all kinds in turn, every ``Limits/Server/sweepSeconds`` or when asked.
///
/// A machine without I/O or clock.
struct SweepSchedule {
    enum Event {
        case tick
        /// Somebody wants a sweep of everything now, or to know what it would remove.
        case asked(request: UInt64, isDryRun: Bool)
        /// The step that was asked for ended.
        case finished(SweepStep)
        case failed(String)
    }

    enum Action: Equatable {
        case none
        /// Perform one step, then report.
        case run(SweepKind, isDryRun: Bool)
        /// The round is over: answer those who asked, then tick again.
        case done([UInt64], [SweepKind: SweepStatus])
        /// Too many ask.
        case refuse(UInt64)
    }

    private struct Round {
        var isDryRun: Bool
        var requests: [UInt64]
        var left: [SweepKind]
        /// Steps of the first of `left`.
        var steps = 0
        /// What this round did.
        var found: [SweepKind: SweepStatus] = [:]
    }

    /// What all rounds did.
    private(set) var status: [SweepKind: SweepStatus] = [:]
    private var round: Round?
    private var waiting: [(request: UInt64, isDryRun: Bool)] = []
    private var nextRound: Timestamp

    /// The first round is a moment after the start, which has enough to do.
    init(now: Timestamp) { self.nextRound = now + .seconds(Limits.Server.firstSweepSeconds) }

    mutating func event(_ event: Event, now: Timestamp) -> Action {
        switch event {
        case .tick: return self.begin(now)
        case .asked(let request, let isDryRun):
            guard self.waiting.count < Limits.Server.sweepRequests else { return .refuse(request) }
            self.waiting.append((request, isDryRun))
            return self.begin(now)
        case .finished(let step): return self.took(step, now)
        case .failed(let failure): return self.failed(failure, now)
        }
    }

    private mutating func begin(_ now: Timestamp) -> Action {
        guard self.round == nil else { return .none }
        if let first = self.waiting.first {
            let alike = self.waiting.filter { $0.isDryRun == first.isDryRun }.map(\.request)
            self.waiting.removeAll { $0.isDryRun == first.isDryRun }
            self.round = Round(isDryRun: first.isDryRun, requests: alike, left: SweepKind.allCases)
        } else if now >= self.nextRound {
            self.round = Round(isDryRun: false, requests: [], left: SweepKind.allCases)
        } else {
            return .none
        }
        return self.next(now)
    }

    private mutating func took(_ step: SweepStep, _ now: Timestamp) -> Action {
        guard var round = self.round, let kind = round.left.first else { return .none }
        round.found[kind, default: SweepStatus()].add(step, now)
        if !round.isDryRun { self.status[kind, default: SweepStatus()].add(step, now) }
        round.steps += 1
        // A dry run removes nothing, so that its next step would find the same again.
        if !step.hasMore || round.isDryRun || round.steps >= Limits.Server.sweepStepsPerRound {
            round.left.removeFirst()
            round.steps = 0
        }
        self.round = round
        return self.next(now)
    }

    private mutating func failed(_ failure: String, _ now: Timestamp) -> Action {
        guard var round = self.round, let kind = round.left.first else { return .none }
        round.found[kind, default: SweepStatus()].failure = failure
        if !round.isDryRun {
            self.status[kind, default: SweepStatus()].failures += 1
            self.status[kind, default: SweepStatus()].failure = failure
        }
        round.left.removeFirst()
        round.steps = 0
        self.round = round
        return self.next(now)
    }

    private mutating func next(_ now: Timestamp) -> Action {
        guard let round = self.round else { return .none }
        if let kind = round.left.first { return .run(kind, isDryRun: round.isDryRun) }
        self.round = nil
        if !round.isDryRun { self.nextRound = now + .seconds(Limits.Server.sweepSeconds) }
        return .done(round.requests, round.found)
    }
}

extension SweepStatus {
    fileprivate mutating func add(_ step: SweepStep, _ now: Timestamp) {
        self.lastSweep = now.microseconds
        self.removed += step.removed
        self.removedBytes += step.removedBytes
        self.kept = step.kept
        self.keptBytes = step.keptBytes
        self.failure = nil
    }
}
