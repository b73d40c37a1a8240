/// A moment, in microseconds since 1970-01-01 UTC.
///
/// Machines take it as a parameter and never read a clock. The server's clock never runs backwards within one run:
/// it is the wall time of the start plus what the monotonic clock counted since.
public struct Timestamp: Sendable, Hashable, Comparable {
    public var microseconds: Int64

    public init(microseconds: Int64) { self.microseconds = microseconds }
    public init(milliseconds: Int64) { self.microseconds = milliseconds * 1_000 }

    public static let zero = Timestamp(microseconds: 0)
    public static let distantFuture = Timestamp(microseconds: .max)

    public var milliseconds: Int64 { self.microseconds / 1_000 }

    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.microseconds < right.microseconds }
    public static func + (left: Timestamp, right: TimeSpan) -> Timestamp {
        let (sum, isOver) = left.microseconds.addingReportingOverflow(right.microseconds)
        return Timestamp(microseconds: isOver ? .max : sum)
    }
    public static func - (left: Timestamp, right: Timestamp) -> TimeSpan {
        TimeSpan(microseconds: left.microseconds - right.microseconds)
    }
}

/// A length of time in microseconds.
public struct TimeSpan: Sendable, Hashable, Comparable, CustomStringConvertible {
    public var microseconds: Int64

    public init(microseconds: Int64) { self.microseconds = microseconds }

    public static let zero = TimeSpan(microseconds: 0)
    public static func microseconds(_ count: Int64) -> TimeSpan { TimeSpan(microseconds: count) }
    public static func milliseconds(_ count: Int64) -> TimeSpan { TimeSpan(microseconds: count * 1_000) }
    public static func seconds(_ count: Int64) -> TimeSpan { TimeSpan(microseconds: count * 1_000_000) }

    /// Whole seconds that cover it, at least one: what the header `Retry-After` takes, and people are told of a wait.
    public var retrySeconds: Int64 { max(1, (self.microseconds + 999_999) / 1_000_000) }
    public var milliseconds: Int64 { self.microseconds / 1_000 }

    public static func < (left: TimeSpan, right: TimeSpan) -> Bool { left.microseconds < right.microseconds }

    /// The largest unit that keeps the number whole, as manifests write it: `200ms`, `30s`, `5m`, `4h`, `7d`.
    public var description: String {
        let units: [(Int64, String)] = [
            (86_400_000_000, "d"), (3_600_000_000, "h"), (60_000_000, "m"), (1_000_000, "s"), (1_000, "ms"),
        ]
        for (size, name) in units where self.microseconds != 0 && self.microseconds % size == 0 {
            return "\(self.microseconds / size)\(name)"
        }
        return self.microseconds == 0 ? "0s" : "\(self.microseconds)us"
    }
}
