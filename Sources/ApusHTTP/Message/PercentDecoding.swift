/// Why text that was sent percent-encoded is refused.
public enum PercentError: Error, Sendable, Equatable {
    /// A percent sign without two hexadecimal digits.
    case malformed
    /// The bytes are no UTF-8, or a longer form of it than needed.
    case invalidUTF8
}

/// RFC 3986, section 2.1: each `%XX` becomes its byte, exactly once.
public enum PercentDecoding {
    /// - Parameter plusIsSpace: as in forms and queries.
    public static func bytes(of text: Substring.UTF8View, plusIsSpace: Bool = false) throws(PercentError) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        var rest = text.makeIterator()
        while let byte = rest.next() {
            if byte == UInt8(ascii: "%") {
                guard let high = rest.next().flatMap(nibble), let low = rest.next().flatMap(nibble) else {
                    throw .malformed
                }
                bytes.append(high << 4 | low)
            } else {
                bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return bytes
    }

    public static func text(of text: Substring.UTF8View, plusIsSpace: Bool = false) throws(PercentError) -> String {
        guard let decoded = String(validating: try Self.bytes(of: text, plusIsSpace: plusIsSpace), as: UTF8.self) else {
            throw .invalidUTF8
        }
        return decoded
    }

    private static func nibble(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
