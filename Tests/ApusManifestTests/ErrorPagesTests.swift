import ApusCore
import FoundationEssentials
import Testing

/// Every error code has a page that says what happened and what to try.
@Suite struct ErrorPagesTests {
    private static var folder: String {
        let root = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
        return root + "/docs/errors"
    }

    private func read(_ name: String) throws -> String {
        String(decoding: try Data(contentsOf: URL(filePath: "\(Self.folder)/\(name)")), as: UTF8.self)
    }

    @Test(arguments: ErrorCode.allCases)
    func everyCodeHasAPageAndALineInTheIndex(code: ErrorCode) throws {
        let page = try self.read("\(code).md")
        #expect(page.hasPrefix("# \(code)\n"))
        #expect(page.contains("What to try:\n- "))
        let lines = page.split(separator: "\n", omittingEmptySubsequences: false).count - 1
        #expect((5...15).contains(lines), "\(lines) lines")
        #expect(try self.read("README.md").contains("(\(code).md)"))
    }

    @Test func noPageLacksACode() throws {
        let codes = Set(ErrorCode.allCases.map { "\($0).md" })
        let pages = try FileManager.default.contentsOfDirectory(atPath: Self.folder).filter { $0 != "README.md" }
        #expect(Set(pages) == codes)
        let index = try self.read("README.md")
        let links = index.split(separator: "\n").filter { $0.hasPrefix("- [`") }
        #expect(links.count == codes.count)
    }
}
