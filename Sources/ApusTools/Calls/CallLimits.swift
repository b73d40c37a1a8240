public import ApusCore

/// Who may call now and who has to wait, by bounds that each caller brings along: how often, how many at once, how many a day, and what the
/// calls of a day may cost. A machine.
///
/// Calls in a minute are spaced, with a second's worth let in at once: a caller that keeps its bound is never refused, whatever it
/// did in the minute before. Days are those of UTC. What a call costs is known when it is over: a
/// budget lets calls begin until it is used up, and the last of them may cost more than was left.
///
/// What other servers let the same caller do counts as well, once they have said it: ``news(now:isShared:max:)`` is what this one says,
/// ``heard(_:from:_:now:)`` what it hears.
public struct CallLimits: Sendable {
    public enum Bound: String, Sendable, Equatable { case callsPerMinute, concurrent, callsPerDay, budgetPerDay }

    public struct Refusal: Sendable, Equatable {
        public var bound: Bound
        /// Of a budget in billionths.
        public var limit: Int64
        /// When it is worth trying again.
        public var retryAfter: TimeSpan

        public init(bound: Bound, limit: Int64, retryAfter: TimeSpan) {
            self.bound = bound
            self.limit = limit
            self.retryAfter = retryAfter
        }
    }

    public enum Verdict: Sendable, Equatable {
        /// Followed by one ``end(_:)``.
        case admitted
        case refused(Refusal)
    }

    private struct Caller {
        var running: Int64 = 0
        /// When the next call is due if calls came evenly spaced.
        var due = Timestamp.zero
        var day: Int64 = 0
        var today: Int64 = 0
        /// What its calls of the day cost.
        var spent = Money.zero
        /// As they were at its last call here; nil where it did not call here.
        var bounds: CallBounds?
        /// What was said of it last, and when.
        var told: CallCount?
        var toldAt = Timestamp.zero
        var others: [String: Other] = [:]

        var count: CallCount { CallCount(day: self.day, today: self.today, running: self.running, spent: self.spent) }

        /// Others, or a later life of this server, must know what it does.
        var isBounded: Bool { self.bounds != CallBounds() }

        mutating func turn(to day: Int64) {
            if self.day != day { (self.day, self.today, self.spent) = (day, 0, .zero) }
        }

        /// What it did counts until the day is over, also after a restart.
        var isCountedByDay: Bool {
            guard let bounds = self.bounds else { return true }
            return bounds.callsPerDay != nil || bounds.budgetPerDay != nil
        }

        var todayAnywhere: Int64 {
            self.others.values.reduce(self.today) { $0 + ($1.count.day == self.day ? $1.count.today : 0) }
        }

        var spentAnywhere: Money {
            self.others.values.reduce(self.spent) { $1.count.day == self.day ? $0 + $1.count.spent : $0 }
        }

        /// A server that says nothing any more is taken to run nothing.
        func runningAnywhere(_ now: Timestamp) -> Int64 {
            self.others.values.reduce(self.running) {
                $0 + (now < $1.heardAt + Limits.Tools.countBelieved ? $1.count.running : 0)
            }
        }
    }

    private struct Other {
        var count: CallCount
        var heardAt: Timestamp
    }

    private var callers: [String: Caller] = [:]
    /// Those of whom there may be something to say.
    private var changed: Set<String> = []
    private let callersMax: Int

    public init(callersMax: Int = Limits.Tools.limitedCallers) { self.callersMax = callersMax }

    public mutating func begin(_ name: String, _ bounds: CallBounds, now: Timestamp) -> Verdict {
        // Calls without bounds are counted too: a bound may come while they run.
        if self.callers.count >= self.callersMax, self.callers[name] == nil { self.forget(now) }
        var caller = self.callers[name] ?? Caller()
        let day = now.milliseconds / Self.dayMilliseconds
        caller.turn(to: day)
        caller.bounds = bounds
        if let refusal = Self.refusal(caller, bounds, now) { return .refused(refusal) }
        caller.running += 1
        caller.today += 1
        if let limit = bounds.callsPerMinute { caller.due = max(caller.due, now) + Self.spacing(limit) }
        self.callers[name] = caller
        if bounds != CallBounds() { self.changed.insert(name) }
        return .admitted
    }

    /// A call that was admitted has ended.
    public mutating func end(_ name: String) {
        guard var caller = self.callers[name], caller.running > 0 else { return }
        caller.running -= 1
        self.callers[name] = caller
        if caller.isBounded { self.changed.insert(name) }
    }

    /// A call of this caller cost so much; it may have been admitted by another server.
    public mutating func charge(_ name: String, _ cost: Money, now: Timestamp) {
        guard cost > .zero, self.makeRoom(for: name, now) else { return }
        var caller = self.callers[name] ?? Caller()
        caller.turn(to: now.milliseconds / Self.dayMilliseconds)
        caller.spent = caller.spent + cost
        self.callers[name] = caller
        if caller.isBounded { self.changed.insert(name) }
    }

    // MARK: what other servers, and later lives of this one, must know

    /// - Parameters:
    ///   - isShared: other servers count the same callers. To oneself only what lasts a day is worth saying.
    ///   - max: how many callers; the others come the next time.
    /// - Returns: of whom there is something new to say.
    public mutating func news(now: Timestamp, isShared: Bool, max: Int) -> [(name: String, count: CallCount)] {
        var news: [(name: String, count: CallCount)] = []
        for name in self.changed {
            guard news.count < max else { break }
            guard var caller = self.callers[name], isShared || caller.isCountedByDay else {
                self.changed.remove(name)
                continue
            }
            let count = caller.count
            // Whoever still runs is said so again, before that is no longer believed.
            let isDue = isShared && caller.running > 0 && now >= caller.toldAt + Limits.Tools.countRepeated
            if caller.told != count || isDue {
                (caller.told, caller.toldAt) = (count, now)
                self.callers[name] = caller
                news.append((name, count))
            }
            if caller.running == 0 || !isShared { self.changed.remove(name) }
        }
        return news
    }

    /// What was to be said of these could not be.
    public mutating func untold(_ names: [String]) {
        for name in names where self.callers[name] != nil {
            self.callers[name]?.told = nil
            self.changed.insert(name)
        }
    }

    /// - Returns: callers of whom only what they did on earlier days was said: that can be forgotten.
    public mutating func outdated(now: Timestamp) -> [String] {
        let day = now.milliseconds / Self.dayMilliseconds
        let names = self.callers.filter { $0.value.running == 0 && ($0.value.told.map { $0.day < day } ?? false) }
        for name in names.keys { self.callers[name]?.told = nil }
        return Array(names.keys)
    }

    /// Another server says what it let a caller do.
    public mutating func heard(_ name: String, from node: String, _ count: CallCount, now: Timestamp) {
        guard self.makeRoom(for: name, now) else { return }
        var caller = self.callers[name] ?? Caller()
        let before = caller.others[node]?.count
        let more = count.today - (before?.day == count.day ? before?.today ?? 0 : 0)
        if more > 0, let limit = caller.bounds?.callsPerMinute {
            caller.due = max(caller.due, now) + TimeSpan(microseconds: Self.spacing(limit).microseconds * more)
        }
        caller.others = caller.others.filter { $0.value.count.day == count.day || $0.value.count.running > 0 }
        caller.others[node] = Other(count: count, heardAt: now)
        self.callers[name] = caller
    }

    /// What was said before this server began: by another one, or by itself, whose calls have ended since.
    /// - Parameter node: nil for this server.
    public mutating func restore(_ name: String, of node: String?, _ count: CallCount, now: Timestamp) {
        guard self.makeRoom(for: name, now) else { return }
        var caller = self.callers[name] ?? Caller()
        if let node {
            caller.others[node] = Other(count: count, heardAt: now)
        } else {
            (caller.day, caller.today, caller.spent, caller.told) = (count.day, count.today, count.spent, count)
        }
        self.callers[name] = caller
    }

    private mutating func makeRoom(for name: String, _ now: Timestamp) -> Bool {
        if self.callers.count >= self.callersMax, self.callers[name] == nil { self.forget(now) }
        return self.callers.count < self.callersMax || self.callers[name] != nil
    }

    private static let dayMilliseconds: Int64 = 86_400_000

    private static func refusal(_ caller: Caller, _ bounds: CallBounds, _ now: Timestamp) -> Refusal? {
        if let limit = bounds.callsPerDay, caller.todayAnywhere >= limit {
            let left = Self.dayMilliseconds - now.milliseconds % Self.dayMilliseconds
            return Refusal(bound: .callsPerDay, limit: limit, retryAfter: .milliseconds(left))
        }
        if let limit = bounds.budgetPerDay, caller.spentAnywhere >= limit {
            let left = Self.dayMilliseconds - now.milliseconds % Self.dayMilliseconds
            return Refusal(bound: .budgetPerDay, limit: limit.billionths, retryAfter: .milliseconds(left))
        }
        if let limit = bounds.callsPerMinute {
            let spacing = Self.spacing(limit)
            let ahead = max(spacing, TimeSpan.seconds(1))
            // The call itself is part of what may be ahead.
            let earliest = caller.due + TimeSpan(microseconds: spacing.microseconds - ahead.microseconds)
            if now < earliest {
                return Refusal(bound: .callsPerMinute, limit: limit, retryAfter: earliest - now)
            }
        }
        if let limit = bounds.concurrent, caller.runningAnywhere(now) >= limit {
            return Refusal(bound: .concurrent, limit: limit, retryAfter: .seconds(1))
        }
        return nil
    }

    private static func spacing(_ perMinute: Int64) -> TimeSpan {
        TimeSpan(microseconds: 60_000_000 / max(1, perMinute))
    }

    /// Those of whom nothing is known that could refuse a call go; when that frees nothing, those without a running call.
    private mutating func forget(_ now: Timestamp) {
        let day = now.milliseconds / Self.dayMilliseconds
        self.callers = self.callers.filter { $0.value.running > 0 || $0.value.due > now || $0.value.day == day }
        if self.callers.count >= self.callersMax { self.callers = self.callers.filter { $0.value.running > 0 } }
    }
}
