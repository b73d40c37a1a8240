import Testing

/// The table of numbered behaviours in `docs/delivery.md` against the tests that it names.
@Suite struct BehaviourTests {
    private static let numbers: [Int] =
        Array(1...6) + [8, 9] + Array(12...14) + Array(16...19) + Array(22...24) + Array(26...28) + [30, 31]
        + Array(33...40) + Array(42...44) + Array(47...50) + Array(52...59) + [61] + Array(65...68)

    /// Those of which no test is here yet. One that has a test may not stand here.
    private static let open: Set<Int> = []

    /// The names of tests by the number that their comment says.
    private static let tests: [Int: Set<String>] = {
        var found: [Int: Set<String>] = [:]
        for path in SourceTree.files("Tests", ending: ".swift") {
            guard let text = try? SourceTree.text(path) else { continue }
            var said: [Int] = []
            for line in text.split(separator: "\n") {
                let text = line.drop { $0 == " " }
                if text.hasPrefix("/// Behaviour") {
                    let words = text.drop { !$0.isNumber }.prefix { $0.isNumber || $0 == "," || $0 == " " }
                    said = words.split { !$0.isNumber }.compactMap { Int($0) }
                } else if let name = Self.name(text), !said.isEmpty {
                    for number in said { found[number, default: []].insert(name) }
                    said = []
                }
            }
        }
        return found
    }()

    /// The function that a line declares, with or without its attribute before it.
    private static func name(_ line: Substring) -> String? {
        let words = line.split(separator: " ")
        guard let place = words.firstIndex(of: "func"), place + 1 < words.count else { return nil }
        return String(words[place + 1].prefix { $0.isLetter || $0.isNumber || $0 == "_" })
    }

    /// The rows of the table: the number, and the names in backticks after the second column.
    private static func rows() throws -> [Int: [String]] {
        let text = try SourceTree.text("docs/delivery.md")
        let parts = text.split(separator: "<!-- behaviours -->\n", omittingEmptySubsequences: false)
        try #require(parts.count == 3, "the table stands between two marks")
        var rows: [Int: [String]] = [:]
        for line in parts[1].split(separator: "\n") {
            let cells = line.split(separator: "|").map { $0.drop { $0 == " " } }
            guard cells.count >= 3, let number = Int(cells[0].prefix { $0.isNumber }) else { continue }
            let tests = cells.dropFirst(2).joined(separator: " ")
            let names = tests.split(separator: "`", omittingEmptySubsequences: false).enumerated()
                .filter { $0.offset % 2 == 1 }.map { String($0.element) }
            #expect(rows[number] == nil, "\(number) stands there twice")
            rows[number] = names
        }
        return rows
    }

    @Test func theTableNamesATestOfEachBehaviour() throws {
        let rows = try Self.rows()
        #expect(rows.keys.sorted() == Self.numbers)
        for (number, names) in rows.sorted(by: { $0.key < $1.key }) where !Self.open.contains(number) {
            #expect(!names.isEmpty, "\(number) has no test in the table")
            for name in names {
                #expect(
                    Self.tests[number]?.contains(name) == true,
                    "\(number): there is no test '\(name)' below a comment `/// Behaviour \(number).`")
            }
        }
    }

    @Test func whatHasATestStandsInTheTable() throws {
        let rows = try Self.rows()
        for (number, names) in Self.tests {
            #expect(Self.numbers.contains(number), "\(number) is no behaviour: \(names.sorted())")
            guard !Self.open.contains(number) else { continue }
            #expect(
                !names.isDisjoint(with: rows[number] ?? []),
                "\(number) has \(names.sorted()), of which none is in the table")
        }
    }

    @Test func noBehaviourStaysOpenThatHasATest() throws {
        let rows = try Self.rows()
        for number in Self.open {
            #expect((rows[number] ?? []).isEmpty, "\(number) has tests in the table: take it out of `open`")
        }
    }
}
