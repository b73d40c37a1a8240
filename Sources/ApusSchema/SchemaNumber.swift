/// A number of a schema or of a checked value, compared and divided exactly.
enum SchemaNumber: Sendable {
    case integer(Int64)
    /// Only above `Int64.max`.
    case unsigned(UInt64)
    case double(Double)

    /// The same number as an integer where it is one; the hash and the equality of numbers rest on this form.
    var normal: SchemaNumber {
        guard case .double(let value) = self else { return self }
        if let integer = Int64(exactly: value) { return .integer(integer) }
        if let unsigned = UInt64(exactly: value) { return .unsigned(unsigned) }
        return self
    }

    /// 1.0 is an integer to JSON Schema, and so is 1e300.
    var isIntegral: Bool {
        guard case .double(let value) = self else { return true }
        return value.rounded(.towardZero) == value
    }

    static func == (left: SchemaNumber, right: SchemaNumber) -> Bool {
        switch (left.normal, right.normal) {
        case (.integer(let left), .integer(let right)): left == right
        case (.unsigned(let left), .unsigned(let right)): left == right
        case (.double(let left), .double(let right)): left == right
        default: false
        }
    }

    static func < (left: SchemaNumber, right: SchemaNumber) -> Bool {
        switch (left, right) {
        case (.integer(let left), .integer(let right)): left < right
        case (.unsigned(let left), .unsigned(let right)): left < right
        case (.double(let left), .double(let right)): left < right
        case (.integer, .unsigned): true
        case (.unsigned, .integer): false
        case (.integer(let left), .double(let right)): Self.isLess(left, right)
        case (.unsigned(let left), .double(let right)): Self.isLess(left, right)
        case (.double(let left), .integer(let right)): left < Double(right) || Self.isLess(left, right)
        case (.double(let left), .unsigned(let right)): left < Double(right) || Self.isLess(left, right)
        }
    }

    /// An integer of 64 bits rounds when it becomes a `Double`: what is equal after that is compared as integers.
    private static func isLess<Whole: FixedWidthInteger>(_ left: Whole, _ right: Double) -> Bool {
        let rounded = Double(left)
        guard rounded == right else { return rounded < right }
        guard let exact = Whole(exactly: right) else { return right > 0 }
        return left < exact
    }

    private static func isLess<Whole: FixedWidthInteger>(_ left: Double, _ right: Whole) -> Bool {
        guard left == Double(right) else { return false }
        guard let exact = Whole(exactly: left) else { return left < 0 }
        return exact < right
    }

    /// Whether this is a whole number of times `divisor`, by the decimals that both are written as: 0.3 is three times 0.1.
    func isMultiple(of divisor: SchemaNumber) -> Bool {
        if case .integer(let value) = self.normal, case .integer(let step) = divisor.normal {
            return step != 0 && value.magnitude % step.magnitude == 0
        }
        return self.decimal.isMultiple(of: divisor.decimal)
    }

    private var decimal: ShortDecimal {
        switch self.normal {
        case .integer(let value): ShortDecimal(digits: value.magnitude, exponent: 0)
        case .unsigned(let value): ShortDecimal(digits: value, exponent: 0)
        case .double(let value): ShortDecimal(value)
        }
    }

    var text: String {
        switch self.normal {
        case .integer(let value): "\(value)"
        case .unsigned(let value): "\(value)"
        case .double(let value): "\(value)"
        }
    }
}

/// A decimal without its sign: digits times a power of ten. Every `Double` has a shortest one of at most 17 digits.
private struct ShortDecimal {
    var digits: UInt64
    var exponent: Int

    init(digits: UInt64, exponent: Int) {
        self.digits = digits
        self.exponent = exponent
        while self.digits != 0 && self.digits % 10 == 0 {
            self.digits /= 10
            self.exponent += 1
        }
    }

    /// Reads the shortest text that gives the same `Double`: `0.1`, `1e-07`, `1.5e+300`.
    init(_ value: Double) {
        var digits: UInt64 = 0
        var exponent = 0
        var written = 0
        var isPastPoint = false
        var isNegative = false
        var isInExponent = false
        for byte in value.magnitude.description.utf8 {
            switch byte {
            case UInt8(ascii: "."): isPastPoint = true
            case UInt8(ascii: "e"): isInExponent = true
            case UInt8(ascii: "-"): isNegative = true
            case UInt8(ascii: "0")...UInt8(ascii: "9"):
                let digit = byte - UInt8(ascii: "0")
                if isInExponent {
                    written = written * 10 + Int(digit)
                } else {
                    digits = digits &* 10 &+ UInt64(digit)
                    if isPastPoint { exponent -= 1 }
                }
            default: break
            }
        }
        self.init(digits: digits, exponent: exponent + (isNegative ? -written : written))
    }

    /// Exact for every exponent: the power of ten is taken modulo the divisor's digits, in as many steps as it has bits.
    func isMultiple(of divisor: ShortDecimal) -> Bool {
        guard divisor.digits != 0 else { return false }
        guard self.digits != 0 else { return true }
        let shift = self.exponent - divisor.exponent
        guard shift < 0 else {
            return Self.product(self.digits, Self.power(of: shift, modulo: divisor.digits), divisor.digits) == 0
        }
        var step = divisor.digits
        for _ in 0..<(-shift) {
            let (next, overflow) = step.multipliedReportingOverflow(by: 10)
            // A step beyond 64 bits is larger than the digits, which are not zero.
            guard !overflow else { return false }
            step = next
        }
        return self.digits % step == 0
    }

    private static func power(of exponent: Int, modulo: UInt64) -> UInt64 {
        var result = 1 % modulo
        var base = 10 % modulo
        var rest = exponent
        while rest > 0 {
            if rest & 1 == 1 { result = Self.product(result, base, modulo) }
            base = Self.product(base, base, modulo)
            rest >>= 1
        }
        return result
    }

    private static func product(_ left: UInt64, _ right: UInt64, _ modulo: UInt64) -> UInt64 {
        let (high, low) = (left % modulo).multipliedFullWidth(by: right % modulo)
        return modulo.dividingFullWidth((high, low)).remainder
    }
}
