internal import ApusCrypto

/// The value of a routing header, which may be text of any kind wrapped in base64.
public enum HeaderText {
    private static let prefix = "=?base64?"
    private static let suffix = "?="

    /// Text that a header can hold as it is stays; the rest is wrapped.
    public static func encode(_ text: String) -> String {
        let isPlain = text.utf8.allSatisfy { (0x20...0x7E).contains($0) } && text.trimmingBlanks == text
        let looksWrapped = text.hasPrefix(Self.prefix) && text.hasSuffix(Self.suffix)
        return isPlain && !looksWrapped ? text : Self.prefix + Base64.encode(Array(text.utf8)) + Self.suffix
    }

    /// - Returns: nil for a wrapping that does not hold: so that it equals nothing by accident.
    public static func decode(_ value: String) -> String? {
        let text = value.trimmingBlanks
        guard text.utf8.count >= Self.prefix.utf8.count + Self.suffix.utf8.count, text.hasPrefix(Self.prefix),
            text.hasSuffix(Self.suffix)
        else { return text }
        let digits = String(text.dropFirst(Self.prefix.count).dropLast(Self.suffix.count))
        // Bits that are left over must be zero, or one text would have several spellings.
        guard let bytes = Base64.decode(digits), Base64.encode(bytes) == digits else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }
}

extension String {
    /// Without the blanks that HTTP allows around a value.
    var trimmingBlanks: String {
        let isBlank = { (byte: UInt8) in byte == 0x20 || byte == 0x09 }
        let bytes = Array(self.utf8)
        let start = bytes.firstIndex { !isBlank($0) } ?? bytes.endIndex
        let end = bytes.lastIndex { !isBlank($0) }.map { $0 + 1 } ?? start
        return start == 0 && end == bytes.count ? self : String(decoding: bytes[start..<end], as: UTF8.self)
    }

    /// Whether two texts are the same bytes; `==` takes composed and decomposed letters for the same.
    func isSame(as other: String) -> Bool { self.utf8.elementsEqual(other.utf8) }
}
