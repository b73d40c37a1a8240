public import ApusCore

/// What a bundle leaves out: the patterns of an `.apusignore` file, a subset of what `.gitignore` knows.
///
/// One pattern a line; `#` starts a comment, `!` takes back, `/` at the end means folders only, `/` at the start or in the middle
/// ties the pattern to the source folder, `*` and `?` stop at `/`, `**` does not, `[a-z]` is one of a set, `\` takes the next
/// character as it is. The last pattern that matches decides.
public struct IgnoreRules: Sendable, Equatable {
    /// Left out unless an `.apusignore` takes them back.
    public static let defaults = [
        ".git/", ".hg/", ".svn/", ".apus/", "__pycache__/", ".build/", "*.pyc", ".venv/", ".pytest_cache/",
        ".mypy_cache/",
        ".DS_Store", "/.apusignore",
    ]

    private struct Rule: Sendable, Equatable {
        var pattern: [UInt8]
        var isNegated: Bool
        var isDirectoryOnly: Bool
    }

    private var rules: [Rule] = []

    /// - Throws: `bundle_invalid` with the line of a pattern that cannot be understood.
    public init(_ text: String = "", file: String = ".apusignore") throws(ApusError) {
        for pattern in Self.defaults {
            if let rule = Self.rule(pattern) { self.rules.append(rule) }
        }
        var line = 0
        for raw in text.split(omittingEmptySubsequences: false, whereSeparator: { $0 == "\n" || $0 == "\r\n" }) {
            line += 1
            guard let rule = Self.rule(raw) else { continue }
            guard self.rules.count < Limits.Bundle.ignorePatterns else {
                throw ApusError(
                    .bundleInvalid,
                    "\(file):\(line): more than \(Limits.Bundle.ignorePatterns) patterns; use fewer, wider ones")
            }
            guard Self.isWhole(rule.pattern) else {
                throw ApusError(
                    .bundleInvalid, "\(file):\(line): the pattern '\(raw)' has an unclosed '[' or ends in '\\'")
            }
            self.rules.append(rule)
        }
    }

    /// Whether the entry at `path`, relative to the source folder, is left out. An ignored folder is not looked into.
    public func ignores(_ path: String, isDirectory: Bool) -> Bool {
        let path = Array(path.utf8)
        for rule in self.rules.reversed() where isDirectory || !rule.isDirectoryOnly {
            if Self.matches(rule.pattern[...], path[...]) { return !rule.isNegated }
        }
        return false
    }

    private static func rule(_ line: some StringProtocol) -> Rule? {
        var text = Array(line.utf8)
        while let last = text.last, last == 0x20 || last == 0x09 || last == 0x0D {
            // A trailing space counts when it is escaped.
            if text.count >= 2, text[text.count - 2] == UInt8(ascii: "\\"), last == 0x20 { break }
            text.removeLast()
        }
        guard let first = text.first, first != UInt8(ascii: "#") else { return nil }
        let isNegated = first == UInt8(ascii: "!")
        if isNegated { text.removeFirst() }
        let isDirectoryOnly = text.last == UInt8(ascii: "/")
        if isDirectoryOnly { text.removeLast() }
        guard !text.isEmpty else { return nil }
        if text.contains(UInt8(ascii: "/")) {
            if text.first == UInt8(ascii: "/") { text.removeFirst() }
        } else {
            text.insert(contentsOf: "**/".utf8, at: 0)
        }
        return Rule(pattern: text, isNegated: isNegated, isDirectoryOnly: isDirectoryOnly)
    }

    private static func isWhole(_ pattern: [UInt8]) -> Bool {
        var at = 0
        while at < pattern.count {
            if pattern[at] == UInt8(ascii: "\\") {
                guard at + 1 < pattern.count else { return false }
                at += 2
            } else if pattern[at] == UInt8(ascii: "[") {
                guard let end = Self.setEnd(pattern[at...]) else { return false }
                at = end
            } else {
                at += 1
            }
        }
        return true
    }

    /// The index after the `]` of the set that starts the pattern; nil when there is none.
    private static func setEnd(_ pattern: ArraySlice<UInt8>) -> Int? {
        var at = pattern.startIndex + 1
        if at < pattern.endIndex, pattern[at] == UInt8(ascii: "!") || pattern[at] == UInt8(ascii: "^") { at += 1 }
        // A `]` at the first place is one of the set.
        if at < pattern.endIndex, pattern[at] == UInt8(ascii: "]") { at += 1 }
        guard let close = pattern[min(at, pattern.endIndex)...].firstIndex(of: UInt8(ascii: "]")) else { return nil }
        return close + 1
    }

    /// Greedy with one place to come back to for `*` and one for `**`: linear for one star, and never exponential, because a
    /// later star makes the earlier ones final (those between two `/`, and `**` among themselves).
    private static func matches(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> Bool {
        var pattern = pattern
        var text = text
        var star: (pattern: ArraySlice<UInt8>, text: ArraySlice<UInt8>)?
        var deepStar: (pattern: ArraySlice<UInt8>, text: ArraySlice<UInt8>)?
        while true {
            if pattern.starts(with: "**/".utf8) {
                pattern = pattern.dropFirst(3)
                deepStar = (pattern, text)
                star = nil
                continue
            }
            if pattern.elementsEqual("**".utf8) { return !text.isEmpty }
            if pattern.first == UInt8(ascii: "*") {
                pattern = pattern.drop { $0 == UInt8(ascii: "*") }
                star = (pattern, text)
                continue
            }
            if pattern.isEmpty && text.isEmpty { return true }
            if let rest = Self.step(pattern, text) {
                (pattern, text) = (rest, text.dropFirst())
                continue
            }
            if let back = star, let skipped = back.text.first, skipped != UInt8(ascii: "/") {
                star = (back.pattern, back.text.dropFirst())
                (pattern, text) = (back.pattern, back.text.dropFirst())
            } else if let back = deepStar, let slash = back.text.firstIndex(of: UInt8(ascii: "/")) {
                deepStar = (back.pattern, back.text[(slash + 1)...])
                (pattern, text) = (back.pattern, back.text[(slash + 1)...])
                star = nil
            } else {
                return false
            }
        }
    }

    /// The pattern after what matched the first byte of the text; nil when it does not match.
    private static func step(_ pattern: ArraySlice<UInt8>, _ text: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard let wanted = pattern.first, let byte = text.first else { return nil }
        switch wanted {
        case UInt8(ascii: "?"): return byte == UInt8(ascii: "/") ? nil : pattern.dropFirst()
        case UInt8(ascii: "\\"):
            guard let literal = pattern.dropFirst().first, literal == byte else { return nil }
            return pattern.dropFirst(2)
        case UInt8(ascii: "["):
            guard byte != UInt8(ascii: "/"), let end = Self.setEnd(pattern) else { return nil }
            return Self.set(pattern[(pattern.startIndex + 1)..<(end - 1)], contains: byte) ? pattern[end...] : nil
        default: return wanted == byte ? pattern.dropFirst() : nil
        }
    }

    private static func set(_ set: ArraySlice<UInt8>, contains byte: UInt8) -> Bool {
        var set = set
        let isNegated = set.first == UInt8(ascii: "!") || set.first == UInt8(ascii: "^")
        if isNegated { set = set.dropFirst() }
        var isMember = false
        while let low = set.first {
            if set.count >= 3, set[set.startIndex + 1] == UInt8(ascii: "-") {
                let high = set[set.startIndex + 2]
                if low <= high, (low...high).contains(byte) { isMember = true }
                set = set.dropFirst(3)
            } else {
                if low == byte { isMember = true }
                set = set.dropFirst()
            }
        }
        return isMember != isNegated
    }
}
