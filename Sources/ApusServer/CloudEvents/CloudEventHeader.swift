internal import ApusHTTP

/// Values of CloudEvents headers on the way in.
enum CloudEventHeader {
    /// What stands for bytes of a header that are no UTF-8. Who means the character itself sends it encoded.
    static let replacement: Unicode.Scalar = "\u{FFFD}"

    /// Undoes the quotes that older senders write, then percent-decodes exactly once.
    /// - Returns: nil for a broken escape, and for bytes that are no UTF-8 or a longer form of it than needed.
    static func text(_ value: String) -> String? {
        guard !value.unicodeScalars.contains(self.replacement), let plain = self.unquoted(value) else { return nil }
        return try? PercentDecoding.text(of: plain[...].utf8)
    }

    /// RFC 7230's quoted string, with a backslash before any character; other values as they are.
    private static func unquoted(_ value: String) -> String? {
        let bytes = Array(value.utf8)
        guard bytes.count >= 2, bytes.first == UInt8(ascii: "\""), bytes.last == UInt8(ascii: "\"") else {
            return value
        }
        var plain: [UInt8] = []
        var rest = bytes[1..<bytes.count - 1]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\\"):
                guard let escaped = rest.popFirst() else { return nil }
                plain.append(escaped)
            // A quote inside ends the string before its end.
            case UInt8(ascii: "\""): return nil
            default: plain.append(byte)
            }
        }
        return String(validating: plain, as: UTF8.self)
    }
}
