/// How often a caller may call, how many calls of it may be in progress, how many a day there may be, and what those of a day may cost; what
/// is nil has no bound.
public struct CallBounds: Sendable, Equatable {
    public var callsPerMinute: Int64?
    public var concurrent: Int64?
    public var callsPerDay: Int64?
    public var budgetPerDay: Money?

    public init(
        callsPerMinute: Int64? = nil, concurrent: Int64? = nil, callsPerDay: Int64? = nil, budgetPerDay: Money? = nil
    ) {
        self.callsPerMinute = callsPerMinute
        self.concurrent = concurrent
        self.callsPerDay = callsPerDay
        self.budgetPerDay = budgetPerDay
    }

    /// The tighter one of each.
    public func with(_ other: CallBounds) -> CallBounds {
        func least<Bound: Comparable>(_ left: Bound?, _ right: Bound?) -> Bound? {
            guard let left, let right else { return left ?? right }
            return min(left, right)
        }
        return CallBounds(
            callsPerMinute: least(self.callsPerMinute, other.callsPerMinute),
            concurrent: least(self.concurrent, other.concurrent),
            callsPerDay: least(self.callsPerDay, other.callsPerDay),
            budgetPerDay: least(self.budgetPerDay, other.budgetPerDay))
    }
}
