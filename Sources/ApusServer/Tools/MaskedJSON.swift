internal import ApusCore
internal import ApusHost

/// Takes secrets out of JSON that comes in parts: each string is looked through for what it says, however it is written, and what holds one
/// otherwise is refused, as ``SecretMasks/apply(json:)`` does of the whole one. Strings are written anew; without secrets nothing is changed.
struct MaskedJSON {
    private enum State {
        /// Outside of strings. Next: `string`.
        case between
        /// Next: `between`.
        case string(TextInParts, MaskedParts)
    }

    private let masks: SecretMasks
    private var state = State.between
    /// What is told by now, looked through as it stands: for a number that is a secret, or a secret with quotes of JSON in it.
    private var whole: MaskedParts

    init(_ masks: SecretMasks) {
        self.masks = masks
        self.whole = MaskedParts(masks)
    }

    /// - Throws: `function_failed` where it would be no JSON without the secret, or is none.
    mutating func take(_ part: [UInt8]) throws(ApusError) -> [UInt8] {
        guard !self.masks.isEmpty else { return part }
        var told: [UInt8] = []
        told.reserveCapacity(part.count)
        var at = 0
        while at < part.count {
            switch self.state {
            case .between:
                let quote = part[at...].firstIndex(of: UInt8(ascii: "\"")) ?? part.count
                told += part[at..<quote]
                at = quote
                if quote < part.count { self.state = .string(TextInParts(), MaskedParts(self.masks)) }
            case .string(var text, var masked):
                // Nothing else may hold them while they grow.
                self.state = .between
                if !text.hasBegun { told.append(UInt8(ascii: "\"")) }
                var said: [UInt8] = []
                do throws(TextInParts.Malformed) { at = try text.take(part, from: at, into: &said) } catch { throw Self.malformed }
                Self.append(masked.take(said), to: &told)
                if text.hasEnded {
                    Self.append(masked.end(), to: &told)
                    told.append(UInt8(ascii: "\""))
                } else {
                    self.state = .string(text, masked)
                }
            }
        }
        return try self.checked(self.whole.take(told))
    }

    /// - Returns: the rest.
    mutating func end() throws(ApusError) -> [UInt8] {
        guard case .between = self.state else { throw Self.malformed }
        return try self.checked(self.whole.end())
    }

    static let malformed = ApusError(.functionFailed, "the result says that it is JSON, and is none")

    private func checked(_ told: [UInt8]) throws(ApusError) -> [UInt8] {
        guard !self.whole.hasFound else { throw ApusError(.functionFailed, ResultMask.refusal) }
        return told
    }

    /// None is longer than what it is written anew of: a result does not grow.
    private static let escapes: [[UInt8]] = (0..<0x20).map { byte in
        switch byte {
        case 0x08: Array(#"\b"#.utf8)
        case 0x09: Array(#"\t"#.utf8)
        case 0x0A: Array(#"\n"#.utf8)
        case 0x0C: Array(#"\f"#.utf8)
        case 0x0D: Array(#"\r"#.utf8)
        default: Array((byte < 0x10 ? #"\u000"# : #"\u00"#).utf8) + Array(String(byte, radix: 16).utf8)
        }
    }

    /// A part of a string's text. A character may go on in the next part.
    private static func append(_ text: [UInt8], to told: inout [UInt8]) {
        for byte in text {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"): told += [UInt8(ascii: "\\"), byte]
            case 0..<0x20: told += Self.escapes[Int(byte)]
            default: told.append(byte)
            }
        }
    }
}
