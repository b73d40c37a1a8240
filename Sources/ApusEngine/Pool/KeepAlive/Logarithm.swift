/// The engine links no library of mathematics: a few digits are enough for a forecast, and the same everywhere.
package enum Logarithm {
    /// The natural logarithm of a positive, finite number, to about 1e-12.
    package static func of(_ value: Double) -> Double {
        precondition(value > 0 && value.isFinite, "a logarithm of \(value)")
        // The significand is in 1..<2; halved above the root of 2, so that the series converges fast.
        var (power, rest) = (Double(value.exponent), value.significand)
        if rest > 1.414_213_562_373_095 { (power, rest) = (power + 1, rest / 2) }
        let ratio = (rest - 1) / (rest + 1)
        let square = ratio * ratio
        var (sum, term) = (0.0, ratio)
        for divisor in stride(from: 1.0, through: 15, by: 2) {
            sum += term / divisor
            term *= square
        }
        return power * Self.two + 2 * sum
    }

    /// e to the power of a number, whose result must fit a Double.
    package static func exponential(_ value: Double) -> Double {
        let power = (value / Self.two).rounded()
        precondition(abs(power) < 1_000, "e to the power of \(value)")
        let rest = value - power * Self.two
        var (sum, term) = (1.0, 1.0)
        for divisor in stride(from: 1.0, through: 16, by: 1) {
            term *= rest / divisor
            sum += term
        }
        return Double(sign: .plus, exponent: Int(power), significand: sum)
    }

    private static let two = 0.693_147_180_559_945_3
}
