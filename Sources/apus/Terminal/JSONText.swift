internal import ApusJSON

/// JSON for people: indented and coloured. Works on the text itself, so that numbers keep every digit, and members their order.
struct JSONText {
    let paint: Paint
    private static let indent = "  "

    /// Over several lines, or on one.
    /// - Returns: nil when the text is no JSON.
    func of(_ bytes: [UInt8], isIndented: Bool = true) -> String? {
        guard Self.isJSON(bytes) else { return nil }
        var text = ""
        var depth = 0
        var at = 0
        func breakLine() { if isIndented { text += "\n" + String(repeating: Self.indent, count: depth) } }
        while at < bytes.count {
            let byte = bytes[at]
            switch byte {
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                text.unicodeScalars.append(Unicode.Scalar(byte))
                let next = Self.skipSpace(bytes, from: at + 1)
                // What is empty stays in one piece.
                if next < bytes.count, bytes[next] == UInt8(ascii: "}") || bytes[next] == UInt8(ascii: "]") {
                    text.unicodeScalars.append(Unicode.Scalar(bytes[next]))
                    at = next
                } else {
                    depth += 1
                    breakLine()
                }
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                breakLine()
                text.unicodeScalars.append(Unicode.Scalar(byte))
            case UInt8(ascii: ","):
                text += ","
                if isIndented { breakLine() } else { text += " " }
            case UInt8(ascii: ":"): text += ": "
            case 0x09, 0x0A, 0x0D, 0x20: break
            default:
                let end = Self.end(of: bytes, from: at)
                text += self.scalar(bytes, at..<end)
                at = end - 1
            }
            at += 1
        }
        return text
    }

    /// Also with numbers that no value here holds.
    static func isJSON(_ bytes: [UInt8]) -> Bool {
        bytes.withUnsafeBytes { text in
            do throws(JSONSyntaxError) {
                try JSONChecker.check(text)
                return true
            } catch { return false }
        }
    }

    /// A string, which may be the name of a member, a number or a word.
    private func scalar(_ bytes: [UInt8], _ range: Range<Int>) -> String {
        let text = SafeText.of(String(decoding: bytes[range], as: UTF8.self))
        guard bytes[range.lowerBound] == UInt8(ascii: "\"") else { return self.paint(text, .accent) }
        let next = Self.skipSpace(bytes, from: range.upperBound)
        let isName = next < bytes.count && bytes[next] == UInt8(ascii: ":")
        return self.paint(text, isName ? .name : .good)
    }

    /// The text is valid: a string ends at its quote, anything else before a mark or space.
    private static func end(of bytes: [UInt8], from start: Int) -> Int {
        var at = start + 1
        guard bytes[start] == UInt8(ascii: "\"") else {
            while at < bytes.count, !",]} \t\r\n".utf8.contains(bytes[at]) { at += 1 }
            return at
        }
        while at < bytes.count, bytes[at] != UInt8(ascii: "\"") { at += bytes[at] == UInt8(ascii: "\\") ? 2 : 1 }
        return min(at + 1, bytes.count)
    }

    private static func skipSpace(_ bytes: [UInt8], from start: Int) -> Int {
        var at = start
        while at < bytes.count, [0x09, 0x0A, 0x0D, 0x20].contains(bytes[at]) { at += 1 }
        return at
    }
}
