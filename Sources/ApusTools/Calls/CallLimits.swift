public import ApusCore

/// Who may call now and who has to wait, by bounds that each caller brings along: how often, how many at once, how many a day.
/// A machine.
///
/// Calls in a minute are spaced, with a second's worth let in at once: a caller that keeps its bound is never refused, whatever it
/// did in the minute before. Days are those of UTC.
public struct CallLimits: Sendable {
    public enum Bound: String, Sendable, Equatable { case callsPerMinute, concurrent, callsPerDay }

    public struct Refusal: Sendable, Equatable {
        public var bound: Bound
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
    }

    private var callers: [String: Caller] = [:]
    private let callersMax: Int

    public init(callersMax: Int = Limits.Tools.limitedCallers) { self.callersMax = callersMax }

    public mutating func begin(_ name: String, _ bounds: CallBounds, now: Timestamp) -> Verdict {
        // Calls without bounds are counted too: a bound may come while they run.
        if self.callers.count >= self.callersMax, self.callers[name] == nil { self.forget(now) }
        var caller = self.callers[name] ?? Caller()
        let day = now.milliseconds / Self.dayMilliseconds
        if caller.day != day { (caller.day, caller.today) = (day, 0) }
        if let refusal = Self.refusal(caller, bounds, now) { return .refused(refusal) }
        caller.running += 1
        caller.today += 1
        if let limit = bounds.callsPerMinute { caller.due = max(caller.due, now) + Self.spacing(limit) }
        self.callers[name] = caller
        return .admitted
    }

    /// A call that was admitted has ended.
    public mutating func end(_ name: String) {
        guard var caller = self.callers[name], caller.running > 0 else { return }
        caller.running -= 1
        self.callers[name] = caller
    }

    private static let dayMilliseconds: Int64 = 86_400_000

    private static func refusal(_ caller: Caller, _ bounds: CallBounds, _ now: Timestamp) -> Refusal? {
        if let limit = bounds.callsPerDay, caller.today >= limit {
            let left = Self.dayMilliseconds - now.milliseconds % Self.dayMilliseconds
            return Refusal(bound: .callsPerDay, limit: limit, retryAfter: .milliseconds(left))
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
        if let limit = bounds.concurrent, caller.running >= limit {
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
