/// The types of plain scalars by the core schema of YAML 1.2.
enum YAMLScalar {
    static func resolve(_ text: String) -> YAMLNode.Content {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "true", "True", "TRUE": return .boolean(true)
        case "false", "False", "FALSE": return .boolean(false)
        case ".nan", ".NaN", ".NAN": return .double(.nan)
        case ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF": return .double(.infinity)
        case "-.inf", "-.Inf", "-.INF": return .double(-.infinity)
        default: break
        }
        guard let first = text.utf8.first, first < UInt8(ascii: "A") else { return .string(text) }
        if text.hasPrefix("0o") {
            return Int64(text.dropFirst(2), radix: 8, unsigned: true).map { .integer($0) } ?? .string(text)
        }
        if text.hasPrefix("0x") {
            return Int64(text.dropFirst(2), radix: 16, unsigned: true).map { .integer($0) } ?? .string(text)
        }
        return self.number(text)
    }

    private static func number(_ text: String) -> YAMLNode.Content {
        var rest = text.utf8[...]
        func digits() -> Int {
            let run = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            rest = rest.dropFirst(run.count)
            return run.count
        }
        if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
        let whole = digits()
        if rest.isEmpty, whole > 0 {
            // An integer beyond 64 bits stays a number, so that messages speak of a number out of bounds.
            return Int64(text).map { .integer($0) } ?? Double(text).map { .double($0) } ?? .string(text)
        }
        var fraction = 0
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            fraction = digits()
        }
        guard whole + fraction > 0 else { return .string(text) }
        if rest.first == UInt8(ascii: "e") || rest.first == UInt8(ascii: "E") {
            rest = rest.dropFirst()
            if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
            guard digits() > 0 else { return .string(text) }
        }
        guard rest.isEmpty, let value = Double(text) else { return .string(text) }
        return .double(value)
    }
}

extension Int64 {
    /// Digits only: no sign, and at least one digit.
    fileprivate init?(_ digits: Substring, radix: Int, unsigned: Bool) {
        guard let first = digits.utf8.first, first != UInt8(ascii: "+"), first != UInt8(ascii: "-") else { return nil }
        self.init(digits, radix: radix)
    }
}
