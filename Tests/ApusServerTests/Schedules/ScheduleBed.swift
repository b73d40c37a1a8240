import ApusCore
import ApusManifest
import ApusTestSupport
import Testing

@testable import ApusServer

/// A schedule machine with a log that keeps what it was given, in virtual time. A kill leaves the log and makes a new
/// machine.
struct ScheduleBed {
    enum Fate {
        /// Durable, and reported.
        case accepted
        case refused
        /// Durable, and not reported yet.
        case heldDurable
        /// Neither.
        case held
    }

    struct Fired: Hashable {
        var key: ScheduleKey
        var due: Timestamp
    }

    var machine = ScheduleMachine()
    var now: Timestamp
    /// What the log holds.
    var records: [ScheduleKey: ScheduleState] = [:]
    var fired: [ScheduleMachine.Firing] = []
    var held: [ScheduleMachine.Firing] = []
    var other: [ScheduleMachine.Action] = []
    var plans: [SchedulePlan] = []
    private var waiting: [ScheduleMachine.Action] = []
    private var isPerforming = false
    var fate: (ScheduleMachine.Firing) -> Fate = { _ in .accepted }

    /// 2026-07-28 12:00 UTC.
    static let noon = Timestamp(microseconds: 1_785_240_000_000_000)

    init(now: Timestamp = ScheduleBed.noon) { self.now = now }

    static func key(_ name: String, trigger: String = "schedule") throws -> ScheduleKey {
        ScheduleKey(function: try #require(ResourceName(.default, name)), trigger: trigger)
    }

    static func plan(
        _ name: String = "f", _ line: String = "*/5 * * * *", _ missed: ScheduleTriggerManifest.Missed = .once,
        generation: UInt64 = 1, since: Timestamp = ScheduleBed.noon, isPaused: Bool = false, zone: TimeZoneRules = .utc
    ) throws -> SchedulePlan {
        SchedulePlan(
            key: try self.key(name), generation: generation, since: since,
            clock: ZonedCron(cron: try CronSchedule(line), zone: zone), missed: missed, isPaused: isPaused)
    }

    mutating func apply(_ plan: SchedulePlan) {
        self.plans.removeAll { $0.key == plan.key }
        self.plans.append(plan)
        self.perform(self.machine.apply(plan, now: self.now))
    }

    mutating func remove(_ name: String) throws {
        let function = try Self.key(name).function
        self.plans.removeAll { $0.key.function == function }
        self.perform(self.machine.remove(function))
    }

    /// The process ends at once and another one starts.
    mutating func kill() {
        self.held = []
        self.machine = ScheduleMachine()
        for state in self.records.values {
            // Through its bytes, as a restart reads it.
            if let state = ScheduleState(state.event) { self.machine.restore(state) }
        }
        for plan in self.plans { self.perform(self.machine.apply(plan, now: self.now)) }
        self.perform(self.machine.finishRestoring())
    }

    /// Time passes, and the machine looks whenever it wants to.
    mutating func pass(_ span: TimeSpan) {
        let end = self.now + span
        while let wake = self.machine.nextWake, wake <= end {
            self.now = max(self.now, wake)
            self.perform(self.machine.advance(to: self.now))
        }
        self.now = end
        self.perform(self.machine.advance(to: end))
    }

    /// The clock is set; the machine looks.
    mutating func jump(_ span: TimeSpan) {
        self.now = Timestamp(microseconds: self.now.microseconds + span.microseconds)
        self.perform(self.machine.advance(to: self.now))
    }

    mutating func takeHeld() throws -> ScheduleMachine.Firing {
        let firing = self.held.popLast()
        return try #require(firing, "no firing is on its way")
    }

    mutating func report(_ firing: ScheduleMachine.Firing, isAccepted: Bool) {
        if isAccepted {
            self.perform(self.machine.accepted(firing.ticket, InvocationID(high: 1, low: firing.ticket), now: self.now))
        } else {
            self.perform(self.machine.refused(firing.ticket, now: self.now))
        }
    }

    /// What a report brings comes after what is there already: a queue, since thousands may follow one another.
    private mutating func perform(_ actions: [ScheduleMachine.Action]) {
        self.waiting += actions
        guard !self.isPerforming else { return }
        self.isPerforming = true
        defer { self.isPerforming = false }
        var next = 0
        while next < self.waiting.count {
            let action = self.waiting[next]
            next += 1
            switch action {
            case .fire(let firing):
                switch self.fate(firing) {
                case .accepted:
                    self.keep(firing)
                    self.report(firing, isAccepted: true)
                case .refused: self.report(firing, isAccepted: false)
                case .heldDurable:
                    self.keep(firing)
                    self.held.append(firing)
                case .held: self.held.append(firing)
                }
            case .keep(let state): self.records[state.key] = state
            case .forget(let key):
                self.records[key] = nil
                self.other.append(action)
            case .skipped, .clockWentBack: self.other.append(action)
            }
        }
        self.waiting = []
    }

    private mutating func keep(_ firing: ScheduleMachine.Firing) {
        self.fired.append(firing)
        self.records[firing.key] = firing.following
    }

    /// The times that fired, in minutes after noon.
    var minutes: [Int64] { self.fired.map { ($0.due - Self.noon).microseconds / 60_000_000 } }
}
