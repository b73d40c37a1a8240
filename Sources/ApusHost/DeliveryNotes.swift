internal import ApusCore
internal import ApusEngine

/// The recent deliveries and direct invocations of one shard, for people: a ring of bounded size. Everything that failed is in it; of
/// what went well, slowly and quickly, so many a second each.
struct DeliveryNotes {
    /// Those with an attempt that failed and another to come.
    private(set) var open: [Work: DeliveryNote] = [:]
    private var ring: [DeliveryNote] = []
    private var nextSequence: UInt64 = 1
    private var windowEnd = Timestamp.zero
    private var leftInWindow = 0
    private var slowLeftInWindow = 0

    var hasOpen: Bool { !self.open.isEmpty }

    /// Whether a success that nothing else speaks for is noted.
    @inline(__always)
    mutating func takesSuccess(_ timing: AttemptTiming, now: Timestamp) -> Bool {
        if now >= self.windowEnd {
            self.windowEnd = now + .seconds(1)
            self.leftInWindow = Limits.Host.notedSuccessesPerSecond
            self.slowLeftInWindow = Limits.Host.notedSlowPerSecond
        }
        if timing.total >= Limits.Host.slowDelivery, self.slowLeftInWindow > 0 {
            self.slowLeftInWindow -= 1
            return true
        }
        guard self.leftInWindow > 0 else { return false }
        self.leftInWindow -= 1
        return true
    }

    /// An attempt failed, and what comes of it is told later.
    mutating func failed(
        _ work: Work, _ note: @autoclosure () -> DeliveryNote, _ attempt: AttemptNote, _ failure: Failure
    ) {
        guard self.open.count < Limits.Host.openNotes || self.open[work] != nil else { return }
        var note = self.open[work] ?? note()
        note.state = .retrying
        note.add(attempt)
        note.fail(failure)
        self.open[work] = note
    }

    /// What is known of one that is now decided: its failed attempts, when there were any.
    mutating func take(_ work: Work) -> DeliveryNote? {
        self.open.isEmpty ? nil : self.open.removeValue(forKey: work)
    }

    /// - Returns: what names it until it has left the ring.
    mutating func append(_ note: DeliveryNote) -> UInt64 {
        var note = note
        note.sequence = self.nextSequence
        self.nextSequence += 1
        if self.ring.count < Limits.Host.notes {
            self.ring.append(note)
        } else {
            self.ring[self.slot(note.sequence)] = note
        }
        return note.sequence
    }

    /// Its outcome is durable.
    mutating func committed(_ sequence: UInt64, in span: TimeSpan) {
        let slot = self.slot(sequence)
        guard slot < self.ring.count, self.ring[slot].sequence == sequence else { return }
        self.ring[slot].committing = span
    }

    /// Its trigger is gone, and with it what was to come.
    mutating func forget(_ trigger: TriggerID) {
        guard !self.open.isEmpty else { return }
        self.open = self.open.filter { work, _ in
            if case .delivery(let delivery) = work { delivery.trigger != trigger } else { true }
        }
    }

    /// All that is known, the newest first: those that are retried, then the decided.
    func newestFirst(_ body: (DeliveryNote) -> Bool) {
        for note in self.open.values.sorted(by: { $0.arrivedAt > $1.arrivedAt }) where !body(note) { return }
        let count = self.ring.count
        guard count > 0 else { return }
        let newest = self.slot(self.nextSequence - 1)
        for step in 0..<count where !body(self.ring[(newest - step + count) % count]) { return }
    }

    private func slot(_ sequence: UInt64) -> Int { Int(truncatingIfNeeded: (sequence - 1) % UInt64(Limits.Host.notes)) }
}
