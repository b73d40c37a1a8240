/// Writes strings as JSON, for the few places that write JSON without reading any: problems, log lines, events.
public enum JSONText {
    /// Appends `text` as a JSON string, quotes included. Control characters are escaped, so the result is one line.
    public static func append(_ text: String, to bytes: inout [UInt8]) {
        var text = text
        text.withUTF8 { Self.append(utf8: UnsafeRawBufferPointer($0), to: &bytes) }
    }

    /// The same for text that is UTF-8 already.
    public static func append(utf8 text: UnsafeRawBufferPointer, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        // Most texts need no escape and are copied whole; of others what lies between two escapes is.
        var start = 0
        for at in 0..<text.count where Self.isEscaped(text[at]) {
            bytes.append(contentsOf: text[start..<at])
            Self.appendEscaped(text[at], to: &bytes)
            start = at + 1
        }
        bytes.append(contentsOf: text[start...])
        bytes.append(UInt8(ascii: "\""))
    }

    @inline(__always)
    private static func isEscaped(_ byte: UInt8) -> Bool {
        byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte == 0x7F
    }

    private static func appendEscaped(_ byte: UInt8, to bytes: inout [UInt8]) {
        bytes.append(UInt8(ascii: "\\"))
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): bytes.append(byte)
        case 0x0A: bytes.append(UInt8(ascii: "n"))
        case 0x0D: bytes.append(UInt8(ascii: "r"))
        case 0x09: bytes.append(UInt8(ascii: "t"))
        default:
            bytes.append(contentsOf: "u00".utf8)
            bytes.append(Self.digit(byte >> 4))
            bytes.append(Self.digit(byte & 15))
        }
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }
}
