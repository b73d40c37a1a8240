/// A text whose characters can be found by line and column.
struct SourceText {
    let file: String
    let bytes: [UInt8]
    /// Where each line begins: in bytes, and in characters (Unicode scalars).
    private let lines: [(byte: Int, scalar: Int)]
    private let scalarCount: Int

    init(file: String, bytes: [UInt8]) {
        self.file = file
        self.bytes = bytes
        var lines = [(byte: 0, scalar: 0)]
        var scalars = 0
        for (index, byte) in bytes.enumerated() {
            if byte & 0xC0 != 0x80 { scalars += 1 }
            if byte == UInt8(ascii: "\n") { lines.append((index + 1, scalars)) }
        }
        self.lines = lines
        self.scalarCount = scalars
    }

    var start: SourceLocation { SourceLocation(file: self.file, line: 1, column: 1) }

    /// The place of the character with this number; past the end it is the end.
    func location(ofScalar index: Int) -> SourceLocation {
        let index = min(max(index, 0), self.scalarCount)
        let line = self.lastLine { $0.scalar <= index }
        return SourceLocation(file: self.file, line: line + 1, column: index - self.lines[line].scalar + 1)
    }

    /// The place of the character that holds this byte; past the end it is the end.
    func location(ofByte offset: Int) -> SourceLocation {
        let offset = min(max(offset, 0), self.bytes.count)
        let line = self.lastLine { $0.byte <= offset }
        let before = self.bytes[self.lines[line].byte..<offset].count { $0 & 0xC0 != 0x80 }
        return SourceLocation(file: self.file, line: line + 1, column: before + 1)
    }

    private func lastLine(_ isAtOrBefore: ((byte: Int, scalar: Int)) -> Bool) -> Int {
        var low = 0
        var high = self.lines.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if isAtOrBefore(self.lines[middle]) { low = middle } else { high = middle }
        }
        return low
    }

    /// The offset of the first byte that is not UTF-8, nil when all is.
    var firstInvalidByte: Int? {
        // Decoding as a whole is much faster than looking for the place, which only bad text needs.
        if String(validating: self.bytes, as: UTF8.self) != nil { return nil }
        var valid = 0
        var iterator = self.bytes.makeIterator()
        var decoder = UTF8()
        while true {
            switch decoder.decode(&iterator) {
            case .scalarValue(let scalar): valid += UTF8.width(scalar)
            case .emptyInput, .error: return valid
            }
        }
    }
}
