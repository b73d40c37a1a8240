public import ApusCore

/// How long workers or instances of one function had nothing to do between two uses: what any fixed time of keeping them would have
/// cost is computed from this alone.
///
/// A gap goes on when its worker is stopped meanwhile: the next start for demand ends the latest gap that is open. So the gaps that
/// are seen do not depend on how long workers were really kept.
public struct IdleGaps: Sendable {
    /// Gaps of one length.
    public struct Count: Sendable, Hashable {
        public var count: Int64 = 0
        /// Microseconds, all together.
        public var span: Int64 = 0

        public init(count: Int64 = 0, span: Int64 = 0) {
            self.count = count
            self.span = span
        }

        public static func += (left: inout Count, right: Count) {
            left.count += right.count
            left.span += right.span
        }
    }

    /// What was seen since the last look.
    public struct Seen: Sendable, Hashable {
        /// Uses that no earlier one of the same function's workers came before.
        public var first: Int64 = 0
        /// By ``IdleGaps/bucket(of:)``.
        public var buckets: [Int: Count] = [:]

        public init() {}

        public var isEmpty: Bool { self.first == 0 && self.buckets.isEmpty }

        public static func += (left: inout Seen, right: Seen) {
            left.first += right.first
            for (bucket, count) in right.buckets { left.buckets[bucket, default: Count()] += count }
        }
    }

    /// Since when those that were stopped had had nothing to do, the latest last.
    private var open: [Timestamp] = []
    private var short = Count()
    private var seen = Seen()

    public init() {}

    /// A worker that was idle is used.
    @inline(__always)
    public mutating func used(idleSince: Timestamp, now: Timestamp) {
        let span = now.microseconds - idleSince.microseconds
        if span < Limits.Usage.shortGap.microseconds {
            self.short.count += 1
            self.short.span += max(0, span)
        } else {
            self.add(span)
        }
    }

    /// A worker that had nothing to do is gone.
    public mutating func stopped(idleSince: Timestamp) {
        if self.open.count == Limits.Usage.openGaps { self.open.removeFirst() }
        self.open.append(idleSince)
    }

    /// A worker is used for the first time: it was started because work waited.
    public mutating func started(now: Timestamp) {
        guard let since = self.open.popLast() else {
            self.seen.first += 1
            return
        }
        self.used(idleSince: since, now: now)
    }

    public mutating func take() -> Seen {
        if self.short.count > 0 { self.seen.buckets[0, default: Count()] += self.short }
        self.short = Count()
        defer { self.seen = Seen() }
        return self.seen
    }

    private mutating func add(_ span: Int64) {
        self.seen.buckets[Self.bucket(of: span), default: Count()] += Count(count: 1, span: span)
    }

    /// Bucket 0 is everything under a second; above it each is wider than the one before by a sixteenth of an octave, about 4 %.
    public static func bucket(of span: Int64) -> Int {
        let shortest = Limits.Usage.shortGap.microseconds
        guard span >= shortest else { return 0 }
        let ratio = UInt64(span / shortest)
        let octave = UInt64.bitWidth - 1 - ratio.leadingZeroBitCount
        let base = shortest << Int64(octave)
        let part = (span - base) * Self.parts / base
        return 1 + octave * Int(Self.parts) + Int(min(part, Self.parts - 1))
    }

    private static let parts: Int64 = 16
}

extension Limits {
    /// Bounds of what is counted for `apus cost`.
    public enum Usage {
        /// Gaps below it are one: nobody stops a worker for so little.
        public static let shortGap: TimeSpan = .seconds(1)
        /// Gaps of one function whose worker was stopped and that no use has ended yet; the oldest goes first.
        public static let openGaps = 256
    }
}
