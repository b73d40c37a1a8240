internal import ApusCore

/// How many deliveries of a trigger may begin: a bucket that fills evenly and holds a part of what a second brings.
struct Pace {
    /// From 1 to ``Limits/Engine/perSecondMax``.
    var perSecond: Int {
        didSet { self.perSecond = Self.bounded(self.perSecond) }
    }
    /// A timer is set for when it has something again.
    var isTimed = false
    /// Where the next round over the trigger's partitions begins, so that the first does not get all.
    var nextPartition = 0
    /// What it holds, in millionths of a delivery.
    private var held: Int64 = Self.whole
    private var filledAt = Timestamp.zero

    private static let whole: Int64 = 1_000_000

    init(perSecond: Int) { self.perSecond = Self.bounded(perSecond) }

    private static func bounded(_ perSecond: Int) -> Int { min(max(1, perSecond), Limits.Engine.perSecondMax) }

    /// Deliveries that may begin now.
    var allowance: Int { Int(self.held / Self.whole) }

    mutating func fill(now: Timestamp) {
        defer { self.filledAt = max(self.filledAt, now) }
        guard self.filledAt > .zero else { return }
        let elapsed = min(max(0, (now - self.filledAt).microseconds), 1_000_000)
        let most = max(1, Int64(self.perSecond / Limits.Engine.paceParts)) * Self.whole
        self.held = min(most, self.held + elapsed * Int64(self.perSecond))
    }

    /// One begins.
    /// - Returns: false when none may.
    mutating func take() -> Bool {
        guard self.held >= Self.whole else { return false }
        self.held -= Self.whole
        return true
    }

    /// When there is something again.
    var due: Timestamp {
        let missing = max(0, Self.whole - self.held)
        let wait = TimeSpan(microseconds: (missing + Int64(self.perSecond) - 1) / Int64(self.perSecond))
        return self.filledAt + max(wait, Limits.Engine.paceStep)
    }
}

extension Engine {
    /// How many records to read for a trigger; nil when it has come to its bound, and goes on by a timer.
    mutating func paced(_ trigger: Int32) -> Int? {
        guard let pace = self.triggers[Int(trigger)].pace else { return .max }
        if pace.allowance > 0 { return max(pace.allowance, Limits.Engine.pacedRecords) }
        if !pace.isTimed {
            self.triggers[Int(trigger)].pace?.isTimed = true
            let id = UInt64(self.triggers[Int(trigger)].plan.trigger.rawValue)
            self.timers.insert(EngineTimer(due: pace.due, kind: .pace, index: trigger, generation: id))
        }
        return nil
    }

    mutating func mayBegin(_ trigger: Int32) -> Bool { self.triggers[Int(trigger)].pace?.take() ?? true }

    mutating func paceDue(_ timer: EngineTimer, now: Timestamp) {
        let trigger = Int(timer.index)
        guard UInt64(self.triggers[trigger].plan.trigger.rawValue) == timer.generation,
            var pace = self.triggers[trigger].pace
        else { return }
        pace.isTimed = false
        pace.fill(now: now)
        let lanes = self.triggers[trigger].lanes
        let first = lanes.isEmpty ? 0 : pace.nextPartition % lanes.count
        pace.nextPartition = first + 1
        self.triggers[trigger].pace = pace
        for lane in lanes[first...] + lanes[..<first] where lane >= 0 { self.considerFetch(lane) }
    }
}
