/// A key that `apus top` knows.
enum TopKey: Equatable {
    case quit, suspend, redraw
    case left, right, up, down, pageUp, pageDown, home, end
    case section, reverse, pause, help
    /// Orders by the column that a letter stands for.
    case sort(Character)
    case other

    /// Reads what a terminal sends for the keys that were pressed. A sequence comes in one piece.
    static func all(in bytes: [UInt8]) -> [TopKey] {
        var keys: [TopKey] = []
        var rest = bytes[...]
        while let byte = rest.popFirst() {
            guard byte == 0x1B else {
                keys.append(Self.of(byte))
                continue
            }
            guard let next = rest.first, next == UInt8(ascii: "[") || next == UInt8(ascii: "O") else {
                keys.append(.other)
                continue
            }
            rest = rest.dropFirst()
            let parameters = rest.prefix { !(0x40...0x7E).contains($0) }
            rest = rest.dropFirst(parameters.count)
            keys.append(Self.of(final: rest.popFirst() ?? 0, String(decoding: parameters, as: UTF8.self)))
        }
        return keys
    }

    private static func of(_ byte: UInt8) -> TopKey {
        switch byte {
        case 0x03, 0x04, UInt8(ascii: "q"), UInt8(ascii: "Q"): .quit
        case 0x1A: .suspend
        case 0x0C: .redraw
        case 0x09: .section
        case UInt8(ascii: "r"): .reverse
        case UInt8(ascii: "p"), UInt8(ascii: " "): .pause
        case UInt8(ascii: "?"), UInt8(ascii: "h"): .help
        case UInt8(ascii: "k"): .up
        case UInt8(ascii: "j"): .down
        case UInt8(ascii: "a")...UInt8(ascii: "z"): .sort(Character(Unicode.Scalar(byte)))
        default: .other
        }
    }

    private static func of(final: UInt8, _ parameters: String) -> TopKey {
        switch (final, parameters) {
        case (UInt8(ascii: "A"), _): .up
        case (UInt8(ascii: "B"), _): .down
        case (UInt8(ascii: "C"), _): .right
        case (UInt8(ascii: "D"), _): .left
        case (UInt8(ascii: "H"), _), (UInt8(ascii: "~"), "1"), (UInt8(ascii: "~"), "7"): .home
        case (UInt8(ascii: "F"), _), (UInt8(ascii: "~"), "4"), (UInt8(ascii: "~"), "8"): .end
        case (UInt8(ascii: "~"), "5"): .pageUp
        case (UInt8(ascii: "~"), "6"): .pageDown
        case (UInt8(ascii: "Z"), _): .section
        default: .other
        }
    }
}
