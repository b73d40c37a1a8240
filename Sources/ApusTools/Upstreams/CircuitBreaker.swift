public import ApusCore

/// Keeps calls from a backend that does not answer: after some failures in a row they are refused at once, until one that is let through
/// shows that it is back. No clock of its own.
public struct CircuitBreaker: Sendable, Equatable {
    public enum State: Sendable, Equatable {
        /// Calls pass. To `open` after ``Limits/Tools/breakerFailures`` failures in a row.
        case closed(failures: Int)
        /// Calls are refused until a moment, then one may try. To `trying`.
        case open(until: Timestamp, after: TimeSpan)
        /// One call is on its way, the others are refused until it may be taken for lost. To `closed` or `open`.
        case trying(until: Timestamp, after: TimeSpan)
    }

    public enum Admission: Sendable, Equatable {
        case pass
        case refused(retryAfter: TimeSpan)
    }

    public private(set) var state = State.closed(failures: 0)

    public init() {}

    /// Whether a call may be made now. One that may must be followed by ``succeeded()`` or ``failed(now:)``, or ``left()`` where its caller
    /// gave it up.
    public mutating func admit(now: Timestamp) -> Admission {
        switch self.state {
        case .closed: return .pass
        case .open(let until, let after), .trying(let until, let after):
            guard now >= until else { return .refused(retryAfter: until - now) }
            self.state = .trying(until: now + Limits.Tools.breakerTrial, after: after)
            return .pass
        }
    }

    /// It answered, whatever it said.
    public mutating func succeeded() { self.state = .closed(failures: 0) }

    public mutating func failed(now: Timestamp) {
        switch self.state {
        case .closed(let failures):
            self.state =
                failures + 1 < Limits.Tools.breakerFailures
                ? .closed(failures: failures + 1)
                : .open(until: now + Limits.Tools.breakerFirst, after: Limits.Tools.breakerFirst)
        case .trying(_, let after):
            let longer = min(TimeSpan(microseconds: 2 * after.microseconds), Limits.Tools.breakerLongest)
            self.state = .open(until: now + longer, after: longer)
        // A call from before says nothing new.
        case .open: break
        }
    }

    /// Its caller gave it up: nothing is known, and the next may try at once.
    public mutating func left(now: Timestamp) {
        if case .trying(_, let after) = self.state { self.state = .open(until: now, after: after) }
    }
}
