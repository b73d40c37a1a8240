internal import ApusManifest

/// How the clocks of a time zone stand, at any moment. Moments are seconds since 1970-01-01 UTC, offsets seconds east
/// of UTC.
struct TimeZoneRules: Sendable, Equatable {
    /// A time between two changes of the offset.
    struct Segment: Sendable, Equatable {
        /// `Int64.min` for the first.
        var start: Int64
        /// The next change; `Int64.max` for the last.
        var end: Int64
        var offset: Int64
    }

    /// Before the first change.
    let first: Int64
    /// In order, each another offset than the one before.
    let changes: [Change]
    /// What holds after the last change.
    let rule: PosixZone?

    struct Change: Sendable, Equatable {
        var at: Int64
        var offset: Int64
    }

    static let utc = TimeZoneRules(first: 0, changes: [], rule: nil)

    init(first: Int64, changes: [Change], rule: PosixZone?) {
        self.first = first
        self.changes = Self.distinct(changes, after: first)
        self.rule = rule
    }

    private static func distinct(_ changes: [Change], after first: Int64) -> [Change] {
        var kept: [Change] = []
        for change in changes {
            // Of several at one moment the last holds.
            if kept.last?.at == change.at { kept.removeLast() }
            if (kept.last?.offset ?? first) != change.offset { kept.append(change) }
        }
        return kept
    }

    func offset(at moment: Int64) -> Int64 { self.segment(at: moment).offset }

    func segment(at moment: Int64) -> Segment {
        var low = 0
        var high = self.changes.count
        while low < high {
            let middle = (low + high) / 2
            if self.changes[middle].at <= moment { low = middle + 1 } else { high = middle }
        }
        if low < self.changes.count || self.rule == nil {
            return Segment(
                start: low == 0 ? .min : self.changes[low - 1].at,
                end: low < self.changes.count ? self.changes[low].at : .max,
                offset: low == 0 ? self.first : self.changes[low - 1].offset)
        }
        return self.segmentByRule(at: moment)
    }

    /// After the file's last change: the rule's changes of the years around.
    private func segmentByRule(at moment: Int64) -> Segment {
        let last = self.changes.last
        var segment = Segment(start: last?.at ?? .min, end: .max, offset: last?.offset ?? self.first)
        guard let rule else { return segment }
        if rule.daylight == nil, rule.standard != segment.offset { segment.offset = rule.standard }
        let year = CivilTime(seconds: moment).date.year
        let around = ((year - 1)...(year + 2)).flatMap { rule.changes($0) }.filter { $0.at > segment.start }
        let changes = Self.distinct(around.map { Change(at: $0.at, offset: $0.offset) }, after: segment.offset)
        for change in changes {
            if change.at > moment {
                segment.end = change.at
                break
            }
            segment.start = change.at
            segment.offset = change.offset
        }
        return segment
    }

    /// The moment at which the clock shows `local`: the first of two where it is set back over it, the end of the gap
    /// where it is
    /// set forward over it.
    func moment(ofLocal local: Int64) -> Int64 {
        // No clock is more than 26 hours from UTC, so that this segment does not end after `local`.
        var segment = self.segment(at: local - 26 * 3_600 - 1)
        while segment.end != .max, segment.end + segment.offset <= local { segment = self.segment(at: segment.end) }
        return max(local - segment.offset, segment.start)
    }
}
