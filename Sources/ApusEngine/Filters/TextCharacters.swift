/// The characters (Unicode scalars) of bytes that should be UTF-8. A byte that belongs to no character counts as one of its own.
struct TextCharacters {
    private let bytes: UnsafeRawBufferPointer
    /// Where the next one begins.
    private(set) var at = 0

    init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    /// The scalar's number; of a stray byte, one that no scalar has.
    mutating func next() -> UInt32? {
        guard self.at < self.bytes.count else { return nil }
        let first = self.bytes[self.at]
        if first < 0x80 {
            self.at += 1
            return UInt32(first)
        }
        let (count, second): (Int, ClosedRange<UInt8>) =
            switch first {
            case 0xC2...0xDF: (2, 0x80...0xBF)
            case 0xE0: (3, 0xA0...0xBF)
            case 0xED: (3, 0x80...0x9F)
            case 0xE1...0xEF: (3, 0x80...0xBF)
            case 0xF0: (4, 0x90...0xBF)
            case 0xF1...0xF3: (4, 0x80...0xBF)
            case 0xF4: (4, 0x80...0x8F)
            default: (0, 0...0)
            }
        guard count > 0, self.at + count <= self.bytes.count, second.contains(self.bytes[self.at + 1]) else {
            return self.stray(first)
        }
        var value = UInt32(first & (0x7F >> UInt8(count)))
        for offset in 1..<count {
            let byte = self.bytes[self.at + offset]
            guard byte & 0xC0 == 0x80 else { return self.stray(first) }
            value = value << 6 | UInt32(byte & 0x3F)
        }
        self.at += count
        return value
    }

    private mutating func stray(_ byte: UInt8) -> UInt32 {
        self.at += 1
        return 0x11_0000 + UInt32(byte)
    }
}
