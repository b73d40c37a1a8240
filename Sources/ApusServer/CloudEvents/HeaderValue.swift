internal import ApusHTTP

/// Text as the value of a CloudEvents header: what is not visible ASCII, and quotes and percent signs, are percent-encoded UTF-8.
enum HeaderValue {
    /// Whether a header's name may hold it: letters, digits and what RFC 9110 allows beside them.
    static func isName(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
                }
            }
    }

    /// A media type as it is; what is none would break the answer's head.
    static func contentType(_ text: String?) -> String {
        guard let text, MediaType(parsing: text) != nil, text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) else {
            return "application/octet-stream"
        }
        return text
    }

    static func encode(_ text: String) -> String {
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if byte > 0x20, byte < 0x7F, byte != UInt8(ascii: "\""), byte != UInt8(ascii: "%") {
                bytes.append(byte)
            } else {
                let digits = Array("0123456789ABCDEF".utf8)
                bytes.append(contentsOf: [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]])
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
