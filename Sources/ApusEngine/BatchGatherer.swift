internal import ApusCore

/// When a batch closes: at its size, at its bytes, or when its first event has waited long enough.
struct BatchGatherer {
    var plan: BatchPlan
    /// What is gathered so far.
    private(set) var count = 0
    private(set) var bytes = 0
    /// When gathering began.
    private(set) var since = Timestamp.zero

    init(_ plan: BatchPlan) { self.plan = plan }

    mutating func add(count: Int = 1, bytes: Int, now: Timestamp) {
        if self.count == 0 { self.since = now }
        self.count += count
        self.bytes += bytes
    }

    /// What was gathered goes: into a batch, or because it may not run now.
    mutating func remove(count: Int = 1, bytes: Int) {
        self.count -= count
        self.bytes -= bytes
    }

    /// When the batch closes at the latest.
    var closesAt: Timestamp? { self.count == 0 ? nil : self.since + self.plan.maxWait }

    func isClosed(now: Timestamp) -> Bool {
        guard self.count > 0 else { return false }
        return self.count >= self.plan.maxSize || self.bytes >= self.plan.maxBytes
            || now >= self.since + self.plan.maxWait
    }

    /// Whether one more event fits a batch that holds that much. The first always does.
    func fits(count: Int, bytes: Int, next: Int) -> Bool {
        count == 0 || (count < self.plan.maxSize && bytes + next <= self.plan.maxBytes)
    }
}
