import ApusCore
import ApusJSON
import Glibc
import Testing

@testable import ApusEngine

/// The examples of `docs/filters.md` do what the page says.
@Suite struct FilterPageTests {
    private static let page: String = {
        let root = "/" + #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
        guard let file = fopen("\(root)/docs/filters.md", "r") else { return "" }
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 16)
        return String(decoding: bytes[..<fread(&bytes, 1, bytes.count, file)], as: UTF8.self)
    }()

    private static func blocks(_ language: String) -> [Substring] {
        self.page.split(separator: "```\(language)\n").dropFirst().map { $0.split(separator: "```")[0] }
    }

    private static func event() throws -> Event {
        let json = try JSONValue.parse(Array(try #require(self.blocks("json").first).utf8))
        var event = Event(
            key: Array("customer-7".utf8), attributes: [Attribute("x-tenant", "acme", kind: .header)],
            data: try #require(json["data"]).encoded())
        for member in try #require(json.object) where !["specversion", "data"].contains(member.name) {
            if let number = member.value.int {
                event.attributes.append(Attribute(member.name, "\(number)", kind: .integer))
            } else {
                event.attributes.append(Attribute(member.name, try #require(member.value.string)))
            }
        }
        return event
    }

    @Test func everyExampleTakesTheEventOrNotAsItSays() throws {
        let event = try Self.event()
        let examples = Self.blocks("yaml")
        #expect(examples.count >= 8)
        for example in examples {
            let lines = example.split(separator: "\n", omittingEmptySubsequences: false)
            let expected: Bool
            switch lines[0] {
            case "# takes it": expected = true
            case "# does not take it": expected = false
            default:
                Issue.record("an example does not say what it does: \(example)")
                continue
            }
            let rest = lines.dropFirst().joined(separator: "\n")
            let filter = try FilterBed.filter(String(rest.dropFirst("filter:".count)))
            #expect(try FilterBed.outcome(filter, event) == FilterOutcome(isMatch: expected), "\(example)")
        }
    }
}
