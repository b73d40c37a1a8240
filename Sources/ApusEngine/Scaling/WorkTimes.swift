internal import ApusCore

/// What a function's work and its starts were seen to take, and how fast work comes: what scaling foresees with.
struct WorkTimes {
    // What came in the window under way and in the one before it.
    private var current = 0
    private var previous = 0
    private var windowStart = Timestamp.zero
    /// One attempt, a moving average; zero before the first.
    private(set) var running = TimeSpan.zero
    private var starts: [Int64] = []
    private var oldestStart = 0
    /// From its order to being ready, what nine of ten workers stay within; zero before the first.
    private(set) var start = TimeSpan.zero

    /// So much work came.
    mutating func came(_ count: Int, now: Timestamp) {
        let age = now - self.windowStart
        if age >= Limits.Engine.demandWindow {
            self.previous = age.microseconds < 2 * Limits.Engine.demandWindow.microseconds ? self.current : 0
            self.current = 0
            self.windowStart = now
        }
        self.current += count
    }

    mutating func ran(_ span: TimeSpan) {
        let sample = max(1, span.microseconds)
        guard self.running > .zero else { return self.running = TimeSpan(microseconds: sample) }
        let step = (sample - self.running.microseconds) / Limits.Engine.runWeight
        self.running = TimeSpan(microseconds: self.running.microseconds + step)
    }

    mutating func started(in span: TimeSpan) {
        let sample = max(1, span.microseconds)
        if self.starts.count < Limits.Pool.startSamples {
            self.starts.append(sample)
        } else {
            self.starts[self.oldestStart] = sample
            self.oldestStart = (self.oldestStart + 1) % Limits.Pool.startSamples
        }
        let sorted = self.starts.sorted()
        self.start = TimeSpan(microseconds: sorted[(sorted.count * 9 - 1) / 10])
    }

    /// Another revision may start and run in another time.
    mutating func forget() {
        self.running = .zero
        self.starts = []
        self.oldestStart = 0
        self.start = .zero
    }

    /// How much more there will be at hand when a worker that is started now is ready: of what comes meanwhile, what will not be
    /// over by then, less what runs now and will be.
    func growth(running: Int, now: Timestamp) -> Int {
        guard self.start > .zero, self.running > .zero else { return 0 }
        let (start, one) = (Double(self.start.microseconds), Double(self.running.microseconds))
        let arriving = self.perSecond(now: now) * min(start, one) * 1e-6
        let leaving = Double(running) * min(1, start / one)
        return arriving > leaving ? Int(min(arriving - leaving, Double(Limits.Engine.foreseen))) : 0
    }

    /// Whether, as fast as work came of late, more comes within that time.
    func expectsMore(within span: TimeSpan, now: Timestamp) -> Bool {
        self.perSecond(now: now) * Double(span.microseconds) * 1e-6 >= 1
    }

    /// Over the last whole window: the part of it that is gone is taken from the one before.
    private func perSecond(now: Timestamp) -> Double {
        let window = Double(Limits.Engine.demandWindow.microseconds)
        let age = Double((now - self.windowStart).microseconds) / window
        guard age < 2 else { return 0 }
        let count =
            age < 1 ? Double(self.previous) * (1 - age) + Double(self.current) : Double(self.current) * (2 - age)
        return count / window * 1e6
    }
}
