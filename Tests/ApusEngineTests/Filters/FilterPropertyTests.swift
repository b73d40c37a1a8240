import ApusCore
import ApusTestSupport
import Testing

@testable import ApusEngine
@testable import ApusManifest

/// Filters and events that nobody would think of.
private struct FilterGenerator {
    var random: ApusTestSupport.SeededGenerator

    static let words = [
        "a", "b", "id", "type", "", "5", "-5", "true", "2147483647", "Zoë😀", "a%b", "_", "\\", "%", "x y",
    ]
    private static let names = ["id", "type", "a", "b", "key", "missing", "specversion"]

    mutating func below(_ bound: Int) -> Int { Int(truncatingIfNeeded: self.random.next() >> 33) % bound }
    mutating func one<Element>(_ choices: [Element]) -> Element { choices[self.below(choices.count)] }

    mutating func reference() -> FilterReference {
        switch self.below(5) {
        case 0: .header(self.one(["h", "a"]))
        case 1: .data([.member(self.one(["a", "b"]))] + (self.below(2) == 0 ? [] : [.element(self.below(3))]))
        default: .attribute(self.one(Self.names))
        }
    }

    mutating func expression(_ depth: Int) -> FilterExpression {
        switch self.below(depth == 0 ? 4 : 11) {
        case 0: return .boolean(self.below(2) == 0)
        case 1: return .integer(self.one([0, 1, -1, 5, .max, .min, 100]))
        case 2: return .text(self.one(Self.words))
        case 3: return .value(self.reference())
        case 4: return .exists(self.reference())
        case 5: return .not(self.expression(depth - 1))
        case 6: return .negated(self.expression(depth - 1))
        case 7:
            return .like(
                self.expression(depth - 1), pattern: (0..<self.below(4)).map { _ in self.one(Self.words) }.joined(),
                isNegated: self.below(2) == 0)
        case 8:
            return .isIn(
                self.expression(depth - 1), (0...self.below(3)).map { _ in self.expression(depth - 1) },
                isNegated: self.below(2) == 0)
        case 9:
            let function = self.one(FilterFunction.allCases)
            return .call(
                self.below(20) == 0 ? "NOSUCH" : function.name,
                (0..<self.below(4)).map { _ in self.expression(depth - 1) })
        default:
            return .binary(
                FilterOperator(rawValue: UInt8(self.below(14))) ?? .and, self.expression(depth - 1),
                self.expression(depth - 1))
        }
    }

    mutating func filter(_ depth: Int) -> EventFilter {
        switch self.below(depth == 0 ? 4 : 7) {
        case 0: .exact(self.conditions())
        case 1: .prefix(self.conditions())
        case 2: .suffix(self.conditions())
        case 3: .sql("", self.expression(4))
        case 4: .all((0..<self.below(4)).map { _ in self.filter(depth - 1) })
        case 5: .any((0..<self.below(4)).map { _ in self.filter(depth - 1) })
        default: .not(self.filter(depth - 1))
        }
    }

    private mutating func conditions() -> [FilterCondition] {
        (0..<self.below(3)).map { _ in FilterCondition(self.reference(), self.one(Self.words)) }
    }

    mutating func event() -> Event {
        var event = Event(data: nil)
        if self.below(2) == 0 { event.key = Array(self.one(Self.words).utf8) }
        for _ in 0..<self.below(6) {
            let kind = self.one([.string, .integer, .boolean, .header, .timestamp] as [Attribute.Kind])
            let bytes = self.below(6) == 0 ? self.random.bytes(self.below(9)) : Array(self.one(Self.words).utf8)
            event.attributes.append(Attribute(self.one(["id", "type", "a", "b", "h"]), bytes: bytes, kind: kind))
        }
        switch self.below(4) {
        case 0: event.data = self.random.bytes(self.below(20))
        case 1: event.data = Array(#"{"a": [1, "x", true], "b": -5}"#.utf8)
        case 2: event.data = Array(#"{"b": {"a": "\u00e9"}, "a": "5"}"#.utf8)
        default: break
        }
        return event
    }
}

@Suite struct FilterPropertyTests {
    private static let seed: UInt64 = 20_261_122

    private func each(_ turns: Int, _ body: (inout FilterGenerator, String) throws -> Void) rethrows {
        print("filters: seed \(Self.seed)")
        var generator = FilterGenerator(random: ApusTestSupport.SeededGenerator(seed: Self.seed))
        for turn in 0..<turns { try body(&generator, "turn \(turn) of seed \(Self.seed)") }
    }

    @Test func noFilterFailsOnAnyEventAndTheLawsOfLogicHold() throws {
        var matches = 0
        try self.each(10_000) { generator, turn in
            let (one, other, event) = (generator.filter(3), generator.filter(3), generator.event())
            let (left, right) = (try self.isMatch(one, event), try self.isMatch(other, event))
            matches += left ? 1 : 0
            let laws: [(EventFilter, Bool)] = [
                (.not(one), !left), (.not(.not(one)), left), (.all([one, other]), left && right),
                (.any([one, other]), left || right), (.any([other, one]), left || right), (.all([one]), left),
                (.not(.all([.not(one), .not(other)])), left || right), (.any([]), false), (.all([]), true),
            ]
            for (index, (filter, expected)) in laws.enumerated() where try self.isMatch(filter, event) != expected {
                Issue.record("law \(index) does not hold in \(turn): \(one), \(other), \(event)")
            }
        }
        // Without both outcomes the laws would hold of nothing.
        #expect((1_000..<9_000).contains(matches), "\(matches)")
    }

    private func isMatch(_ filter: EventFilter, _ event: Event) throws -> Bool {
        try #require(try FilterBed.outcome(filter, event)).isMatch
    }

    /// What an expression is taken for does not depend on how it is written.
    @Test func anyTextIsReadOrRefused() throws {
        let words = [
            "AND", "or", "NOT", "(", ")", "LIKE", "IN", ",", "'a'", "\"%\"", "5", "-", "+", "*", "/", "%", "=", "<>",
            "!=",
            "<", "EXISTS", "type", "data", ".", "[", "]", "headers", "LENGTH", "CONCAT_WS", "é", "\\", "'", " ", "key",
            "XOR",
        ]
        var read = 0
        try self.each(20_000) { generator, _ in
            let text = (0..<generator.below(14)).map { _ in generator.one(words) }.joined(separator: " ")
            let result = try ExpressionResult.of(text, generator.event())
            if result.error != .parse { read += 1 }
        }
        #expect(read > 300, "\(read)")
    }

    /// Backtracking, which takes forever on bad luck, but says the same.
    private func matches(_ pattern: ArraySlice<Unicode.Scalar>, _ text: ArraySlice<Unicode.Scalar>) -> Bool {
        guard let first = pattern.first else { return text.isEmpty }
        if first == "%" {
            return self.matches(pattern.dropFirst(), text)
                || (!text.isEmpty && self.matches(pattern, text.dropFirst()))
        }
        if first == "\\", let next = pattern.dropFirst().first, next == "%" || next == "_" {
            return text.first == next && self.matches(pattern.dropFirst(2), text.dropFirst())
        }
        guard let character = text.first, first == "_" || first == character else { return false }
        return self.matches(pattern.dropFirst(), text.dropFirst())
    }

    @Test func patternsMatchWhatTheirDefinitionSays() {
        var positive = 0
        self.each(30_000) { generator, turn in
            let letters = ["a", "b", "ë", "%", "%", "_", "\\"]
            let pattern = (0..<generator.below(7)).map { _ in generator.one(letters) }.joined()
            let text = (0..<generator.below(8)).map { _ in generator.one(["a", "b", "ë", "%", "_", "\\"]) }.joined()
            let expected = self.matches(Array(pattern.unicodeScalars)[...], Array(text.unicodeScalars)[...])
            positive += expected ? 1 : 0
            let found = Array(text.utf8).withUnsafeBytes { LikePattern(pattern).matches($0) }
            if found != expected { Issue.record("'\(text)' LIKE '\(pattern)' is \(found) in \(turn)") }
        }
        #expect(positive > 1_500, "\(positive)")
    }

    @Test func longPatternsRunInOneWalkOfTheText() {
        let pattern = LikePattern(String(repeating: "%a_", count: 150) + "b")
        let text = [UInt8](repeating: UInt8(ascii: "a"), count: 60_000)
        #expect(!text.withUnsafeBytes { pattern.matches($0) })
        #expect((text + [UInt8(ascii: "b")]).withUnsafeBytes { pattern.matches($0) })
    }
}
