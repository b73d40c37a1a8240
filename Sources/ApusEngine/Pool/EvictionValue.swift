public import ApusCore

/// What keeping an idle instance on its device is worth: the seconds of waiting that it spares in each second, for each byte
/// that it holds. The lowest leaves first.
public struct EvictionValue: Sendable, Hashable, Comparable {
    public var perByte: Double

    /// - Parameters:
    ///   - rate: uses per second, decayed.
    ///   - reload: how long it takes to bring it back from where it would fall to.
    ///   - weight: the function's `scale.weight`.
    public init(rate: Double, reload: TimeSpan, weight: Double, bytes: Int64) {
        self.perByte = rate * Double(reload.microseconds) * 1e-6 * weight / Double(max(1, bytes))
    }

    public static func < (left: EvictionValue, right: EvictionValue) -> Bool { left.perByte < right.perByte }
}

/// How often something is used, where what is long ago counts less.
public struct DecayedRate: Sendable, Hashable {
    private var sum = 0.0
    private var at = Timestamp.zero

    public init() {}

    public mutating func count(_ uses: Int = 1, now: Timestamp) {
        self.sum = self.sum * Self.decay(now - self.at) + Double(uses)
        self.at = now
    }

    /// Uses per second.
    public func rate(now: Timestamp) -> Double {
        // The weights of a steady stream of one use a second sum up to the half-life by the logarithm of two.
        self.sum * Self.decay(now - self.at) * 0.693_147 / (Double(Limits.Pool.rateHalfLife.microseconds) * 1e-6)
    }

    private static func decay(_ age: TimeSpan) -> Double {
        let halves = Double(max(0, age.microseconds)) / Double(Limits.Pool.rateHalfLife.microseconds)
        guard halves < 60 else { return 0 }
        return Logarithm.exponential(-halves * 0.693_147_180_559_945_3)
    }
}
