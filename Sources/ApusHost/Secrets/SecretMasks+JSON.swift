internal import ApusCore
internal import ApusJSON

extension SecretMasks {
    /// The same of JSON: each string is looked through for what it says, however it is written, and the rest as it stands.
    /// - Returns: nil where it would be no JSON without the secret: a number that is one, or what reaches from one string into another.
    public func apply(json: [UInt8]) -> [UInt8]? {
        guard !self.isEmpty else { return json }
        var masked: [UInt8] = []
        masked.reserveCapacity(json.count)
        var at = 0
        while at < json.count {
            let next = json[at...].firstIndex(of: UInt8(ascii: "\"")) ?? json.count
            // Mostly a comma or a colon, which is no secret.
            if next - at >= Limits.Host.maskedBytesMin {
                let between = Array(json[at..<next])
                guard self.apply(between) == between else { return nil }
            }
            masked += json[at..<next]
            at = Self.end(ofStringAt: next, in: json)
            self.append(string: json[next..<at], to: &masked)
        }
        return self.applyAcrossStrings(masked)
    }

    /// A secret may be a piece of JSON itself, with quotes in it.
    private func applyAcrossStrings(_ json: [UInt8]) -> [UInt8]? {
        let masked = self.apply(json)
        guard masked.count != json.count || masked != json else { return json }
        let isSound = masked.withUnsafeBytes { bytes -> Bool in
            do throws(JSONSyntaxError) {
                _ = try JSONSlices.document(bytes)
                return true
            } catch { return false }
        }
        return isSound ? masked : nil
    }

    /// - Parameter token: with its quotes; empty at the end of the text.
    private func append(string token: ArraySlice<UInt8>, to masked: inout [UInt8]) {
        guard token.contains(UInt8(ascii: "\\")) else {
            // It says what stands there.
            guard token.count >= 2, token.last == UInt8(ascii: "\"") else { return masked += self.apply(Array(token)) }
            masked.append(UInt8(ascii: "\""))
            masked += self.apply(Array(token.dropFirst().dropLast()))
            return masked.append(UInt8(ascii: "\""))
        }
        // What is no JSON is refused by whoever reads it, and says nothing before that.
        guard let said = Self.text(of: token) else { return masked += self.apply(Array(token)) }
        let hidden = self.apply(said)
        masked += hidden == said ? Array(token) : JSONValue.string(String(decoding: hidden, as: UTF8.self)).encoded()
    }

    /// Also of a string with half a character in it, which not every reader refuses.
    private static func text(of token: ArraySlice<UInt8>) -> [UInt8]? {
        var text = TextInParts()
        do throws(TextInParts.Malformed) {
            let said = try text.take(Array(token))
            return text.hasEnded ? said : nil
        } catch { return nil }
    }

    private static func end(ofStringAt start: Int, in json: [UInt8]) -> Int {
        var at = start + 1
        while at < json.count {
            switch json[at] {
            case UInt8(ascii: "\""): return at + 1
            case UInt8(ascii: "\\"): at += 2
            default: at += 1
            }
        }
        return json.count
    }
}
