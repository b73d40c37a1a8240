internal import ApusCore

/// Reads a pattern's text.
struct PatternParser {
    private let codes: [UInt32]
    var at = 0
    private var depth = 0
    private var names: Set<String> = []

    init(_ text: String) { self.codes = text.unicodeScalars.map(\.value) }

    mutating func parse() throws(PatternError) -> PatternNode {
        guard self.codes.count <= Limits.Schema.patternCharacters else {
            throw PatternError(
                "has \(self.codes.count) characters; at most \(Limits.Schema.patternCharacters) are read")
        }
        let node = try self.choice()
        guard self.at == self.codes.count else { throw self.failure("has a `)` without its `(`") }
        return node
    }

    // MARK: reading code points

    func failure(_ message: String) -> PatternError { PatternError("\(message) (at character \(self.at + 1))") }

    var next: UInt32? { self.at < self.codes.count ? self.codes[self.at] : nil }

    func isNext(_ text: StaticString) -> Bool {
        guard self.at + text.utf8CodeUnitCount <= self.codes.count else { return false }
        for offset in 0..<text.utf8CodeUnitCount where self.codes[self.at + offset] != UInt32(text.utf8Start[offset]) {
            return false
        }
        return true
    }

    mutating func take(_ text: StaticString) -> Bool {
        guard self.isNext(text) else { return false }
        self.at += text.utf8CodeUnitCount
        return true
    }

    // MARK: the grammar

    private mutating func choice() throws(PatternError) -> PatternNode {
        var parts = [try self.sequence()]
        while self.take("|") { parts.append(try self.sequence()) }
        return parts.count == 1 ? parts[0] : .choice(parts)
    }

    private mutating func sequence() throws(PatternError) -> PatternNode {
        var parts: [PatternNode] = []
        while let code = self.next, code != UInt32(ascii: "|"), code != UInt32(ascii: ")") {
            let start = self.at
            let isPlace = self.isNext("^") || self.isNext("$") || self.isNext("\\b") || self.isNext("\\B")
            let part = try self.part()
            parts.append(try self.quantified(part, isPlace: isPlace, from: start))
        }
        return parts.count == 1 ? parts[0] : .sequence(parts)
    }

    private mutating func part() throws(PatternError) -> PatternNode {
        if self.take("^") { return .start }
        if self.take("$") { return .end }
        if self.take("\\b") { return .wordEdge(true) }
        if self.take("\\B") { return .wordEdge(false) }
        if self.take(".") { return .set(.dot) }
        if self.isNext("(") { return try self.group() }
        if self.isNext("[") { return .set(try self.characterClass()) }
        if self.isNext("\\") { return .set(try self.escape()) }
        if self.isNext("*") || self.isNext("+") || self.isNext("?") || self.count(isTaken: false) != nil {
            throw self.failure("has a quantifier with nothing before it")
        }
        let code = self.codes[self.at]
        self.at += 1
        return .set(PatternSet([code...code]))
    }

    private mutating func group() throws(PatternError) -> PatternNode {
        for (text, what) in [("(?=", "ahead"), ("(?!", "ahead"), ("(?<=", "behind"), ("(?<!", "behind")]
            as [(StaticString, String)] where self.isNext(text)
        {
            throw self.failure(
                "looks \(what) with `\(text)…)`, which is not matched here; say it with `not`, `allOf` or a plain pattern"
            )
        }
        _ = self.take("(")
        if self.take("?<") {
            try self.groupName()
        } else if !self.take("?:"), self.isNext("?") {
            throw self.failure("has a group that is neither `(…)`, `(?:…)` nor `(?<name>…)`")
        }
        self.depth += 1
        guard self.depth <= Limits.Schema.patternDepth else {
            throw self.failure("has more than \(Limits.Schema.patternDepth) groups inside one another")
        }
        let node = try self.choice()
        self.depth -= 1
        guard self.take(")") else { throw self.failure("has a `(` without its `)`") }
        return node
    }

    private mutating func groupName() throws(PatternError) {
        var name = ""
        while let code = self.next, code != UInt32(ascii: ">"), let scalar = Unicode.Scalar(code) {
            let properties = scalar.properties
            guard name.isEmpty ? properties.isIDStart : properties.isIDContinue || scalar == "_" || scalar == "$" else {
                guard scalar == "_" || scalar == "$" else { break }
                name.unicodeScalars.append(scalar)
                self.at += 1
                continue
            }
            name.unicodeScalars.append(scalar)
            self.at += 1
        }
        guard !name.isEmpty, self.take(">") else { throw self.failure("has a group whose name is none") }
        guard self.names.insert(name).inserted else { throw self.failure("has two groups named `\(name)`") }
    }

    private mutating func quantified(
        _ part: PatternNode, isPlace: Bool, from start: Int
    ) throws(PatternError) -> PatternNode {
        let bounds: (least: Int, most: Int?)
        if self.take("*") {
            bounds = (0, nil)
        } else if self.take("+") {
            bounds = (1, nil)
        } else if self.take("?") {
            bounds = (0, 1)
        } else if let count = self.count(isTaken: true) {
            bounds = count
        } else {
            return part
        }
        guard !isPlace else {
            self.at = start
            throw self.failure("repeats a place that has no width")
        }
        if let most = bounds.most, most < bounds.least {
            throw self.failure("has a quantifier whose bounds are swapped")
        }
        _ = self.take("?")
        if self.isNext("*") || self.isNext("+") || self.isNext("?") || self.count(isTaken: false) != nil {
            throw self.failure("has two quantifiers in a row; put the first part into `(?:…)`")
        }
        return .repeated(part, least: bounds.least, most: bounds.most)
    }

    /// `{2}`, `{2,}` or `{2,5}`; nil for a brace that is only itself.
    private mutating func count(isTaken: Bool) -> (least: Int, most: Int?)? {
        let start = self.at
        defer { if !isTaken { self.at = start } }
        guard self.take("{"), let least = self.number() else {
            self.at = start
            return nil
        }
        var most: Int? = least
        if self.take(",") { most = self.number() }
        guard self.take("}") else {
            self.at = start
            return nil
        }
        return (least, most)
    }

    /// Stops growing where no program could hold it.
    private mutating func number() -> Int? {
        var value: Int?
        while let code = self.next, (UInt32(ascii: "0")...UInt32(ascii: "9")).contains(code) {
            value = min((value ?? 0) * 10 + Int(code - UInt32(ascii: "0")), Limits.Schema.patternInstructions + 1)
            self.at += 1
        }
        return value
    }
}

extension UInt32 {
    init(ascii: Unicode.Scalar) { self = ascii.value }
}
