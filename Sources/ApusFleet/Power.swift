internal import ApusEngine

enum Power {
    static func of(_ base: Double, _ exponent: Double) -> Double { Self.exponential(exponent * Self.logarithm(base)) }
    static func logarithm(_ value: Double) -> Double { Logarithm.of(value) }
    static func exponential(_ value: Double) -> Double { Logarithm.exponential(value) }
}
