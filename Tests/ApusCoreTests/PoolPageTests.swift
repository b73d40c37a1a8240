import Testing

/// The table of complaints in `docs/pool.md` against the tests that it names.
@Suite struct PoolPageTests {
    private static func tests() throws -> Set<String> {
        var found: Set<String> = []
        for path in SourceTree.files("Tests", ending: ".swift") {
            // What only helps tests is none; the attribute stands on the line of its function or some lines above it.
            var isTest = false
            for line in try SourceTree.text(path).split(separator: "\n") {
                if line.contains("@Test") { isTest = true }
                guard let place = line.firstRange(of: "func ") else { continue }
                let name = line[place.upperBound...].prefix { $0.isLetter || $0.isNumber || $0 == "_" }
                if isTest { found.insert(String(name)) }
                isTest = false
            }
        }
        return found
    }

    @Test func everyComplaintHasATestThatIsThere() throws {
        let text = try SourceTree.text("docs/pool.md")
        let parts = text.split(separator: "<!-- complaints -->\n", omittingEmptySubsequences: false)
        try #require(parts.count == 3, "the table stands between two marks")
        let tests = try Self.tests()
        let rows = parts[1].split(separator: "\n").dropFirst(2)
        #expect(rows.count >= 20)
        for row in rows {
            let cells = row.split(separator: "|", omittingEmptySubsequences: false)
            try #require(cells.count == 5, "three cells: \(row)")
            let names = cells[3].split(separator: "`", omittingEmptySubsequences: false).enumerated()
                .filter { $0.offset % 2 == 1 }.map { String($0.element) }
            #expect(!names.isEmpty, "a row without a test: \(row)")
            for name in names { #expect(tests.contains(name), "\(name) is not there") }
        }
    }

    /// The complaints are numbered.
    @Test func everyComplaintHasARow() throws {
        let text = try SourceTree.text("docs/pool.md")
        let table = text.split(separator: "<!-- complaints -->\n", omittingEmptySubsequences: false)[1]
        var found: Set<Int> = []
        for row in table.split(separator: "\n").dropFirst(2) {
            let cell = row.split(separator: "|")[0]
            guard let begin = cell.lastIndex(of: "("), let end = cell.lastIndex(of: ")"), begin < end else { continue }
            let numbers = cell[cell.index(after: begin)..<end].split(separator: ",")
            found.formUnion(numbers.compactMap { Int($0.filter { $0 != " " }) })
        }
        #expect(found.isSuperset(of: 1...33))
    }

    @Test func everyPictureIsThereWithTheCommandThatMakesIt() throws {
        let text = try SourceTree.text("docs/pool.md")
        for line in text.split(separator: "\n") {
            guard let place = line.firstRange(of: "](images/") else { continue }
            let name = line[place.upperBound...].prefix { $0 != ")" }
            #expect(text.contains("--plot docs/images/\(name)"))
            let picture = try SourceTree.text("docs/images/\(name)")
            #expect(picture.hasPrefix("<svg") && picture.contains("simulated"))
        }
    }
}
