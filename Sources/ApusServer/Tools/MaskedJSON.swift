internal import ApusCore
internal import ApusHost
internal import ApusJSON

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
        told = self.whole.take(told)
        try self.refuseIfFound()
        return told
    }

    /// - Returns: the rest.
    mutating func end() throws(ApusError) -> [UInt8] {
        guard case .between = self.state else { throw Self.malformed }
        let rest = self.whole.end()
        try self.refuseIfFound()
        return rest
    }

    static let malformed = ApusError(.functionFailed, "the result says that it is JSON, and is none")

    private func refuseIfFound() throws(ApusError) {
        if self.whole.hasFound { throw ApusError(.functionFailed, ResultMask.refusal) }
    }

    /// A secret as it would be told if it stood in JSON: pieces of it, whose strings may lack their beginning or end. The text that is looked
    /// through here is written anew, so that what is looked for must be.
    /// - Returns: nil for what is written no other way.
    static func writtenAnew(_ secret: [UInt8]) -> [UInt8]? {
        guard secret.contains(UInt8(ascii: "\\")) else { return nil }
        var (told, at) = ([UInt8](), 0)
        while at < secret.count {
            // No string of JSON reaches beyond a control character.
            let end = secret[at...].firstIndex { $0 < 0x20 } ?? secret.count
            let piece = Array(secret[at..<end])
            told += Self.writtenAnew(piece: piece) ?? piece
            told += secret[end..<min(end + 1, secret.count)]
            at = end + 1
        }
        return told == secret ? nil : told
    }

    private static func writtenAnew(piece: [UInt8]) -> [UInt8]? {
        var (told, text, at) = ([UInt8](), TextInParts.begun, 0)
        while at < piece.count {
            var said: [UInt8] = []
            do throws(TextInParts.Malformed) { at = try text.take(piece, from: at, into: &said) } catch { return nil }
            Self.append(said, to: &told)
            guard text.hasEnded else { break }
            told.append(UInt8(ascii: "\""))
            text = .begun
        }
        return text.isBetweenCharacters ? told : nil
    }

    /// A part of a string's text, of which a character may go on in the next part. None is longer than what it is written anew of: a result does
    /// not grow.
    private static func append(_ text: [UInt8], to told: inout [UInt8]) {
        for byte in text {
            if JSONWriter.needsEscape(byte) { JSONWriter.appendEscaped(byte, to: &told) } else { told.append(byte) }
        }
    }
}
