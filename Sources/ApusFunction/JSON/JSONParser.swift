/// Text that is no JSON, with the place where it stops being so.
public struct JSONSyntaxError: Error, Sendable, Equatable, CustomStringConvertible {
    public var reason: String
    /// Bytes before it.
    public var offset: Int
    public var description: String { "\(self.reason) at byte \(self.offset)" }
}

/// Reads JSON (RFC 8259), strictly: no comments, no trailing commas, UTF-8 only, depth bounded.
struct JSONParser {
    static let depthMax = 128

    private let bytes: [UInt8]
    private var at = 0
    private var depth = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func parse() throws(JSONSyntaxError) -> JSON {
        let value = try self.value()
        self.skipSpace()
        guard self.at == self.bytes.count else { throw self.error("something follows the value") }
        return value
    }

    private func error(_ reason: String) -> JSONSyntaxError { JSONSyntaxError(reason: reason, offset: self.at) }

    private mutating func skipSpace() {
        while self.at < self.bytes.count, [0x20, 0x0A, 0x0D, 0x09].contains(self.bytes[self.at]) { self.at += 1 }
    }

    /// The next byte that is no space, not taken; 0 at the end.
    private mutating func peek() -> UInt8 {
        self.skipSpace()
        return self.at < self.bytes.count ? self.bytes[self.at] : 0
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard self.peek() == byte, self.at < self.bytes.count else { return false }
        self.at += 1
        return true
    }

    private mutating func value() throws(JSONSyntaxError) -> JSON {
        switch self.peek() {
        case UInt8(ascii: "{"): return try self.object()
        case UInt8(ascii: "["): return try self.array()
        case UInt8(ascii: "\""): return .string(try self.string())
        case UInt8(ascii: "t"): return try self.word("true", .boolean(true))
        case UInt8(ascii: "f"): return try self.word("false", .boolean(false))
        case UInt8(ascii: "n"): return try self.word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try self.number()
        default: throw self.error(self.at == self.bytes.count ? "the text ends too early" : "no value starts here")
        }
    }

    private mutating func word(_ word: StaticString, _ value: JSON) throws(JSONSyntaxError) -> JSON {
        let count = word.utf8CodeUnitCount
        let matches = word.withUTF8Buffer { self.bytes[self.at...].starts(with: $0) }
        guard matches else { throw self.error("no value starts here") }
        self.at += count
        return value
    }

    private mutating func enter() throws(JSONSyntaxError) {
        self.at += 1
        self.depth += 1
        guard self.depth <= Self.depthMax else { throw self.error("more than \(Self.depthMax) levels") }
    }

    private mutating func object() throws(JSONSyntaxError) -> JSON {
        try self.enter()
        defer { self.depth -= 1 }
        var members: [JSON.Member] = []
        if self.take(UInt8(ascii: "}")) { return .object(members) }
        while true {
            guard self.peek() == UInt8(ascii: "\"") else { throw self.error("a member's name is expected") }
            let name = try self.string()
            guard self.take(UInt8(ascii: ":")) else { throw self.error("':' is expected") }
            members.append(JSON.Member(name, try self.value()))
            if self.take(UInt8(ascii: "}")) { return .object(members) }
            guard self.take(UInt8(ascii: ",")) else { throw self.error("',' or '}' is expected") }
        }
    }

    private mutating func array() throws(JSONSyntaxError) -> JSON {
        try self.enter()
        defer { self.depth -= 1 }
        var elements: [JSON] = []
        if self.take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            elements.append(try self.value())
            if self.take(UInt8(ascii: "]")) { return .array(elements) }
            guard self.take(UInt8(ascii: ",")) else { throw self.error("',' or ']' is expected") }
        }
    }

    // MARK: strings

    private mutating func string() throws(JSONSyntaxError) -> String {
        self.at += 1
        let start = self.at
        var unescaped: [UInt8]?
        while self.at < self.bytes.count {
            let byte = self.bytes[self.at]
            switch byte {
            case UInt8(ascii: "\""):
                let text =
                    if let unescaped { String(validating: unescaped, as: UTF8.self) } else {
                        String(validating: self.bytes[start..<self.at], as: UTF8.self)
                    }
                guard let text else { throw self.error("a string is not UTF-8") }
                self.at += 1
                return text
            case UInt8(ascii: "\\"):
                var text = unescaped ?? Array(self.bytes[start..<self.at])
                self.at += 1
                try self.escape(&text)
                unescaped = text
            case 0..<0x20: throw self.error("a control character in a string")
            default:
                unescaped?.append(byte)
                self.at += 1
            }
        }
        throw self.error("a string has no end")
    }

    private mutating func escape(_ text: inout [UInt8]) throws(JSONSyntaxError) {
        guard self.at < self.bytes.count else { throw self.error("a string has no end") }
        let kind = self.bytes[self.at]
        self.at += 1
        switch kind {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(kind)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"): text.append(contentsOf: String(Character(try self.scalar())).utf8)
        default: throw self.error("an unknown escape in a string")
        }
    }

    private mutating func scalar() throws(JSONSyntaxError) -> Unicode.Scalar {
        var code = try self.hexadecimal()
        if (0xD800..<0xDC00).contains(code) {
            guard self.bytes[self.at...].starts(with: "\\u".utf8) else { throw self.error("half a surrogate pair") }
            self.at += 2
            let low = try self.hexadecimal()
            guard (0xDC00..<0xE000).contains(low) else { throw self.error("half a surrogate pair") }
            code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        }
        guard let scalar = Unicode.Scalar(code) else { throw self.error("half a surrogate pair") }
        return scalar
    }

    private mutating func hexadecimal() throws(JSONSyntaxError) -> UInt32 {
        var code: UInt32 = 0
        for _ in 0..<4 {
            guard self.at < self.bytes.count,
                let digit = Character(Unicode.Scalar(self.bytes[self.at])).hexDigitValue
            else { throw self.error("four hexadecimal digits are expected") }
            code = code << 4 | UInt32(digit)
            self.at += 1
        }
        return code
    }

    // MARK: numbers

    private mutating func digits() throws(JSONSyntaxError) {
        let start = self.at
        while self.at < self.bytes.count, (0x30...0x39).contains(self.bytes[self.at]) { self.at += 1 }
        guard self.at > start else { throw self.error("a digit is expected") }
    }

    private mutating func number() throws(JSONSyntaxError) -> JSON {
        let start = self.at
        var isInteger = true
        if self.bytes[self.at] == UInt8(ascii: "-") { self.at += 1 }
        if self.at < self.bytes.count, self.bytes[self.at] == UInt8(ascii: "0") {
            self.at += 1
        } else {
            try self.digits()
        }
        if self.at < self.bytes.count, self.bytes[self.at] == UInt8(ascii: ".") {
            isInteger = false
            self.at += 1
            try self.digits()
        }
        if self.at < self.bytes.count, self.bytes[self.at] | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            self.at += 1
            if self.at < self.bytes.count, [UInt8(ascii: "+"), UInt8(ascii: "-")].contains(self.bytes[self.at]) {
                self.at += 1
            }
            try self.digits()
        }
        let text = String(decoding: self.bytes[start..<self.at], as: UTF8.self)
        if isInteger {
            if let value = Int64(text) { return .integer(value) }
            if let value = UInt64(text) { return .unsigned(value) }
        }
        guard let value = Double(text), value.isFinite else { throw self.error("a number is out of range") }
        return .number(value)
    }
}
