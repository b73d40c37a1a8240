internal import ApusJSON

extension SecretMasks {
    /// The same of JSON: each string is looked through for what it says, however it is written, and the rest as it stands.
    /// - Returns: nil where it would be no JSON without the secret: a number that is one.
    func apply(json: [UInt8]) -> [UInt8]? {
        guard !self.isEmpty else { return json }
        var masked: [UInt8] = []
        masked.reserveCapacity(json.count)
        var at = 0
        while at < json.count {
            let next = json[at...].firstIndex(of: UInt8(ascii: "\"")) ?? json.count
            let between = Array(json[at..<next])
            guard self.apply(between) == between else { return nil }
            masked += between
            at = Self.end(ofStringAt: next, in: json)
            masked += self.apply(string: Array(json[next..<at]))
        }
        return masked
    }

    /// - Parameter token: with its quotes; empty at the end of the text.
    private func apply(string token: [UInt8]) -> [UInt8] {
        // What is no JSON is refused by whoever reads it, and says nothing before that.
        guard let said = (try? JSONValue.parse(token))?.string else { return self.apply(token) }
        let masked = self.apply(said)
        return masked == said ? token : JSONValue.string(masked).encoded()
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
