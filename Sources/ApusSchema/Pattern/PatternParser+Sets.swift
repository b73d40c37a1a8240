/// Escapes and classes.
extension PatternParser {
    /// What one escape or one place in a class stands for.
    private enum Item {
        case code(UInt32)
        case ranges([ClosedRange<UInt32>])
        case property(PatternProperty, isNegated: Bool)
    }

    /// An escape outside a class, from its backslash on.
    mutating func escape() throws(PatternError) -> PatternSet {
        switch try self.item(isInClass: false) {
        case .code(let code): PatternSet([code...code])
        case .ranges(let ranges): PatternSet(ranges)
        case .property(let property, let isNegated): PatternSet([], properties: [(property, isNegated)])
        }
    }

    /// `[…]` or `[^…]`.
    mutating func characterClass() throws(PatternError) -> PatternSet {
        _ = self.take("[")
        let isNegated = self.take("^")
        var ranges: [ClosedRange<UInt32>] = []
        var properties: [(property: PatternProperty, isNegated: Bool)] = []
        while !self.take("]") {
            guard self.next != nil else { throw self.failure("has a `[` without its `]`") }
            let first = try self.item(isInClass: true)
            if self.isNext("-"), !self.isNext("-]") {
                guard case .code(let low) = first else { throw self.failure("has a class as the end of a range") }
                _ = self.take("-")
                guard self.next != nil else { throw self.failure("has a `[` without its `]`") }
                guard case .code(let high) = try self.item(isInClass: true) else {
                    throw self.failure("has a class as the end of a range")
                }
                guard low <= high else { throw self.failure("has a range whose ends are swapped") }
                ranges.append(low...high)
                continue
            }
            switch first {
            case .code(let code): ranges.append(code...code)
            case .ranges(let several): ranges += several
            case .property(let property, let isNegated): properties.append((property, isNegated))
            }
        }
        return PatternSet(ranges, properties: properties, isNegated: isNegated)
    }

    private mutating func item(isInClass: Bool) throws(PatternError) -> Item {
        guard let code = self.next else { throw self.failure("ends too early") }
        self.at += 1
        guard code == UInt32(ascii: "\\") else { return .code(code) }
        guard let letter = self.next, let scalar = Unicode.Scalar(letter) else {
            throw self.failure("ends with a backslash")
        }
        self.at += 1
        switch scalar {
        case "d": return .ranges(PatternSet.digits)
        case "D": return .ranges(PatternSet.complement(PatternSet.digits))
        case "w": return .ranges(PatternSet.word)
        case "W": return .ranges(PatternSet.complement(PatternSet.word))
        case "s": return .ranges(PatternSet.space)
        case "S": return .ranges(PatternSet.complement(PatternSet.space))
        case "p", "P": return try self.property(isNegated: scalar == "P")
        case "t": return .code(0x09)
        case "n": return .code(0x0A)
        case "v": return .code(0x0B)
        case "f": return .code(0x0C)
        case "r": return .code(0x0D)
        case "b" where isInClass: return .code(0x08)
        case "c":
            guard let control = self.next, (0x41...0x5A).contains(control) || (0x61...0x7A).contains(control) else {
                throw self.failure("has `\\c` without a letter")
            }
            self.at += 1
            return .code(control & 0x1F)
        case "x": return .code(try self.hexadecimal(2))
        case "u": return .code(try self.unicodeEscape())
        case "0":
            if let digit = self.next, PatternSet.digits[0].contains(digit) { throw self.failure("has an octal escape") }
            return .code(0)
        case "1"..."9", "k":
            self.at -= 1
            throw self.failure("refers back to a group, which is not matched here")
        default:
            // Unicode mode knows only the signs of the syntax; other punctuation is harmless and common.
            guard scalar.isASCII, !scalar.properties.isAlphabetic else {
                self.at -= 1
                throw self.failure("has the escape `\\\(scalar)`, which ECMA-262 does not know")
            }
            return .code(letter)
        }
    }

    private mutating func hexadecimal(_ count: Int) throws(PatternError) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<count {
            guard let code = self.next, let scalar = Unicode.Scalar(code), scalar.isASCII,
                let digit = Character(scalar).hexDigitValue
            else { throw self.failure("needs \(count) hexadecimal digits") }
            value = value << 4 | UInt32(digit)
            self.at += 1
        }
        return value
    }

    /// `\u0041`, `\u{1F600}`, or a surrogate pair.
    private mutating func unicodeEscape() throws(PatternError) -> UInt32 {
        guard self.take("{") else {
            let first = try self.hexadecimal(4)
            guard (0xD800...0xDBFF).contains(first), self.isNext("\\u") else { return first }
            let start = self.at
            _ = self.take("\\u")
            guard !self.isNext("{"), case let second = try self.hexadecimal(4), (0xDC00...0xDFFF).contains(second)
            else {
                self.at = start
                return first
            }
            return 0x10000 + ((first & 0x3FF) << 10 | second & 0x3FF)
        }
        var value: UInt32 = 0
        var digits = 0
        while !self.take("}") {
            value = value << 4 | (try self.hexadecimal(1))
            digits += 1
            guard value <= 0x10FFFF else { throw self.failure("has a code point above 10FFFF") }
        }
        guard digits > 0 else { throw self.failure("needs a code point in `\\u{…}`") }
        return value
    }

    private mutating func property(isNegated: Bool) throws(PatternError) -> Item {
        guard self.take("{") else { throw self.failure("needs `{…}` after `\\p`") }
        var text = ""
        while let code = self.next, code != UInt32(ascii: "}"), let scalar = Unicode.Scalar(code) {
            text.unicodeScalars.append(scalar)
            self.at += 1
        }
        guard self.take("}") else { throw self.failure("needs `}` after `\\p{`") }
        guard let property = PatternProperty(text) else {
            throw self.failure(
                "has `\\p{\(text)}`; known are the general categories, the binary properties and the scripts "
                    + PatternScripts.names.joined(separator: ", "))
        }
        return .property(property, isNegated: isNegated)
    }
}
