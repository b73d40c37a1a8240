import ApusManifest
import ApusTestSupport
import Testing

@testable import apus

/// The pages that are made from the code are what the code makes.
@Suite struct ReferenceTests {
    private static func page(_ name: String) throws -> String {
        var parts = #filePath.split(separator: "/").map(String.init)
        parts.removeLast(3)
        return String(
            decoding: try readFile("/" + parts.joined(separator: "/") + "/docs/reference/\(name).md"), as: UTF8.self)
    }

    @Test func thePageOfCommandsIsUpToDate() throws {
        let text = CommandReference.text(
            CommandTable.all.map(\.description), notYetAvailable: CommandTable.notYetAvailable)
        #expect(try Self.page("commands") == text, "run `make reference`")
    }

    @Test func thePageOfManifestsIsUpToDate() throws {
        #expect(try Self.page("manifest") == ManifestReference.text, "run `make reference`")
    }
}
