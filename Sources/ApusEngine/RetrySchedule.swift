internal import ApusCore

/// How long a failed delivery waits: exponential backoff with equal jitter.
///
/// The delay after attempt `n` lies between a half and the whole of `initial * 2^(n-1)`, never above `max`. Half of it
/// is fixed, so that a retry is never immediate; the other half is chance, so that deliveries that failed together do
/// not return together.
struct RetrySchedule {
    var plan: RetryPlan

    /// Whether a delivery with that many failed attempts is used up.
    func isExhausted(attempts: Int) -> Bool { self.plan.attempts > 0 && attempts >= self.plan.attempts }

    /// Whether an event is too old for an attempt that begins then. One whose age nobody knows never is.
    func isTooOld(_ appended: Timestamp, at due: Timestamp) -> Bool {
        guard let maxAge = self.plan.maxAge, appended != .zero else { return false }
        return due > appended + maxAge
    }

    /// The bounds of the delay after that many attempts.
    func bounds(attempts: Int) -> ClosedRange<Int64> {
        let ceiling = Swift.max(0, self.plan.max.microseconds)
        let initial = Swift.max(0, self.plan.initial.microseconds)
        let (product, isOver) = initial.multipliedReportingOverflow(
            by: Int64(1) << Int64(Swift.min(Swift.max(attempts - 1, 0), 40)))
        let whole = Swift.min(isOver ? ceiling : product, ceiling)
        return whole / 2...whole
    }

    func delay(attempts: Int, using generator: inout SeededGenerator) -> TimeSpan {
        TimeSpan(microseconds: Int64.random(in: self.bounds(attempts: attempts), using: &generator))
    }
}
