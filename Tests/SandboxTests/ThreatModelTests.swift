import Glibc
import Testing

@Suite("The threat model")
struct ThreatModelTests {
    /// The claims of its table with the tests beside them.
    static func claims(in text: String) -> [(claim: String, tests: [String])] {
        var claims: [(String, [String])] = []
        var isTable = false
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("| claim |") { isTable = true }
            if !line.hasPrefix("|") { isTable = false }
            guard isTable, !line.hasPrefix("|---"), !line.hasPrefix("| claim |") else { continue }
            let cells = line.split(separator: "|", omittingEmptySubsequences: true).map(Self.trimmed)
            let tests = (cells.last ?? "").split(separator: ";").map { Self.trimmed($0) }.filter { !$0.isEmpty }
            claims.append((cells.first ?? "", cells.count == 4 ? tests : []))
        }
        return claims
    }

    private static func trimmed(_ text: Substring) -> String {
        String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }

    @Test("Every claim names tests, and all of them exist")
    func claimsAreTested() throws {
        let claims = Self.claims(in: TestFiles.read("\(Laboratory.packageFolder)/docs/threat-model.md") ?? "")
        #expect(claims.count > 20)
        let names = TestNames.all()
        for (claim, tests) in claims {
            #expect(!tests.isEmpty, "\(claim): no test")
            for test in tests { #expect(names.contains(test), "\(claim): there is no test '\(test)'") }
        }
    }

    @Test("A claim without a test, and a test that is not there, are noticed")
    func noticesGaps() {
        let claims = Self.claims(
            in: "| claim | against | by | tests |\n|---|---|---|---|\n| a | b | c |  |\n| d | e | f | g; h |\n")
        #expect(claims.map(\.claim) == ["a", "d"] && claims.map(\.tests) == [[], ["g", "h"]])
        #expect(!TestNames.all().contains("a test that nobody wrote"))
    }
}
