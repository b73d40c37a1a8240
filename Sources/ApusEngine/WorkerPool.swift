internal import ApusCore

/// When workers of one function start and stop. It counts; the engine keeps the workers themselves.
struct WorkerPool {
    /// Launched, not yet ready.
    private(set) var starting = 0
    /// Ready, of the current revision, not told to stop.
    private(set) var ready = 0
    /// Retiring, stopping or killed: not of use any more, but still there.
    private(set) var leaving = 0
    /// Asleep, or on the way back. Only the ``Pool`` has workers sleep.
    private(set) var asleep = 0
    /// Failed starts in a row, and workers that crashed before they finished anything.
    private(set) var failures = 0
    /// No start before it.
    private(set) var blockedUntil = Timestamp.zero
    private(set) var lastFailure: Failure?

    var total: Int { self.starting + self.ready + self.leaving + self.asleep }
    var live: Int { self.starting + self.ready }

    /// How many workers that much work asks for.
    /// - Parameters:
    ///   - depth: deliveries and requests that run or could run now. What waits for a retry is not among them.
    ///   - perWorker: how much of it one worker takes at a time.
    static func desired(depth: Int, perWorker: Int, scale: ScalePlan) -> Int {
        let needed = (depth + perWorker - 1) / max(perWorker, 1)
        return min(max(needed, scale.min), scale.max)
    }

    /// How many to start now. After a failure one at a time, until one has shown that it works.
    func starts(depth: Int, perWorker: Int, scale: ScalePlan, now: Timestamp) -> Int {
        guard now >= self.blockedUntil else { return 0 }
        let missing = Self.desired(depth: depth, perWorker: perWorker, scale: scale) - self.live
        let room = scale.max - self.total
        let bound = self.failures == 0 ? missing : min(missing, 1 - self.starting)
        return max(0, min(bound, room))
    }

    mutating func sleeps() {
        self.ready -= 1
        self.asleep += 1
    }

    mutating func woke() {
        self.asleep -= 1
        self.ready += 1
    }

    /// Whether waiting callers are told of the failure instead of left waiting.
    func isRefusing(now: Timestamp) -> Bool {
        self.live == 0 && self.failures >= Limits.Engine.startFailuresBeforeRefusal && now < self.blockedUntil
    }

    mutating func started() { self.starting += 1 }

    mutating func becameReady() {
        self.starting -= 1
        self.ready += 1
    }

    /// A starting or ready worker is told to go, or is of an older revision.
    mutating func leaves(_ phase: WorkerPhase) {
        switch phase {
        case .starting: self.starting -= 1
        case .ready, .resting: self.ready -= 1
        case .asleep, .waking: self.asleep -= 1
        case .retiring, .stopping, .killed, .absent: return
        }
        self.leaving += 1
    }

    mutating func gone(_ phase: WorkerPhase) {
        switch phase {
        case .starting: self.starting -= 1
        case .ready, .resting: self.ready -= 1
        case .asleep, .waking: self.asleep -= 1
        case .retiring, .stopping, .killed: self.leaving -= 1
        case .absent: break
        }
    }

    /// A worker finished something: the revision works.
    mutating func worked() {
        self.failures = 0
        self.lastFailure = nil
    }

    /// A start failed, or a worker died before it finished anything: the next start waits, twice as long each time.
    mutating func failed(_ failure: Failure, configuration: EngineConfiguration, now: Timestamp) {
        self.failures += 1
        self.lastFailure = failure
        let doubled = configuration.startBackoff.microseconds.multipliedReportingOverflow(
            by: 1 << Int64(min(self.failures - 1, 30)))
        let longest = configuration.startBackoffMax.microseconds
        self.blockedUntil =
            now + TimeSpan(microseconds: doubled.overflow ? longest : min(doubled.partialValue, longest))
    }

    /// A new revision starts with a clean record.
    mutating func forgive() {
        self.worked()
        self.blockedUntil = .zero
    }
}

/// Where a worker is in its life.
enum WorkerPhase: UInt8 {
    /// The slot is not in use.
    case absent
    /// Launched. Next: `ready`, `stopping`, `killed`, `absent`.
    case starting
    /// May be given work. Next: `resting`, `asleep`, `retiring`, `stopping`, `killed`, `absent`.
    case ready
    /// Gets no new work and is told to sleep when what it runs is over. Next: `asleep`, `ready`, `retiring`, `stopping`, `killed`, `absent`.
    case resting
    /// Was told to sleep. Next: `waking`, `stopping`, `killed`, `absent`.
    case asleep
    /// Was told to wake. Next: `ready`, `stopping`, `killed`, `absent`.
    case waking
    /// Gets no new work and is told to stop when what it runs is over. Next: `stopping`, `killed`, `absent`.
    case retiring
    /// Told to stop. Next: `killed`, `absent`.
    case stopping
    /// Killed; its exit follows. Next: `absent`.
    case killed
}

extension WorkerPhase {
    /// It serves, or will: nobody told it to go.
    var isHere: Bool {
        switch self {
        case .starting, .ready, .resting, .asleep, .waking: true
        case .absent, .retiring, .stopping, .killed: false
        }
    }
}
