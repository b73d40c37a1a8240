import ApusCore
import ApusTestSupport
import Testing

@testable import ApusSchema

private func finds(_ pattern: String, _ text: String) throws -> Bool {
    var work = 0
    let compiled = try Pattern(pattern)
    return Array(text.utf8).withUnsafeBytes { compiled.matches($0, work: &work, workMax: .max) }
}

private func complaint(_ pattern: String) -> String? {
    do throws(PatternError) {
        _ = try Pattern(pattern)
        return nil
    } catch {
        return error.description
    }
}

@Suite struct PatternTests {
    @Test(arguments: [
        ("", "anything", true), ("b", "abc", true), ("^b", "abc", false), ("^abc$", "abc", true),
        ("^abc$", "abcd", false),
        ("^a|b$", "ax", true), ("^a|b$", "xb", true), ("^a|b$", "xbx", false), ("^(?:a|b)*$", "abba", true),
        ("^a{2,3}$", "a", false), ("^a{2,3}$", "aaa", true), ("^a{2,3}?$", "aaaa", false), ("^a{2}$", "aa", true),
        ("^a{2,}$", "aaaaaa", true), ("^a{0}$", "", true), ("^(a*)*$", "aaa", true), ("^(|a)+$", "aa", true),
        ("^.$", "😀", true), ("^.$", "\n", false), ("^.$", "\u{2028}", false), ("^[^a]$", "\n", true),
        (#"^\d+$"#, "0123456789", true), (#"^\d$"#, "٣", false), (#"^\w+$"#, "aZ_9", true), (#"^\w$"#, "é", false),
        (#"^\s$"#, "\u{FEFF}", true), (#"^\s$"#, "\u{3000}", true), (#"^\S$"#, "\u{A0}", false),
        (#"^[\D]$"#, "x", true),
        (#"\bfoo\b"#, "a foo b", true), (#"\bfoo\b"#, "afoo", false), (#"\Bfoo"#, "afoo", true), (#"^\b"#, "", false),
        (#"^[a\-z]$"#, "-", true), ("^[a-]$", "-", true), ("^[]$", "a", false), ("^[^]$", "a", true),
        (#"^[\b]$"#, "\u{8}", true),
        (#"^\u0041\x42\u{43}\cJ\0$"#, "ABC\n\0", true), (#"^\ud83d\ude00$"#, "😀", true),
        (#"^[\u{1F600}-\u{1F64F}]$"#, "😀", true),
        (#"^\p{L}+$"#, "Łódź", true), (#"^\p{Lu}$"#, "ł", false), (#"^\P{L}$"#, "1", true),
        (#"^[\p{N}_]+$"#, "٣_1", true),
        (#"^[^\p{L}]$"#, "é", false), (#"^\p{Script=Greek}+$"#, "αβγ", true), (#"^\p{sc=Grek}$"#, "a", false),
        (#"^\p{Letter}$"#, "x", true), (#"^\p{gc=Decimal_Number}$"#, "٣", true), (#"^\p{Alphabetic}$"#, "ª", true),
        (#"^\p{Emoji_Presentation}$"#, "😀", true), (#"^(?<year>\d{4})-(?<day>\d\d)$"#, "2026-31", true),
        (#"^[\w.+-]+@[a-z]+\.[a-z]{2,}$"#, "some.one+x@example.com", true), (#"^\/\.\-\_\@$"#, "/.-_@", true),
        ("^{x}]$", "{x}]", true), ("^é$", "e\u{301}", false),
    ])
    func isFound(pattern: String, text: String, expected: Bool) throws {
        #expect(try finds(pattern, text) == expected, "\(pattern) in \(text)")
    }

    @Test(arguments: [
        ("(?=a)", "looks ahead"), ("(?!a)", "looks ahead"), ("(?<=a)", "looks behind"), ("(?<!a)", "looks behind"),
        (#"(a)\1"#, "refers back"), (#"(?<n>a)\k<n>"#, "refers back"), ("(a", "without its `)`"),
        ("a)", "without its `(`"),
        ("[a", "without its `]`"), ("*a", "nothing before it"), ("a**", "two quantifiers"), ("a{3,2}", "swapped"),
        ("[z-a]", "swapped"), (#"[\d-z]"#, "end of a range"), (#"\Z"#, "does not know"),
        (#"\p{Nope}"#, #"has `\p{Nope}`"#),
        (#"\p{Script=Klingon}"#, "scripts"), (#"\u{110000}"#, "above 10FFFF"), (#"\x4"#, "2 hexadecimal digits"),
        ("(?i:a)", "neither"), ("(?<1>a)", "name is none"), ("(?<a>x)(?<a>y)", "two groups named"), ("^*", "no width"),
        ("a\\", "ends with a backslash"), (#"\00"#, "octal"), ("a{99999}", "repeats too much"),
        ("(a{1000}){1000}", "repeats too much"), ("((){1000}){1000}", "repeats too much"),
    ])
    func isRefused(pattern: String, reason: String) {
        #expect(complaint(pattern)?.contains(reason) == true, "\(pattern): \(complaint(pattern) ?? "accepted")")
    }

    @Test func lengthAndDepthAreBounded() {
        let most = Limits.Schema.patternCharacters
        #expect(complaint(String(repeating: "a", count: most)) == nil)
        #expect(complaint(String(repeating: "a", count: most + 1))?.contains("at most \(most)") == true)
        let deep = Limits.Schema.patternDepth
        #expect(complaint(String(repeating: "(", count: deep) + String(repeating: ")", count: deep)) == nil)
        #expect(complaint(String(repeating: "(", count: deep + 1) + String(repeating: ")", count: deep + 1)) != nil)
        #expect(complaint("a{\(Limits.Schema.patternInstructions - 1)}") == nil)
    }

    /// The patterns that take a backtracking matcher for ever: the work grows as the text does.
    @Test(arguments: ["^(a+)+$", "^(a|a)*$", "(a|aa)+$", "^(.*)*b$", "(x+x+)+y", #"^(\w+\s?)*$"#])
    func workIsLinear(pattern: String) throws {
        let compiled = try Pattern(pattern)
        func work(_ count: Int) -> Int {
            var work = 0
            let text = Array((String(repeating: pattern.contains("x") ? "x" : "a", count: count) + "!").utf8)
            text.withUnsafeBytes { _ = compiled.matches($0, work: &work, workMax: .max) }
            return work
        }
        #expect(work(20_000) <= work(10_000) * 2 + 100)
        #expect(work(10_000) < 10_000 * 40)
    }

    @Test func givesUpPastTheWorkAllowed() throws {
        var work = 0
        let text = [UInt8](repeating: UInt8(ascii: "a"), count: 100_000)
        let compiled = try Pattern("^(a+)+$")
        #expect(text.withUnsafeBytes { !compiled.matches($0, work: &work, workMax: 1_000) })
        #expect(work > 1_000 && work < 1_100)
    }

    /// Random small patterns against a matcher that tries everything.
    @Test(arguments: [UInt64(1), 2, 3])
    func agreesWithOneThatTriesEverything(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<600 {
            let node = RandomPattern.make(depth: 3, &random)
            let compiled = try Pattern(node.text)
            for _ in 0..<6 {
                let text = (0..<Int.random(in: 0...6, using: &random)).map { _ in
                    ["a", "b", "é", "_"].randomElement(using: &random) ?? "a"
                }
                .joined()
                var work = 0
                let found = Array(text.utf8).withUnsafeBytes { compiled.matches($0, work: &work, workMax: .max) }
                #expect(found == node.isFound(in: Array(text.unicodeScalars)), "\(node.text) in \(text), seed \(seed)")
            }
        }
    }
}

/// A pattern that can write itself and be matched by trying every way.
private indirect enum RandomPattern {
    case letter(Unicode.Scalar)
    case oneOf([Unicode.Scalar], isNegated: Bool)
    case dot
    case start
    case end
    case wordEdge(Bool)
    case sequence([RandomPattern])
    case choice([RandomPattern])
    case repeated(RandomPattern, Int, Int?, isLazy: Bool)

    static func make(depth: Int, _ random: inout SeededGenerator) -> RandomPattern {
        let letters: [Unicode.Scalar] = ["a", "b", "é", "_"]
        switch Int.random(in: 0..<(depth == 0 ? 8 : 16), using: &random) {
        case 0...3: return .letter(letters[Int.random(in: 0..<4, using: &random)])
        case 4:
            return .oneOf(letters.filter { _ in Bool.random(using: &random) }, isNegated: Bool.random(using: &random))
        case 5: return .dot
        case 6: return Bool.random(using: &random) ? .start : .end
        case 7: return .wordEdge(Bool.random(using: &random))
        case 8...10:
            return .sequence(
                (0..<Int.random(in: 0...3, using: &random)).map { _ in Self.make(depth: depth - 1, &random) })
        case 11...12:
            return .choice(
                (0..<Int.random(in: 1...3, using: &random)).map { _ in Self.make(depth: depth - 1, &random) })
        default:
            let least = Int.random(in: 0...2, using: &random)
            let most = Bool.random(using: &random) ? nil : least + Int.random(in: 0...2, using: &random)
            return .repeated(Self.make(depth: depth - 1, &random), least, most, isLazy: Bool.random(using: &random))
        }
    }

    var text: String {
        switch self {
        case .letter(let letter): String(letter)
        case .oneOf(let letters, let isNegated): "[\(isNegated ? "^" : "")\(letters.map { String($0) }.joined())]"
        case .dot: "."
        case .start: "^"
        case .end: "$"
        case .wordEdge(let isEdge): isEdge ? "\\b" : "\\B"
        case .sequence(let parts): "(?:\(parts.map(\.text).joined()))"
        case .choice(let parts): "(\(parts.map(\.text).joined(separator: "|")))"
        case .repeated(let part, let least, let most, let isLazy):
            "(\(part.text)){\(least)\(most.map { $0 == least ? "" : ",\($0)" } ?? ",")}\(isLazy ? "?" : "")"
        }
    }

    func isFound(in text: [Unicode.Scalar]) -> Bool {
        (0...text.count).contains { self.matches(text, $0) { _ in true } }
    }

    private func matches(_ text: [Unicode.Scalar], _ at: Int, _ rest: (Int) -> Bool) -> Bool {
        switch self {
        case .letter(let letter): return at < text.count && text[at] == letter && rest(at + 1)
        case .oneOf(let letters, let isNegated):
            return at < text.count && letters.contains(text[at]) != isNegated && rest(at + 1)
        case .dot: return at < text.count && rest(at + 1)
        case .start: return at == 0 && rest(at)
        case .end: return at == text.count && rest(at)
        case .wordEdge(let isEdge):
            let before = at > 0 && "ab_".unicodeScalars.contains(text[at - 1])
            let after = at < text.count && "ab_".unicodeScalars.contains(text[at])
            return (before != after) == isEdge && rest(at)
        case .sequence(let parts): return Self.all(parts[...], text, at, rest)
        case .choice(let parts): return parts.contains { $0.matches(text, at, rest) }
        case .repeated(let part, let least, let most, _):
            if least > 0 {
                return part.matches(text, at) {
                    Self.repeated(part, least - 1, most.map { $0 - 1 }, isLazy: false).matches(text, $0, rest)
                }
            }
            if rest(at) { return true }
            guard most != 0 else { return false }
            // Going round without taking anything leads nowhere new.
            return part.matches(text, at) {
                $0 > at && Self.repeated(part, 0, most.map { $0 - 1 }, isLazy: false).matches(text, $0, rest)
            }
        }
    }

    private static func all(
        _ parts: ArraySlice<RandomPattern>, _ text: [Unicode.Scalar], _ at: Int, _ rest: (Int) -> Bool
    ) -> Bool {
        guard let first = parts.first else { return rest(at) }
        return first.matches(text, at) { Self.all(parts.dropFirst(), text, $0, rest) }
    }
}
