public import ApusCore

/// Where a text stops being JSON, and what would have had to stand there.
public struct JSONSyntaxError: Error, Sendable, Equatable, CustomStringConvertible {
    /// In bytes, from 0.
    public let offset: Int
    /// From 1.
    public let line: Int
    /// In characters, from 1.
    public let column: Int
    /// What was expected there: "a value", "`,` or `}`".
    public let expected: String
    /// What stands there: "`]`", "the end".
    public let found: String

    public var description: String {
        "line \(self.line), column \(self.column): expected \(self.expected), found \(self.found)"
    }

    /// The same as `invalid_json`.
    public var asApusError: ApusError { ApusError(.invalidJSON, "The JSON is malformed at \(self).", cause: self) }

    init(_ text: UnsafeRawBufferPointer, at offset: Int, expected: String, found: String? = nil) {
        let before = text[..<min(offset, text.count)]
        let lineStart = before.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        self.offset = offset
        self.line = before.count { $0 == UInt8(ascii: "\n") } + 1
        // Bytes that go on a character of UTF-8 are not counted.
        self.column = text[lineStart..<before.endIndex].count { $0 & 0xC0 != 0x80 } + 1
        self.expected = expected
        self.found = found ?? JSONSyntaxError.name(text, offset)
    }

    private static func name(_ text: UnsafeRawBufferPointer, _ offset: Int) -> String {
        guard offset < text.count else { return "the end" }
        let byte = text[offset]
        guard (0x21...0x7E).contains(byte) else { return "the byte 0x\(String(byte, radix: 16))" }
        return "`\(Character(UnicodeScalar(byte)))`"
    }
}
