public import ApusCore

/// Counts of durations in buckets that double: bucket n holds what took at most 2^n microseconds and fits no smaller
/// one.
public struct LatencyHistogram: Sendable {
    public static let bucketCount = 40
    private var counts = InlineArray<40, UInt64>(repeating: 0)
    public private(set) var count: UInt64 = 0
    public private(set) var sum = TimeSpan.zero

    public init() {}

    public var buckets: [UInt64] { self.counts.indices.map { self.counts[$0] } }

    public mutating func record(_ span: TimeSpan) {
        let microseconds = max(span.microseconds, 0)
        let bucket = min(64 - UInt64(max(microseconds - 1, 0)).leadingZeroBitCount, Self.bucketCount - 1)
        self.counts[bucket] += 1
        self.count += 1
        self.sum.microseconds &+= microseconds
    }

    public mutating func add(_ other: LatencyHistogram) {
        for bucket in self.counts.indices { self.counts[bucket] += other.counts[bucket] }
        self.count += other.count
        self.sum.microseconds &+= other.sum.microseconds
    }

    /// The bound below which so many of a hundred lie, exact to a factor of two; nil while nothing was counted.
    public func percentile(_ percent: Double) -> TimeSpan? {
        guard self.count > 0 else { return nil }
        let rank = UInt64((Double(self.count) * percent / 100).rounded(.up))
        var seen: UInt64 = 0
        for bucket in self.counts.indices {
            seen += self.counts[bucket]
            if seen >= rank { return .microseconds(1 << Int64(bucket)) }
        }
        return .microseconds(1 << Int64(Self.bucketCount - 1))
    }
}
