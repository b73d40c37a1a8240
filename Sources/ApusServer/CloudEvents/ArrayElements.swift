/// Where the elements of a JSON array lie in its text.
enum ArrayElements {
    /// - Parameter text: one JSON value that was checked.
    /// - Returns: each element without the space before it; nil when the value is no array.
    static func ranges(of text: [UInt8]) -> [Range<Int>]? {
        guard text.first(where: { !self.isSpace($0) }) == UInt8(ascii: "[") else { return nil }
        var ranges: [Range<Int>] = []
        var depth = 0
        var start: Int?
        var index = 0
        while index < text.count {
            let byte = text[index]
            let isBetween = self.isSpace(byte) || byte == UInt8(ascii: ",") || byte == UInt8(ascii: "]")
            if depth == 1, start == nil, !isBetween { start = index }
            switch byte {
            case UInt8(ascii: "\""): index = self.lastOfString(text, from: index)
            case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"):
                depth -= 1
                if depth == 0, let first = start { ranges.append(first..<index) }
            case UInt8(ascii: ",") where depth == 1:
                if let first = start { ranges.append(first..<index) }
                start = nil
            default: break
            }
            index += 1
        }
        return ranges
    }

    /// The place of the quote that closes the string that opens at `start`.
    private static func lastOfString(_ text: [UInt8], from start: Int) -> Int {
        var index = start + 1
        while index < text.count, text[index] != UInt8(ascii: "\"") {
            index += text[index] == UInt8(ascii: "\\") ? 2 : 1
        }
        return index
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D }
}
