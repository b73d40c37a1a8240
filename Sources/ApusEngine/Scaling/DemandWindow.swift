internal import ApusCore

/// The most that was asked for within a stretch of time which ends now. Workers are stopped by it, so that demand which swings does not
/// swing them.
struct DemandWindow {
    private struct Peak {
        var value: Int
        /// When less was asked for.
        var until: Timestamp
    }

    /// Falling values at rising moments: no more of them than there are different values.
    private var peaks: [Peak] = []
    private(set) var current = 0

    mutating func record(_ value: Int, now: Timestamp) {
        guard value != self.current else { return }
        let covered = max(value, self.current)
        while let last = self.peaks.last, last.value <= covered { self.peaks.removeLast() }
        if value < self.current { self.peaks.append(Peak(value: self.current, until: now)) }
        self.current = value
    }

    mutating func maximum(over span: TimeSpan, now: Timestamp) -> Int {
        while let first = self.peaks.first, first.until + span <= now { self.peaks.removeFirst() }
        return max(self.current, self.peaks.first?.value ?? 0)
    }

    /// When the maximum falls, unless more is asked for; nil while nothing falls.
    func falls(over span: TimeSpan) -> Timestamp? { self.peaks.first.map { $0.until + span } }
}
