internal import Glibc

/// The text of a JSON string that comes in parts: what stands between its quotes, with every escape resolved.
public struct TextInParts {
    public struct Malformed: Error {}

    private enum State {
        /// Next: `text`.
        case start
        /// Next: `escape`, `end`.
        case text
        /// Behind a backslash. Next: `text`, `digits`.
        case escape
        /// Within `\uXXXX`. Next: `text`.
        case digits(value: UInt32, count: Int)
        case end
    }

    private var state = State.start
    /// The first half of a character outside the basic plane: its other half must follow.
    private var high: UInt32?

    public init() {}

    /// One whose opening quote has come.
    public static var begun: TextInParts {
        var text = TextInParts()
        text.state = .text
        return text
    }

    public var hasBegun: Bool { if case .start = self.state { false } else { true } }
    public var hasEnded: Bool { if case .end = self.state { true } else { false } }

    /// Whether nothing of what came waits for more of an escape.
    public var isBetweenCharacters: Bool { if case .text = self.state { self.high == nil } else { false } }

    /// - Returns: the text of this part, of a string behind which nothing but space may stand.
    public mutating func take(_ part: [UInt8]) throws(Malformed) -> [UInt8] {
        var text: [UInt8] = []
        text.reserveCapacity(part.count)
        let end = try self.take(part, from: 0, into: &text)
        guard part[end...].allSatisfy(JSONScanner.isSpace) else { throw Malformed() }
        return text
    }

    /// - Returns: the place behind the string's end, or that of the part.
    public mutating func take(_ part: [UInt8], from start: Int, into text: inout [UInt8]) throws(Malformed) -> Int {
        var at = start
        while at < part.count {
            let byte = part[at]
            switch self.state {
            case .start:
                guard byte == UInt8(ascii: "\"") else { throw Malformed() }
                self.state = .text
                at += 1
            case .text: at = try self.run(part, at, &text)
            case .escape:
                try self.escaped(byte, &text)
                at += 1
            case .digits(let value, let count):
                guard let digit = UInt32(String(UnicodeScalar(byte)), radix: 16) else { throw Malformed() }
                at += 1
                self.state = .digits(value: value << 4 | digit, count: count + 1)
                if count == 3 {
                    self.state = .text
                    self.unit(value << 4 | digit, &text)
                }
            case .end: return at
            }
        }
        return at
    }

    /// Takes what holds neither quote nor backslash at once.
    private mutating func run(_ part: [UInt8], _ at: Int, _ text: inout [UInt8]) throws(Malformed) -> Int {
        let stop = part.withUnsafeBytes { bytes -> Int in
            guard let base = bytes.baseAddress else { return at }
            var end = bytes.count
            for mark in [UInt8(ascii: "\\"), UInt8(ascii: "\"")] {
                if let found = memchr(base + at, CInt(mark), end - at) { end = UnsafeRawPointer(found) - base }
            }
            return end
        }
        if stop > at {
            guard part[at..<stop].allSatisfy({ $0 >= 0x20 }) else { throw Malformed() }
            self.loseHalf(&text)
            text.append(contentsOf: part[at..<stop])
        }
        guard stop < part.count else { return stop }
        if part[stop] == UInt8(ascii: "\\") {
            self.state = .escape
        } else {
            self.loseHalf(&text)
            self.state = .end
        }
        return stop + 1
    }

    private mutating func escaped(_ byte: UInt8, _ text: inout [UInt8]) throws(Malformed) {
        let plain: UInt8
        switch byte {
        case UInt8(ascii: "u"):
            self.state = .digits(value: 0, count: 0)
            return
        case UInt8(ascii: "n"): plain = 0x0A
        case UInt8(ascii: "r"): plain = 0x0D
        case UInt8(ascii: "t"): plain = 0x09
        case UInt8(ascii: "b"): plain = 0x08
        case UInt8(ascii: "f"): plain = 0x0C
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): plain = byte
        default: throw Malformed()
        }
        self.loseHalf(&text)
        text.append(plain)
        self.state = .text
    }

    /// A half that stands alone is no character.
    private mutating func loseHalf(_ text: inout [UInt8]) {
        guard self.high != nil else { return }
        self.high = nil
        text.append(contentsOf: "\u{FFFD}".utf8)
    }

    private mutating func unit(_ value: UInt32, _ text: inout [UInt8]) {
        if let high, (0xDC00..<0xE000).contains(value) {
            self.high = nil
            return Self.append(0x10000 + (high - 0xD800) << 10 + (value - 0xDC00), to: &text)
        }
        self.loseHalf(&text)
        if (0xD800..<0xDC00).contains(value) { self.high = value } else { Self.append(value, to: &text) }
    }

    private static func append(_ value: UInt32, to text: inout [UInt8]) {
        text.append(contentsOf: String(Character(UnicodeScalar(value) ?? "\u{FFFD}")).utf8)
    }
}
