public import ApusCore

extension IdleGaps.Seen {
    /// What keeping for a fixed time would have come to.
    public struct Kept: Sendable, Hashable {
        /// Microseconds without anything to do.
        public var idle: Int64 = 0
        /// Uses that would have waited for a start, and those that would not.
        public var cold: Int64 = 0
        public var warm: Int64 = 0

        public init() {}

        public static func += (left: inout Kept, right: Kept) {
            left.idle += right.idle
            left.cold += right.cold
            left.warm += right.warm
        }
    }

    /// Exact but for the gaps about as long as `span`, to a 4 % of their length: of those, the mean of each bucket decides.
    public func kept(for span: TimeSpan) -> Kept {
        var kept = Kept()
        kept.cold = self.first
        for count in self.buckets.values where count.count > 0 {
            if count.span / count.count <= span.microseconds {
                kept.idle += count.span
                kept.warm += count.count
            } else {
                kept.idle += count.count * span.microseconds
                kept.cold += count.count
            }
        }
        return kept
    }
}
