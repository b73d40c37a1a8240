import ApusCore
import Testing

@testable import ApusStore

@Suite struct IgnoreRulesTests {
    @Test(arguments: [
        ("*.log", "a.log", true), ("*.log", "deep/er/a.log", true), ("*.log", "a.logs", false),
        ("/*.log", "deep/a.log", false),
        ("/*.log", "a.log", true), ("build/out", "build/out", true), ("build/out", "x/build/out", false),
        ("a/**/b", "a/b", true),
        ("a/**/b", "a/x/y/b", true), ("a/**/b", "a/x/y/c", false), ("a/**", "a/x/y", true), ("a/**", "a", false),
        ("f?o", "foo", true), ("f?o", "f/o", false), ("[a-c]x", "bx", true), ("[!a-c]x", "bx", false),
        ("[!a-c]x", "dx", true),
        ("[]]x", "]x", true), ("\\*x", "*x", true), ("\\*x", "ax", false), ("# note", "# note", false),
        ("\\#x", "#x", true),
        ("*a*b*c", "xaybzc", true), ("*a*b*c", "xaybz", false), ("*", "anything", true),
        ("**/x/*.t", "p/q/x/a.t", true),
        ("x ", "x", true), ("", "x", false),
    ])
    func aPatternIgnores(_ pattern: String, _ path: String, _ isIgnored: Bool) throws {
        #expect(try IgnoreRules(pattern).ignores(path, isDirectory: false) == isIgnored)
    }

    @Test func theLastMatchingPatternDecides() throws {
        let rules = try IgnoreRules("*.txt\n!keep.txt\nkeep.txt.old\n")
        #expect(rules.ignores("a.txt", isDirectory: false))
        #expect(!rules.ignores("keep.txt", isDirectory: false))
    }

    @Test func aSlashAtTheEndMeansFoldersOnly() throws {
        let rules = try IgnoreRules("out/")
        #expect(rules.ignores("out", isDirectory: true))
        #expect(!rules.ignores("out", isDirectory: false))
    }

    @Test func defaultsHoldUnlessTakenBack() throws {
        #expect(try IgnoreRules().ignores("a/__pycache__", isDirectory: true))
        #expect(try !IgnoreRules("!__pycache__/").ignores("a/__pycache__", isDirectory: true))
    }

    @Test func aMalformedPatternIsAnErrorWithItsLine() {
        let error = #expect(throws: ApusError.self) { try IgnoreRules("ok\n[abc\n") }
        #expect(error?.message.contains(":2:") == true)
    }

    @Test func patternsAreBounded() throws {
        let most = Limits.Bundle.ignorePatterns - IgnoreRules.defaults.count
        #expect(try IgnoreRules(String(repeating: "x\n", count: most)).ignores("x", isDirectory: false))
        #expect(throws: ApusError.self) { try IgnoreRules(String(repeating: "x\n", count: most + 1)) }
    }

    @Test func manyStarsDoNotTakeForEver() throws {
        let pattern = String(repeating: "*a", count: 200) + "b"
        let rules = try IgnoreRules(pattern)
        #expect(!rules.ignores(String(repeating: "a", count: 4_000), isDirectory: false))
    }
}
