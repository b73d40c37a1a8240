/// Reads the words of JSON: strings, numbers, names of constants.
package struct JSONScanner {
    package let text: UnsafeRawBufferPointer
    package var at = 0

    package init(_ text: UnsafeRawBufferPointer) { self.text = text }

    var isAtEnd: Bool { self.at >= self.text.count }
    package var peek: UInt8? { self.at < self.text.count ? self.text[self.at] : nil }

    func fail(_ expected: String, found: String? = nil) -> JSONSyntaxError {
        JSONSyntaxError(self.text, at: self.at, expected: expected, found: found)
    }

    package mutating func skipSpace() {
        while let byte = self.peek, Self.isSpace(byte) { self.at += 1 }
    }

    package static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0A).contains(byte) || byte == 0x0D }

    mutating func take(_ byte: UInt8) -> Bool {
        guard self.peek == byte else { return false }
        self.at += 1
        return true
    }

    mutating func word(_ word: StaticString) throws(JSONSyntaxError) {
        for offset in 0..<word.utf8CodeUnitCount {
            guard self.take(word.utf8Start[offset]) else { throw self.fail("`\(word)`") }
        }
    }

    package mutating func number() throws(JSONSyntaxError) {
        _ = self.take(UInt8(ascii: "-"))
        if !self.take(UInt8(ascii: "0")) { try self.digits() }
        if self.take(UInt8(ascii: ".")) { try self.digits() }
        if self.take(UInt8(ascii: "e")) || self.take(UInt8(ascii: "E")) {
            if !self.take(UInt8(ascii: "+")) { _ = self.take(UInt8(ascii: "-")) }
            try self.digits()
        }
    }

    private mutating func digits() throws(JSONSyntaxError) {
        let start = self.at
        while let byte = self.peek, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) { self.at += 1 }
        guard self.at > start else { throw self.fail("a digit") }
    }

    /// From the opening quote to just after the closing one.
    package mutating func string() throws(JSONSyntaxError) {
        self.at += 1
        while let byte = self.peek {
            switch byte {
            case UInt8(ascii: "\""):
                self.at += 1
                return
            case UInt8(ascii: "\\"): try self.escape()
            case 0..<0x20: throw self.fail("an escape such as \\n for a control character")
            case 0x20..<0x80: self.at += 1
            default: try self.character()
            }
        }
        throw self.fail("the closing quote")
    }

    private mutating func escape() throws(JSONSyntaxError) {
        self.at += 1
        switch self.peek {
        case UInt8(ascii: "u"):
            self.at += 1
            for _ in 0..<4 {
                guard let digit = self.peek, Self.hexValue(digit) != nil else {
                    throw self.fail("four hexadecimal digits")
                }
                self.at += 1
            }
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
            UInt8(ascii: "n"),
            UInt8(ascii: "r"), UInt8(ascii: "t"):
            self.at += 1
        default: throw self.fail("one of \" \\ / b f n r t u after a backslash")
        }
    }

    /// One character of more than a byte, in the shortest form, no surrogate, none past U+10FFFF.
    private mutating func character() throws(JSONSyntaxError) {
        let first = self.text[self.at]
        let (count, second): (Int, ClosedRange<UInt8>) =
            switch first {
            case 0xC2...0xDF: (2, 0x80...0xBF)
            case 0xE0: (3, 0xA0...0xBF)
            case 0xED: (3, 0x80...0x9F)
            case 0xE1...0xEF: (3, 0x80...0xBF)
            case 0xF0: (4, 0x90...0xBF)
            case 0xF1...0xF3: (4, 0x80...0xBF)
            case 0xF4: (4, 0x80...0x8F)
            default: throw self.fail("UTF-8")
            }
        guard self.at + count <= self.text.count, second.contains(self.text[self.at + 1]) else {
            throw self.fail("UTF-8")
        }
        for offset in 2..<max(count, 2) where self.text[self.at + offset] & 0xC0 != 0x80 { throw self.fail("UTF-8") }
        self.at += count
    }

    /// What a checked string (with its quotes) says; a lone surrogate reads as U+FFFD.
    package func unescaped(_ range: Range<Int>) -> String {
        let inner = self.text[range.lowerBound + 1..<range.upperBound - 1]
        guard inner.contains(UInt8(ascii: "\\")) else { return String(decoding: inner, as: UTF8.self) }
        var units: [UInt16] = []
        var index = inner.startIndex
        var run = index
        while index < inner.endIndex {
            guard inner[index] == UInt8(ascii: "\\") else {
                index += 1
                continue
            }
            units += String(decoding: inner[run..<index], as: UTF8.self).utf16
            if inner[index + 1] == UInt8(ascii: "u") {
                units.append(inner[index + 2..<index + 6].reduce(0) { $0 << 4 | UInt16(Self.hexValue($1) ?? 0) })
                index += 6
            } else {
                units.append(Self.meaning(inner[index + 1]))
                index += 2
            }
            run = index
        }
        units += String(decoding: inner[run..<index], as: UTF8.self).utf16
        return String(decoding: units, as: UTF16.self)
    }

    private static func meaning(_ letter: UInt8) -> UInt16 {
        switch letter {
        case UInt8(ascii: "b"): 0x08
        case UInt8(ascii: "f"): 0x0C
        case UInt8(ascii: "n"): 0x0A
        case UInt8(ascii: "r"): 0x0D
        case UInt8(ascii: "t"): 0x09
        default: UInt16(letter)
        }
    }

    private static func hexValue(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
