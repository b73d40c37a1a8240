import ApusTestSupport
import Glibc
import Testing

/// The table of complaints in `docs/pool.md` against the tests that it names.
@Suite struct PoolPageTests {
    private static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

    private static func files(_ folder: String) -> [String] {
        var found: [String] = []
        guard let directory = opendir("\(Self.root)/\(folder)") else { return [] }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name.hasPrefix(".") { continue }
            if entry.pointee.d_type == UInt8(DT_DIR) {
                found += Self.files("\(folder)/\(name)")
            } else if name.hasSuffix(".swift") {
                found.append("\(Self.root)/\(folder)/\(name)")
            }
        }
        return found
    }

    private static func tests() throws -> Set<String> {
        var found: Set<String> = []
        for path in Self.files("Tests") {
            for line in String(decoding: try readFile(path), as: UTF8.self).split(separator: "\n") {
                guard let place = line.firstRange(of: "func ") else { continue }
                found.insert(String(line[place.upperBound...].prefix { $0.isLetter || $0.isNumber || $0 == "_" }))
            }
        }
        return found
    }

    @Test func everyComplaintHasATestThatIsThere() throws {
        let text = String(decoding: try readFile("\(Self.root)/docs/pool.md"), as: UTF8.self)
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

    @Test func everyPictureIsThereWithTheCommandThatMakesIt() throws {
        let text = String(decoding: try readFile("\(Self.root)/docs/pool.md"), as: UTF8.self)
        for line in text.split(separator: "\n") {
            guard let place = line.firstRange(of: "](images/") else { continue }
            let name = line[place.upperBound...].prefix { $0 != ")" }
            #expect(text.contains("--plot docs/images/\(name)"))
            let picture = String(decoding: try readFile("\(Self.root)/docs/images/\(name)"), as: UTF8.self)
            #expect(picture.hasPrefix("<svg") && picture.contains("simulated"))
        }
    }
}
