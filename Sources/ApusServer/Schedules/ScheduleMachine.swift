internal import ApusCore
internal import ApusManifest

/// Decides when scheduled triggers fire. No I/O and no clock: `now` is wall time, and may jump either way.
///
/// A firing is one transaction: the invocation together with the state that follows. Until that is durable the state is
/// the old
/// one, so that a server that is killed at any moment fires what it had not written, and nothing twice.
struct ScheduleMachine {
    enum Action: Sendable, Equatable {
        /// Append the invocation and the state that follows it; then report ``accepted(_:_:now:)`` or
        /// ``refused(_:now:)``.
        case fire(Firing)
        /// Append the state.
        case keep(ScheduleState)
        /// Remove the record.
        case forget(ScheduleKey)
        /// Times were left out; `isMore` when there were more than could be counted.
        case skipped(ScheduleKey, count: Int, isMore: Bool)
        /// The clock went back so far that what is due was sought anew.
        case clockWentBack(ScheduleKey)
    }

    /// Names one attempt to fire.
    typealias Ticket = UInt64

    struct Firing: Sendable, Equatable {
        var ticket: Ticket
        var key: ScheduleKey
        var due: Timestamp
        /// Earlier times that this firing stands for as well.
        var missed: Int
        /// The state once it is durable.
        var following: ScheduleState
    }

    enum Phase: Sendable, Equatable {
        /// Paused, or nothing comes any more. Next: `waiting`.
        case idle
        /// Until the moment. Next: `queued`, `idle`.
        case waiting
        /// Due, and as many are under way as may be. Next: `firing`, `idle`.
        case queued
        /// On its way to the log. Next: `waiting`, `retrying`, `idle`.
        case firing(Firing)
        /// Refused so often; tried again at its moment. Next: `queued`, `idle`.
        case retrying(Firing, refusals: Int)
    }

    struct Entry: Sendable {
        var plan: SchedulePlan
        var state: ScheduleState
        var phase = Phase.idle
        /// When to look at it next, in `waiting` and `retrying`.
        var wake = Timestamp.distantFuture
        /// Tells its newest place in the heap from older ones.
        var version: UInt64 = 0
        /// The log has a record of it.
        var isStored = false

        /// The next time it is due.
        var next: Timestamp? { self.plan.clock.next(after: self.state.position) }
    }

    private struct UnderWay {
        var key: ScheduleKey
        /// How often what it fires was refused before.
        var refusals: Int
    }

    private struct Due: Comparable {
        var at: Timestamp
        var version: UInt64
        var key: ScheduleKey

        static func < (left: Due, right: Due) -> Bool { (left.at, left.version) < (right.at, right.version) }
    }

    struct Counters: Sendable, Equatable {
        var fired: Int64 = 0
        /// Times left out, as far as they were counted.
        var skipped: Int64 = 0
        /// Attempts to fire that the log or the queue refused.
        var refused: Int64 = 0
    }

    private(set) var entries: [ScheduleKey: Entry] = [:]
    private(set) var counters = Counters()
    private var restored: [ScheduleKey: ScheduleState] = [:]
    private var heap = BinaryHeap<Due>()
    private var queue = Deque<ScheduleKey>()
    /// Firings under way, those of triggers that are gone included.
    private var tickets: [Ticket: UnderWay] = [:]
    private var nextTicket: Ticket = 1
    private var nextVersion: UInt64 = 1
    private var latest = Timestamp.zero
    private var actions: [Action] = []

    /// When ``advance(to:)`` has something to do at the latest.
    var nextWake: Timestamp? { self.heap.first?.at }
    var underWay: Int { self.tickets.count }
    var wakeCount: Int { self.heap.count }

    // MARK: what is deployed

    /// A record of the log, before anything is applied.
    mutating func restore(_ state: ScheduleState) { self.restored[state.key] = state }

    /// A record was removed, before anything is applied.
    mutating func restoreRemoval(of key: ScheduleKey) { self.restored[key] = nil }

    /// Everything deployed was applied: records of other triggers have no use, but for those that cannot run just now.
    mutating func finishRestoring(keeping kept: Set<ScheduleKey> = []) -> [Action] {
        defer { self.restored = [:] }
        return self.restored.keys.filter { !kept.contains($0) }.sorted().map { .forget($0) }
    }

    /// A trigger that is new or changed.
    mutating func apply(_ plan: SchedulePlan, now: Timestamp) -> [Action] {
        if var entry = self.entries[plan.key], entry.plan.generation == plan.generation {
            guard entry.plan != plan else { return [] }
            entry.plan = plan
            self.entries[plan.key] = entry
            // What is on its way goes on; the rest is decided anew.
            if case .firing = entry.phase { return [] }
        } else {
            let kept = self.restored.removeValue(forKey: plan.key)
            // What is on its way of an older generation will leave a record too.
            let isStored = kept != nil || self.entries[plan.key] != nil
            var state = ScheduleState(key: plan.key, generation: plan.generation, position: plan.since)
            if let kept, kept.generation == plan.generation { state = kept }
            self.entries[plan.key] = Entry(plan: plan, state: state, isStored: isStored)
        }
        self.settle(plan.key, now: now)
        return self.advance(to: now)
    }

    /// The triggers of a function but these are gone.
    mutating func remove(_ function: ResourceName, keeping triggers: Set<String> = []) -> [Action] {
        let gone = self.entries.keys.filter { $0.function == function && !triggers.contains($0.trigger) }.sorted()
        return gone.compactMap { key in
            self.entries.removeValue(forKey: key)?.isStored == true ? .forget(key) : nil
        }
    }

    // MARK: time

    /// The clock shows `now`.
    mutating func advance(to now: Timestamp) -> [Action] {
        if now < self.latest { self.wentBack(to: now) }
        self.latest = now
        repeat {
            while let first = self.heap.first, first.at <= now {
                self.heap.popFirst()
                guard let entry = self.entries[first.key], entry.version == first.version else { continue }
                self.enqueue(first.key)
            }
            self.fireQueued(now: now)
        } while self.heap.first.map { $0.at <= now } ?? false
        defer { self.actions = [] }
        return self.actions
    }

    private mutating func wentBack(to now: Timestamp) {
        for key in self.entries.keys.sorted() {
            guard let entry = self.entries[key] else { continue }
            switch entry.phase {
            case .idle, .queued, .firing: continue
            case .waiting: self.settle(key, now: now)
            case .retrying: self.wake(key, at: min(entry.wake, now + Limits.Schedules.retryMax))
            }
        }
    }

    // MARK: what became of a firing

    mutating func accepted(_ ticket: Ticket, _ invocation: InvocationID, now: Timestamp) -> [Action] {
        guard let key = self.tickets.removeValue(forKey: ticket)?.key else { return [] }
        self.counters.fired += 1
        if var entry = self.entries[key], case .firing(let firing) = entry.phase, firing.ticket == ticket {
            entry.state = firing.following
            entry.state.last?.invocation = invocation
            entry.isStored = true
            entry.phase = .waiting
            self.entries[key] = entry
            self.actions.append(.keep(entry.state))
            self.settle(key, now: now)
        }
        return self.advance(to: now)
    }

    mutating func refused(_ ticket: Ticket, now: Timestamp) -> [Action] {
        guard let underWay = self.tickets.removeValue(forKey: ticket) else { return [] }
        let key = underWay.key
        self.counters.refused += 1
        if let entry = self.entries[key], case .firing(let firing) = entry.phase, firing.ticket == ticket {
            if entry.plan.isPaused {
                // It was not fired: it counts as missed once the trigger is resumed.
                self.settle(key, now: now)
            } else {
                self.retry(key, firing, refusals: underWay.refusals + 1, now: now)
            }
        }
        return self.advance(to: now)
    }

    private mutating func retry(_ key: ScheduleKey, _ firing: Firing, refusals: Int, now: Timestamp) {
        self.entries[key]?.phase = .retrying(firing, refusals: refusals)
        let doubled = Limits.Schedules.retry.microseconds << Int64(min(refusals - 1, 10))
        self.wake(key, at: now + min(TimeSpan(microseconds: doubled), Limits.Schedules.retryMax))
    }

    // MARK: deciding

    /// Makes a trigger wait for its next time, or for nothing.
    private mutating func settle(_ key: ScheduleKey, now: Timestamp) {
        guard var entry = self.entries[key] else { return }
        if entry.state.position > now + Limits.Schedules.clockBack {
            // It came so far by a clock that was far ahead.
            entry.state.position = now
            self.actions.append(.clockWentBack(key))
        }
        let next = entry.next
        entry.state.next = next
        guard let next, !entry.plan.isPaused else {
            entry.phase = .idle
            entry.version = 0
            self.entries[key] = entry
            return
        }
        entry.phase = .waiting
        self.entries[key] = entry
        self.wake(key, at: next)
    }

    private mutating func wake(_ key: ScheduleKey, at moment: Timestamp) {
        let version = self.nextVersion
        self.nextVersion += 1
        self.entries[key]?.version = version
        self.entries[key]?.wake = moment
        self.heap.insert(Due(at: moment, version: version, key: key))
        if self.heap.count > 2 * self.entries.count + Limits.Schedules.staleWakes { self.dropStale() }
    }

    /// Places of triggers that have another one since.
    private mutating func dropStale() {
        self.heap = BinaryHeap()
        for (key, entry) in self.entries where entry.version > 0 {
            self.heap.insert(Due(at: entry.wake, version: entry.version, key: key))
        }
    }

    private mutating func enqueue(_ key: ScheduleKey) {
        guard let entry = self.entries[key] else { return }
        // A refused one keeps what it was about to fire.
        if case .waiting = entry.phase { self.entries[key]?.phase = .queued }
        self.queue.append(key)
    }

    private mutating func fireQueued(now: Timestamp) {
        while self.tickets.count < Limits.Schedules.inFlight, let key = self.queue.popFirst() {
            guard let entry = self.entries[key] else { continue }
            switch entry.phase {
            case .queued: self.decide(key, entry, now: now)
            case .retrying(let firing, let refusals): self.fire(key, firing, refusals: refusals)
            // Paused or removed and made again meanwhile.
            case .idle, .waiting, .firing: continue
            }
        }
    }

    /// Fires what is due, or leaves it out when it is too late and the trigger wants that.
    private mutating func decide(_ key: ScheduleKey, _ entry: Entry, now: Timestamp) {
        guard let due = entry.next, due <= now else { return self.settle(key, now: now) }
        let isMissed = now - due > Limits.Schedules.grace
        switch (isMissed, entry.plan.missed) {
        case (false, _): self.fire(key, entry, due: due, missed: 0, madeUp: 0, now: now)
        case (true, .skip): self.skip(key, entry, from: due, now: now)
        case (true, .once):
            let last = entry.plan.clock.last(from: due, through: now)
            self.fire(
                key, entry, due: last, missed: self.count(entry, from: due, before: last).count, madeUp: 0, now: now)
        case (true, .all):
            guard entry.state.madeUp < Limits.Schedules.madeUp else {
                return self.skip(key, entry, from: due, now: now)
            }
            self.fire(key, entry, due: due, missed: 0, madeUp: entry.state.madeUp + 1, now: now)
        }
    }

    /// The times from one that is due on, before a moment.
    private func count(_ entry: Entry, from due: Timestamp, before end: Timestamp) -> (count: Int, isMore: Bool) {
        var count = 0
        var next: Timestamp? = due
        while let time = next, time < end {
            guard count < Limits.Schedules.counted else { return (count, true) }
            count += 1
            next = entry.plan.clock.next(after: time)
        }
        return (count, false)
    }

    private mutating func skip(_ key: ScheduleKey, _ entry: Entry, from due: Timestamp, now: Timestamp) {
        let edge = Timestamp(microseconds: now.microseconds - Limits.Schedules.grace.microseconds)
        let (count, isMore) = self.count(entry, from: due, before: edge)
        var state = entry.state
        state.position = entry.plan.clock.last(from: due, through: Timestamp(microseconds: edge.microseconds - 1))
        state.madeUp = 0
        state.skipped += Int64(count)
        self.counters.skipped += Int64(count)
        state.next = entry.plan.clock.next(after: state.position)
        self.entries[key]?.state = state
        self.entries[key]?.isStored = true
        self.actions.append(.keep(state))
        self.actions.append(.skipped(key, count: count, isMore: isMore))
        // What is left may be due already, and in time: it is looked at before this call ends.
        self.settle(key, now: now)
    }

    private mutating func fire(
        _ key: ScheduleKey, _ entry: Entry, due: Timestamp, missed: Int, madeUp: Int, now: Timestamp
    ) {
        var following = entry.state
        following.position = due
        following.next = entry.plan.clock.next(after: due)
        following.last = ScheduleState.Last(due: due, fired: now, invocation: nil)
        following.madeUp = madeUp
        following.fired += 1
        following.skipped += Int64(missed)
        self.counters.skipped += Int64(missed)
        self.fire(key, Firing(ticket: 0, key: key, due: due, missed: missed, following: following), refusals: 0)
    }

    private mutating func fire(_ key: ScheduleKey, _ firing: Firing, refusals: Int) {
        var firing = firing
        firing.ticket = self.nextTicket
        self.nextTicket += 1
        self.tickets[firing.ticket] = UnderWay(key: key, refusals: refusals)
        self.entries[key]?.phase = .firing(firing)
        self.actions.append(.fire(firing))
    }
}
