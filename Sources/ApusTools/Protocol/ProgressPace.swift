public import ApusCore

/// Which reports of progress a client hears: only such as grow, and at most so many a second; the newest of those that came too fast is
/// told when its time has come. A machine.
public struct ProgressPace: Sendable {
    public struct Report: Sendable, Equatable {
        public var done: UInt64
        /// Nil where it is not known.
        public var total: UInt64?
        public var message: String

        public init(done: UInt64, total: UInt64?, message: String) {
            self.done = done
            self.total = total
            self.message = message
        }
    }

    public enum Action: Sendable, Equatable {
        case nothing
        case send(Report)
        /// ``due(now:)`` at that time.
        case wait(until: Timestamp)
    }

    private var last: UInt64?
    private var next = Timestamp.zero
    private var waiting: Report?

    public init() {}

    public mutating func report(_ report: Report, now: Timestamp) -> Action {
        // The protocol demands that it grows; what stands still is a message only and is not worth breaking that rule.
        guard report.done > self.waiting?.done ?? self.last ?? 0 || (self.last == nil && self.waiting == nil) else {
            return .nothing
        }
        guard now >= self.next else {
            let isFirst = self.waiting == nil
            self.waiting = report
            return isFirst ? .wait(until: self.next) : .nothing
        }
        return self.send(report, now)
    }

    public mutating func due(now: Timestamp) -> Action {
        guard let report = self.waiting else { return .nothing }
        guard now >= self.next else { return .wait(until: self.next) }
        self.waiting = nil
        return self.send(report, now)
    }

    /// What waits is told before the result.
    public mutating func end() -> Report? {
        defer { self.waiting = nil }
        return self.waiting
    }

    private mutating func send(_ report: Report, _ now: Timestamp) -> Action {
        self.last = report.done
        self.next = now + .milliseconds(Limits.Tools.progressMilliseconds)
        return .send(report)
    }
}
