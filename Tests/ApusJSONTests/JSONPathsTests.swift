import ApusCore
import ApusTestSupport
import Testing

@testable import ApusJSON

@Suite struct JSONPathsTests {
    private func find(_ text: String, _ paths: [DataStep]..., depth: Int = 64) -> [String?] {
        let bytes = Array(text.utf8)
        return bytes.withUnsafeBytes { bytes in
            JSONPaths.find(paths, in: bytes, depth: depth).map { range in
                range.map { String(decoding: bytes[$0], as: UTF8.self) }
            }
        }
    }

    @Test func valuesAreFoundWhereTheyLie() {
        let text = #" {"a": {"b": [1, {"c": "x"}]}, "d e": null, "\u0061b": 2} "#
        #expect(
            self.find(
                text, [.member("a"), .member("b"), .element(1), .member("c")], [.member("d e")], [.member("ab")],
                [.member("a"), .member("b"), .element(2)], [.member("b")]) == [#""x""#, "null", "2", nil, nil])
        #expect(self.find("[[1]]", [.element(0), .element(0)], [.element(0)]) == ["1", "[1]"])
        #expect(self.find("7", [.member("a")]) == [nil])
    }

    @Test func ofTwoMembersTheLaterCounts() {
        #expect(
            self.find(#"{"a": {"b": 1}, "a": {"c": 2}}"#, [.member("a"), .member("b")], [.member("a"), .member("c")])
                == [nil, "2"])
    }

    @Test func textThatIsNoJSONOrTooDeepHasNothing() {
        for text in [#"{"a": 1"#, #"{"a": 1} x"#, #"{"a": 1, }"#, "", #"{"a": 01}"#, "{\"a\": \"\u{1}\"}"] {
            #expect(self.find(text, [.member("a")]) == [nil], "\(text)")
        }
        let nested = #"{"a": 1, "b": "# + String(repeating: "[", count: 9) + String(repeating: "]", count: 9) + "}"
        #expect(self.find(nested, [.member("a")], depth: 10) == ["1"])
        #expect(self.find(nested, [.member("a")], depth: 9) == [nil])
    }

    /// The same grammar as the checker's.
    @Test func itReadsWhatTheCheckerAccepts() {
        let parts = [
            "{", "}", "[", "]", ":", ",", "\"a\"", "\"\\u0061\"", "1", "-0.5e3", "true", "null", " ", "tru", "01", "\"",
        ]
        var random = SeededGenerator(seed: 7)
        var accepted = 0
        for _ in 0..<30_000 {
            let text = (0..<random.next() % 9).map { _ in parts[Int(random.next() >> 33) % parts.count] }.joined()
            let bytes = Array("[\(text)]".utf8)
            let isJSON = bytes.withUnsafeBytes { bytes in
                do throws(JSONSyntaxError) {
                    try JSONChecker.check(bytes)
                    return true
                } catch { return false }
            }
            accepted += isJSON ? 1 : 0
            let found = bytes.withUnsafeBytes { JSONPaths.find([[]], in: $0) }
            if (found[0] != nil) != isJSON { Issue.record("[\(text)] is JSON for one and none for the other") }
        }
        #expect(accepted > 150, "\(accepted)")
    }
}
