internal import ApusCore

/// How many workers that serve one invocation each should wait ready: as many as recent work uses up while one is
/// made. It counts; the engine starts and kills.
struct OneShotDemand {
    /// Workers used in the window under way and in the one before it.
    private var current = 0
    private var previous = 0
    private var windowStart = Timestamp.zero
    private var lastUse = Timestamp.zero
    /// From the order for a worker to its first credit, a moving average.
    private(set) var refill = TimeSpan.zero

    // For metrics.
    private(set) var hits: UInt64 = 0
    private(set) var misses: UInt64 = 0

    /// A worker was given its one invocation.
    /// - Parameter isHit: it was ready before the work came; else the work waited for it.
    mutating func used(isHit: Bool, now: Timestamp) {
        self.roll(to: now)
        self.current += 1
        self.lastUse = now
        if isHit { self.hits += 1 } else { self.misses += 1 }
    }

    /// A worker became ready.
    mutating func refilled(in span: TimeSpan) {
        guard self.refill > .zero else {
            self.refill = span
            return
        }
        let step = (span.microseconds - self.refill.microseconds) / Limits.Engine.refillWeight
        self.refill = TimeSpan(microseconds: self.refill.microseconds + step)
    }

    /// When the function counts as cold unless more work comes; nil when it is cold.
    func warmUntil(idle: TimeSpan, now: Timestamp) -> Timestamp? {
        let end = self.lastUse + idle
        return self.hits + self.misses > 0 && end > now ? end : nil
    }

    /// How many should wait ready: none while the function is cold, else at least one. Twice the root of what is used
    /// up covers what arrivals at random bring together.
    func target(idle: TimeSpan, now: Timestamp) -> Int {
        guard self.warmUntil(idle: idle, now: now) != nil else { return 0 }
        let window = Limits.Engine.demandWindow.microseconds
        let age = (now - self.windowStart).microseconds
        let uses = age < window ? max(self.current, self.previous) : age < 2 * window ? self.current : 0
        let (product, isOver) = Int64(uses).multipliedReportingOverflow(by: self.refill.microseconds)
        let expected = isOver ? Int64(Limits.Engine.pooledWorkers) : product / window
        let bounded = min(Int(expected), Limits.Engine.pooledWorkers)
        return min(1 + bounded + 2 * Self.root(of: bounded), Limits.Engine.pooledWorkers)
    }

    private static func root(of number: Int) -> Int {
        var root = 0
        while (root + 1) * (root + 1) <= number { root += 1 }
        return root
    }

    private mutating func roll(to now: Timestamp) {
        let window = Limits.Engine.demandWindow
        let age = now - self.windowStart
        guard age >= window else { return }
        self.previous = age.microseconds < 2 * window.microseconds ? self.current : 0
        self.current = 0
        self.windowStart = now
    }
}
