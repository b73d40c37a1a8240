/// A template of URIs with variables, of level 1 of RFC 6570: `test://template/{id}/data`.
public struct URITemplate: Sendable, Equatable {
    enum Part: Sendable, Equatable {
        case literal([UInt8])
        case variable(String)
    }

    public let text: String
    let parts: [Part]

    /// - Returns: nil when braces do not match, a variable has no name or comes twice, or two stand side by side.
    public init?(_ text: String) {
        var parts: [Part] = []
        var rest = Substring(text)
        while !rest.isEmpty {
            if rest.first == "{" {
                guard let end = rest.firstIndex(of: "}") else { return nil }
                let name = String(rest[rest.index(after: rest.startIndex)..<end])
                guard TextRule.isIdentifier(name), !parts.contains(.variable(name)) else { return nil }
                if case .variable = parts.last { return nil }
                parts.append(.variable(name))
                rest = rest[rest.index(after: end)...]
            } else {
                let literal = rest.prefix { $0 != "{" }
                guard !literal.contains("}") else { return nil }
                parts.append(.literal(Array(literal.utf8)))
                rest = rest[literal.endIndex...]
            }
        }
        self.text = text
        self.parts = parts
    }

    public var variables: [String] {
        self.parts.compactMap { if case .variable(let name) = $0 { name } else { nil } }
    }

    /// What its variables stand for in a URI, as written there; nil when the URI is not of this form. A value ends at `/`, `?` or
    /// `#`, and is never empty.
    public func values(in uri: String) -> [(name: String, value: String)]? {
        let bytes = Array(uri.utf8)
        var at = 0
        var values: [(name: String, value: String)] = []
        for (index, part) in self.parts.enumerated() {
            switch part {
            case .literal(let literal):
                guard bytes[at...].starts(with: literal) else { return nil }
                at += literal.count
            case .variable(let name):
                let end = self.end(of: index, in: bytes, from: at)
                guard let end, end > at else { return nil }
                values.append((name, String(decoding: bytes[at..<end], as: UTF8.self)))
                at = end
            }
        }
        return at == bytes.count ? values : nil
    }

    /// Where the value of the variable ends: where the next literal begins first, or where no value goes on.
    private func end(of index: Int, in bytes: [UInt8], from start: Int) -> Int? {
        let stop = bytes[start...].firstIndex { [0x2F, 0x3F, 0x23].contains($0) } ?? bytes.count
        guard index + 1 < self.parts.count, case .literal(let next) = self.parts[index + 1] else { return stop }
        guard start < bytes.count else { return nil }
        return (start...stop).first { $0 > start && bytes[$0...].starts(with: next) }
    }
}
