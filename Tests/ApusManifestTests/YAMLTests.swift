import ApusCore
import ApusJSON
import Testing

@testable import ApusManifest

@Suite struct YAMLTests {
    func read(_ text: String) -> (json: [JSONValue], problems: [String]) {
        self.read(Array(text.utf8))
    }

    func read(_ bytes: [UInt8]) -> (json: [JSONValue], problems: [String]) {
        let result = YAMLReader.read(SourceText(file: "f", bytes: bytes))
        return (result.documents.map(\.json), result.problems.map(\.description))
    }

    @Test func plainScalarsFollowTheCoreSchema() {
        let text =
            "[no, on, yes, y, true, FALSE, ~, null, 12, -3, 0o17, 0x1F, 017, 1.5, .5, 1e3, 1_000, 12:30, \"5\", 'true', !!str 7, 1e, +, ., 0x, 0o8]"
        let expected: JSONValue = [
            "no", "on", "yes", "y", true, false, nil, nil, 12, -3, 15, 31, 17, 1.5, 0.5, 1000.0, "1_000", "12:30", "5",
            "true", "7", "1e",
            "+", ".", "0x", "0o8",
        ]
        #expect(self.read(text).json == [expected])
    }

    @Test func aliasesAndMergesStandForTheirAnchors() {
        let text = """
            base: &base {a: 1, b: 2}
            other: {<<: *base, b: 3}
            many: {<<: [{c: 4}, *base], a: 5}
            list: [&x hello, *x]
            """
        let result = self.read(text)
        #expect(result.problems == [])
        #expect(
            result.json == [
                [
                    "base": ["a": 1, "b": 2], "other": ["b": 3, "a": 1], "many": ["a": 5, "c": 4, "b": 2],
                    "list": ["hello", "hello"],
                ]
            ])
    }

    @Test(arguments: [
        ("a: 1\nb: 2\na: 3", "f:3:1: the field `a` is there twice, expected it once"),
        ("a: *x", "f:1:4: the alias `*x` has no anchor before it"),
        ("a: &x [*x]", "f:1:8: the alias `*x` has no anchor before it"),
        ("? [a]\n: b", "f:1:3: this name is no plain text, expected the name of a field"),
        (
            "a: !!python/object b",
            "f:1:4: the tag `tag:yaml.org,2002:python/object` is not known, expected a value without a tag"
        ),
        ("a: {<<: 5}", "f:1:9: `<<` merges `5`, expected a mapping or a list of mappings"),
        ("a: [1, 2", "f:1:9: not YAML: did not find expected ',' or ']' while parsing a flow sequence"),
        (
            "a:\n\tb: 1",
            "f:2:1: not YAML: found character that cannot start any token while scanning for the next token"
        ),
        ("a: \"\u{7}\"", "f:1:5: not YAML: control characters are not allowed"),
    ])
    func whatIsWrongHasAPlace(text: String, expected: String) { #expect(self.read(text).problems == [expected]) }

    @Test func whatIsNotUTF8HasAPlace() {
        #expect(
            self.read(Array("é: 1\nb: ".utf8) + [0xFF]).problems == [
                "f:2:4: this byte is not UTF-8, expected UTF-8 text"
            ])
        #expect(self.read(Array("é: \u{0}".utf8)).problems.count == 1)
    }

    @Test func whatComesBeforeASyntaxErrorIsStillRead() {
        let result = self.read("a: 1\n---\nb: [")
        #expect(result.json == [["a": 1]])
        #expect(result.problems.count == 1)
    }

    @Test func laughsAreNotBillions() {
        var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        for level in 1...9 {
            text +=
                "a\(level): &a\(level) [" + Array(repeating: "*a\(level - 1)", count: 10).joined(separator: ", ")
                + "]\n"
        }
        #expect(self.read(text).problems.first?.contains("too many values") == true)
    }

    @Test func boundsHoldAtTheirLimits() {
        func nested(_ depth: Int) -> String {
            String(repeating: "[", count: depth) + "1" + String(repeating: "]", count: depth)
        }
        #expect(self.read(nested(Limits.Manifest.depth)).problems == [])
        #expect(self.read(nested(Limits.Manifest.depth + 1)).problems.count == 1)
        func aliases(_ count: Int) -> String { "[&a x" + String(repeating: ", *a", count: count) + "]" }
        #expect(self.read(aliases(Limits.Manifest.aliases)).problems == [])
        #expect(self.read(aliases(Limits.Manifest.aliases + 1)).problems.count == 1)
        func documents(_ count: Int) -> String { String(repeating: "---\na\n", count: count) }
        #expect(self.read(documents(Limits.Manifest.documents)).problems == [])
        #expect(self.read(documents(Limits.Manifest.documents + 1)).problems.count == 1)
        func nodes(_ count: Int) -> String { "[" + String(repeating: "1,", count: count - 1) + "]" }
        #expect(self.read(nodes(Limits.Manifest.nodes)).problems == [])
        #expect(self.read(nodes(Limits.Manifest.nodes + 1)).problems.count == 1)
        func bytes(_ count: Int) -> String { "#" + String(repeating: "x", count: count - 1) }
        #expect(self.read(bytes(Limits.Manifest.textBytes)).problems == [])
        #expect(self.read(bytes(Limits.Manifest.textBytes + 1)).problems.count == 1)
    }

    @Test(arguments: ["", "# nothing", "---\n---\n", "~"])
    func aFileWithoutADocumentIsRefused(text: String) {
        #expect(errors(text) == ["f.yaml:1:1: there is no document, expected a Function, a Topic, a ToolServer, an Upstream or an Agent"])
    }

    @Test func amountsAreReadAndWritten() {
        #expect(Quantity.span("200ms") == .milliseconds(200))
        #expect(Quantity.span("7d")?.description == "7d")
        for text in ["", "s", "5", "1.5s", "-1s", "5 s", "5S", "99999999999999d", "٣s"] {
            #expect(Quantity.span(text) == nil, "\(text)")
        }
        #expect(Quantity.bytes("512Mi") == 512 << 20)
        #expect(Quantity.bytes("1000") == 1_000)
        #expect(Quantity.bytes("2k") == 2_000)
        #expect(Quantity.text(bytes: 1536 << 20) == "1536Mi")
        #expect(Quantity.text(bytes: 0) == "0")
        #expect(Quantity.cpuMillis("1") == 1_000)
        #expect(Quantity.cpuMillis("0.25") == 250)
        #expect(Quantity.cpuMillis("500m") == 500)
        for text in ["", "m", ".5", "1.", "1.2345", "-1", "1.5m", "1.2.3"] {
            #expect(Quantity.cpuMillis(text) == nil, "\(text)")
        }
    }

    @Test func momentsAreReadAndWritten() {
        #expect(Moment.parse("1970-01-01T00:00:00Z") == .zero)
        #expect(Moment.parse("2000-02-29T12:34:56.000001Z")?.microseconds == 951_827_696_000_001)
        #expect(Moment.parse("2026-07-28T14:00:00+02:00") == Moment.parse("2026-07-28T12:00:00Z"))
        for text in [
            "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-01-01", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00",
            "0000-01-01T00:00:00Z",
        ] {
            #expect(Moment.parse(text) == nil, "\(text)")
        }
        for day in stride(from: Int64(-719_000), to: 2_900_000, by: 997) {
            let moment = Timestamp(microseconds: day * 86_400_000_000 + 12_345_678)
            #expect(Moment.parse(Moment.text(moment)) == moment, "\(Moment.text(moment))")
        }
    }
}
