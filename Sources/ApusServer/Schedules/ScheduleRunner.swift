internal import ApusCore
internal import ApusLoop
internal import ApusManifest
internal import ApusStore
internal import ApusTelemetry
internal import Synchronization

/// Performs what the schedule machine decides, on a loop: a timer wakes it, firings are given to the queue of
/// invocations.
final class ScheduleRunner: Sendable {
    private let loop: EventLoop
    private let log: any EventLog
    private let accepting: any InvocationAccepting
    /// Writes what becomes of a trigger, as whoever decides that.
    private let decided = Mutex<InvocationQueue.DecidedWriter?>(nil)
    private let zones: TimeZones
    private let journal: Log
    /// Wall time, as it is set: what schedules speak of.
    private let clock: @Sendable () -> Timestamp
    // SAFETY: touched on `loop` only, and by `restore` before the loop knows of this object.
    nonisolated(unsafe) private var machine = ScheduleMachine()
    // SAFETY: as `machine`.
    nonisolated(unsafe) private var timer: LoopTimer?
    // SAFETY: as `machine`. Triggers that cannot fire, with the reason.
    nonisolated(unsafe) private var broken: [ScheduleKey: String] = [:]
    // SAFETY: as `machine`. What a trigger was refused for last.
    nonisolated(unsafe) private var refusals: [ScheduleKey: String] = [:]
    // SAFETY: as `machine`.
    nonisolated(unsafe) private var isStopped = false
    // SAFETY: as `machine`. Another node fires.
    nonisolated(unsafe) private var isIdle = true
    // SAFETY: as `machine`. Counts the beginnings: what an earlier machine fired says nothing to a later one.
    nonisolated(unsafe) private var term: UInt64 = 0

    init(
        loop: EventLoop, log: any EventLog, accepting: any InvocationAccepting, zones: TimeZones, journal: Log,
        clock: @escaping @Sendable () -> Timestamp = { SystemClock().now }
    ) {
        self.loop = loop
        self.log = log
        self.accepting = accepting
        self.zones = zones
        self.journal = journal
        self.clock = clock
    }

    /// Before anything fires.
    func bind(decided: @escaping InvocationQueue.DecidedWriter) { self.decided.withLock { $0 = decided } }

    /// Reads how far all triggers have come, takes what is deployed, and begins: at the start of a server, or when this node becomes
    /// the one that fires. From a thread that may block.
    func start(_ catalogue: Catalogue) throws(ApusError) {
        var machine = ScheduleMachine()
        try self.restore(&machine)
        let plans = catalogue.functions.values.sorted { $0.name < $1.name }.map { self.plans(of: $0) }
        self.loop.runAndWait { [machine] in
            guard !self.isStopped else { return }
            self.machine = machine
            self.isIdle = false
            self.term += 1
            self.broken = [:]
            self.refusals = [:]
            if self.timer == nil { self.timer = LoopTimer(self.loop) { self.tick() } }
            for plans in plans { self.apply(plans) }
            self.perform(self.machine.finishRestoring(keeping: Set(self.broken.keys)))
            self.arm()
        }
    }

    /// Another node fires from now on: what was on its way is that one's as well, or was never written.
    func pause() {
        self.loop.runAndWait {
            self.isIdle = true
            self.machine = ScheduleMachine()
            self.timer?.stop()
        }
    }

    private func restore(_ machine: inout ScheduleMachine) throws(ApusError) {
        let place = TopicPartition(.schedule, 0)
        let bounds = try self.log.bounds(of: place)
        var next = bounds.start
        while next < bounds.end {
            next = try self.log.read(
                place, from: next, maxRecords: Limits.Server.recordsPerFollow, maxBytes: Limits.Server.bytesPerRead
            ) { _, block in
                guard let event = try? EventBlock.decode(block.bytes) else { return true }
                if let state = ScheduleState(event) {
                    machine.restore(state)
                } else if let key = event.key.flatMap({ ScheduleKey(String(decoding: $0, as: UTF8.self)) }) {
                    machine.restoreRemoval(of: key)
                    // A newer version's record cannot be read; starting anew is better than not at all.
                    if event.data != nil { self.journal.error("the record '\(key)' of apus.schedule was passed over") }
                }
                return true
            }
        }
    }

    // MARK: what is deployed

    /// A function's triggers, and those that cannot fire.
    private struct Plans: Sendable {
        var function: ResourceName
        var plans: [SchedulePlan] = []
        var broken: [ScheduleKey: String] = [:]

        var triggers: Set<String> { Set(self.plans.map(\.key.trigger) + self.broken.keys.map(\.trigger)) }
    }

    /// What a control write changed. From any thread but a loop.
    func apply(_ changes: [Catalogue.Change]) {
        for change in changes {
            switch change {
            case .functionApplied(let function, _):
                let plans = self.plans(of: function)
                self.loop.post { self.applyLater(plans) }
            case .functionRemoved(let function):
                let plans = Plans(function: function.name)
                self.loop.post { self.applyLater(plans) }
            case .topicApplied, .topicRemoved, .fateDecided, .principalApplied, .secretApplied, .toolServerChanged,
                .approvalChanged, .upstreamChanged, .toolSwitched, .none:
                break
            }
        }
    }

    /// Reads zone files: never on a loop.
    private func plans(of function: Catalogue.Function) -> Plans {
        var plans = Plans(function: function.name)
        for trigger in function.schedules {
            let key = ScheduleKey(function: function.name, trigger: trigger.name)
            do throws(ApusError) {
                plans.plans.append(
                    SchedulePlan(
                        key: key, generation: trigger.deployment.generation, since: trigger.deployment.since,
                        clock: ZonedCron(cron: trigger.manifest.cron, zone: try self.zones.zone(trigger.manifest.zone)),
                        missed: trigger.manifest.missed, isPaused: function.isPaused(trigger.name)))
            } catch {
                plans.broken[key] = error.message
                self.journal.error("the schedule \(key) cannot run: \(error.message)", ["code": error.code.rawValue])
            }
        }
        return plans
    }

    private func applyLater(_ plans: Plans) {
        guard !self.isStopped, !self.isIdle else { return }
        self.apply(plans)
        self.arm()
    }

    private func apply(_ plans: Plans) {
        self.perform(self.machine.remove(plans.function, keeping: plans.triggers))
        self.broken = self.broken.filter { $0.key.function != plans.function }
        self.broken.merge(plans.broken) { $1 }
        self.refusals = self.refusals.filter { $0.key.function != plans.function }
        let now = self.clock()
        for plan in plans.plans { self.perform(self.machine.apply(plan, now: now)) }
    }

    // MARK: time

    /// Looks at the clock. On the loop.
    func tick() {
        guard !self.isStopped, !self.isIdle else { return }
        self.perform(self.machine.advance(to: self.clock()))
        self.arm()
    }

    /// The timer counts time that passes, not what the clock is set to: it wakes often enough to notice a clock that
    /// was set.
    private func arm() {
        guard !self.isStopped, !self.isIdle, let wake = self.machine.nextWake else {
            self.timer?.stop()
            return
        }
        let wait = min(max(TimeSpan.zero, wake - self.clock()), Limits.Schedules.sleep)
        self.timer?.start(milliseconds: UInt64((wait.microseconds + 999) / 1_000))
    }

    // MARK: actions

    private func perform(_ actions: [ScheduleMachine.Action]) {
        for action in actions {
            switch action {
            case .fire(let firing): self.fire(firing)
            case .keep(let state): self.append(state.append, "the schedule \(state.key)")
            case .forget(let key): self.append(ScheduleState.removal(key), "the removal of the schedule \(key)")
            case .skipped(let key, let count, let isMore):
                self.journal.warning(
                    "the schedule \(key) missed \(isMore ? "more than " : "")\(count) of its times, which are left out")
            case .clockWentBack(let key):
                self.journal.warning("the clock went back by hours: the schedule \(key) starts anew from now")
            }
        }
    }

    private func fire(_ firing: ScheduleMachine.Firing) {
        let term = self.term
        self.accepting.accept(
            firing.key.function, firing.event(now: self.clock()), principal: "schedule",
            along: [firing.following.append], once: nil
        ) { result in
            self.loop.post { self.fired(firing, result, term) }
        }
    }

    private func fired(
        _ firing: ScheduleMachine.Firing, _ result: Result<AcceptedInvocation, ApusError>, _ term: UInt64
    ) {
        // What was accepted is on the log; the next start reads it there.
        guard !self.isStopped, !self.isIdle, term == self.term else { return }
        switch result {
        case .success(let invocation):
            self.refusals[firing.key] = nil
            self.perform(self.machine.accepted(firing.ticket, invocation.id, now: self.clock()))
        case .failure(let error):
            // One line for each reason, not for each attempt.
            if self.refusals.updateValue(error.code.rawValue, forKey: firing.key) != error.code.rawValue {
                self.journal.warning(
                    "the schedule \(firing.key) could not fire and is tried again: \(error.message)",
                    ["code": error.code.rawValue])
            }
            self.perform(self.machine.refused(firing.ticket, now: self.clock()))
        }
        self.arm()
    }

    /// What is lost of these is decided again at the next start.
    private func append(_ append: LogBatch.Append, _ what: String) {
        let batch = LogBatch(urgency: .settlement, appends: [append])
        let done: @Sendable (Result<LogReceipt, ApusError>) -> Void = { [journal = self.journal] result in
            if case .failure(let error) = result { journal.warning("\(what) was not written: \(error.message)") }
        }
        if let decided = self.decided.withLock({ $0 }) { decided(batch, done) } else { self.log.submit(batch, done) }
    }

    // MARK: looking

    /// What all triggers wait for; nil where another server fires. On the loop.
    func snapshot() -> [ScheduleSnapshot]? {
        self.isIdle ? nil : Self.snapshot(self.machine, self.refusals, self.broken)
    }

    /// The same by what the log says, wherever it is fired. From a thread that may block.
    func observed(_ catalogue: Catalogue) throws(ApusError) -> [ScheduleSnapshot] {
        var machine = ScheduleMachine()
        try self.restore(&machine)
        var broken: [ScheduleKey: String] = [:]
        for function in catalogue.functions.values {
            let plans = self.plans(of: function)
            // Whoever fires does what follows from it.
            for plan in plans.plans { _ = machine.apply(plan, now: self.clock()) }
            broken.merge(plans.broken) { $1 }
        }
        return Self.snapshot(machine, [:], broken)
    }

    private static func snapshot(
        _ machine: ScheduleMachine, _ refusals: [ScheduleKey: String], _ broken: [ScheduleKey: String]
    ) -> [ScheduleSnapshot] {
        machine.entries.values.map { entry in
            ScheduleSnapshot(
                key: entry.plan.key, next: entry.plan.isPaused ? nil : entry.next, last: entry.state.last,
                fired: entry.state.fired, skipped: entry.state.skipped, problem: refusals[entry.plan.key])
        } + broken.map { ScheduleSnapshot(key: $0.key, problem: $0.value) }
    }

    /// On the loop.
    var counters: ScheduleMachine.Counters { self.machine.counters }
    var counts: (triggers: Int, underWay: Int) {
        (self.machine.entries.count + self.broken.count, self.machine.underWay)
    }

    /// Fires nothing more. From any thread but the loop, before the loop ends.
    func stop() {
        self.loop.runAndWait {
            self.isStopped = true
            self.timer?.close()
            self.timer = nil
        }
    }
}

/// A scheduled trigger, as people see it.
struct ScheduleSnapshot: Sendable, Equatable {
    var key: ScheduleKey
    /// Nil when it is paused or nothing comes any more.
    var next: Timestamp?
    var last: ScheduleState.Last?
    var fired: Int64 = 0
    var skipped: Int64 = 0
    /// Why it does not fire: a code, or a sentence.
    var problem: String?
}
