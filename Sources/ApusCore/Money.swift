/// An amount of the currency in which prices are configured, whichever that is. Whole billionths, so that sums of the smallest calls are exact.
public struct Money: Sendable, Hashable, Comparable {
    public var billionths: Int64

    public static let zero = Money(billionths: 0)
    /// What a bound may say at most.
    public static let most = Money(billionths: 1_000_000_000 * Self.unit)

    private static let unit: Int64 = 1_000_000_000

    public init(billionths: Int64) { self.billionths = billionths }

    /// - Returns: nil for what is none, or more than ``most``.
    public init?(_ amount: Double) {
        guard amount >= 0, amount <= Double(Self.most.billionths / Self.unit) else { return nil }
        self.billionths = Int64((amount * Double(Self.unit)).rounded())
    }

    public var amount: Double { Double(self.billionths) / Double(Self.unit) }

    public static func < (left: Money, right: Money) -> Bool { left.billionths < right.billionths }

    /// What would be more than there is room for is as much as there is.
    public static func + (left: Money, right: Money) -> Money {
        let (sum, isOver) = left.billionths.addingReportingOverflow(right.billionths)
        return Money(billionths: isOver ? .max : sum)
    }

    /// Without an exponent and without zeroes that say nothing: `2.5`.
    public var text: String {
        let rest = self.billionths % Self.unit
        guard rest > 0 else { return "\(self.billionths / Self.unit)" }
        var digits = String(Self.unit + rest).dropFirst()
        while digits.last == "0" { digits.removeLast() }
        return "\(self.billionths / Self.unit).\(digits)"
    }
}
