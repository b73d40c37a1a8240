/// A reference of RFC 3986, as far as schemas use them: parsed, resolved against a base, never fetched.
struct SchemaURI {
    private var scheme: String?
    private var authority: String?
    private var path = ""
    private var query: String?
    private(set) var fragment: String?

    init(_ text: String) {
        var rest = Substring(text)
        if let mark = rest.utf8.firstIndex(of: UInt8(ascii: "#")) {
            self.fragment = String(rest[rest.utf8.index(after: mark)...])
            rest = rest[..<mark]
        }
        if let mark = rest.utf8.firstIndex(of: UInt8(ascii: "?")) {
            self.query = String(rest[rest.utf8.index(after: mark)...])
            rest = rest[..<mark]
        }
        if let colon = rest.utf8.firstIndex(of: UInt8(ascii: ":")), Self.isScheme(rest[..<colon]) {
            self.scheme = String(rest[..<colon]).lowercased()
            rest = rest[rest.utf8.index(after: colon)...]
        }
        if rest.hasPrefix("//") {
            rest = rest.dropFirst(2)
            let slash = rest.utf8.firstIndex(of: UInt8(ascii: "/")) ?? rest.endIndex
            self.authority = String(rest[..<slash])
            rest = rest[slash...]
        }
        self.path = String(rest)
    }

    private static func isScheme(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, Self.isLetter(first) else { return false }
        return text.utf8.allSatisfy {
            Self.isLetter($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: "+")
                || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".")
        }
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
    }

    var withoutFragment: String {
        var text = self.scheme.map { $0 + ":" } ?? ""
        if let authority = self.authority { text += "//" + authority }
        text += self.path
        if let query = self.query { text += "?" + query }
        return text
    }

    /// RFC 3986, section 5.2.2.
    func resolved(against base: SchemaURI) -> SchemaURI {
        var result = self
        guard self.scheme == nil else {
            result.path = Self.withoutDots(self.path)
            return result
        }
        result.scheme = base.scheme
        guard self.authority == nil else {
            result.path = Self.withoutDots(self.path)
            return result
        }
        result.authority = base.authority
        if self.path.isEmpty {
            result.path = base.path
            if self.query == nil { result.query = base.query }
        } else if self.path.hasPrefix("/") {
            result.path = Self.withoutDots(self.path)
        } else {
            result.path = Self.withoutDots(self.merged(base))
        }
        return result
    }

    private func merged(_ base: SchemaURI) -> String {
        if base.authority != nil && base.path.isEmpty { return "/" + self.path }
        guard let slash = base.path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return self.path }
        return base.path[...slash] + self.path
    }

    private static func withoutDots(_ path: String) -> String {
        guard path.hasPrefix("/") else { return path }
        var kept: [Substring] = []
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        for (index, part) in parts.enumerated() {
            let isLast = index == parts.count - 1
            switch part {
            case ".": if isLast { kept.append("") }
            case "..":
                _ = kept.popLast()
                if isLast { kept.append("") }
            default: kept.append(part)
            }
        }
        return "/" + kept.joined(separator: "/")
    }

    /// The fragment's bytes with `%41` made `A`.
    var decodedFragment: [UInt8] {
        var bytes: [UInt8] = []
        let text = Array((self.fragment ?? "").utf8)
        var index = 0
        while index < text.count {
            if text[index] == UInt8(ascii: "%"), index + 2 < text.count, let high = Self.hexValue(text[index + 1]),
                let low = Self.hexValue(text[index + 2])
            {
                bytes.append(high << 4 | low)
                index += 3
            } else {
                bytes.append(text[index])
                index += 1
            }
        }
        return bytes
    }

    private static func hexValue(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
