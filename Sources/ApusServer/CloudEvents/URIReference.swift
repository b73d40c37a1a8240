/// Whether a text can be a URI or a reference to one (RFC 3986). Characters beyond ASCII are taken, as senders write them.
enum URIReference {
    /// What must be percent-encoded in every part of a URI.
    private static let excluded = Set(" <>\"{}|\\^`".utf8)

    static func isWellFormed(_ text: String) -> Bool {
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            if byte <= 0x20 || byte == 0x7F || self.excluded.contains(byte) { return false }
            guard byte == UInt8(ascii: "%") else { continue }
            guard let high = rest.popFirst(), let low = rest.popFirst(), self.isHex(high), self.isHex(low) else {
                return false
            }
        }
        return true
    }

    static func hasScheme(_ text: String) -> Bool {
        guard let colon = text.utf8.firstIndex(of: UInt8(ascii: ":")), let first = text.utf8.first else { return false }
        return self.isLetter(first)
            && text.utf8[..<colon].allSatisfy { self.isLetter($0) || self.isDigit($0) || "+-.".utf8.contains($0) }
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }
    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
    private static func isHex(_ byte: UInt8) -> Bool {
        self.isDigit(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte | 0x20)
    }
}
