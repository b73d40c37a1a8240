import ApusCore
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

@testable import ApusEngine
@testable import ApusManifest

/// The conformance suite of CESQL, as its specification publishes it.
@Suite struct ExpressionConformanceTests {
    private static let folder: String = {
        let parts = #filePath.split(separator: "/").dropLast(4)
        return "/" + parts.joined(separator: "/") + "/../shared/data/cesql-tck"
    }()

    private static func files() -> [String] {
        Folder.names(self.folder).filter { $0.hasSuffix(".yaml") }
    }

    /// Behaviour 59.
    @Test func everyCaseOfTheSuiteGivesItsResultAndItsError() throws {
        let files = Self.files()
        guard !files.isEmpty else {
            print("skipped: the suite of CESQL is not at \(Self.folder)")
            return
        }
        var count = 0
        for file in files {
            let bytes = try Self.read("\(Self.folder)/\(file)")
            let (documents, problems) = YAMLReader.read(SourceText(file: file, bytes: bytes))
            #expect(problems.isEmpty, "\(file)")
            for test in documents.first?.json["tests"]?.array ?? [] {
                count += 1
                try self.check(test, file)
            }
        }
        #expect(count >= 200, "the suite has only \(count) cases")
        print("CESQL: \(count) cases of \(files.count) files")
    }

    private func check(_ test: JSONValue, _ file: String) throws {
        let text: String
        switch test["expression"] {
        case .string(let expression): text = expression
        case .some(let scalar): text = String(decoding: scalar.encoded(), as: UTF8.self)
        case nil:
            Issue.record("\(file): a case without an expression")
            return
        }
        let result = try ExpressionResult.of(text, self.event(test))
        let what = "\(file): \(test["name"]?.string ?? ""): \(text)"
        #expect(result.error?.rawValue == test["error"]?.string, "\(what)")
        if let expected = test["result"] { #expect(result.value == expected, "\(what)") }
    }

    private func event(_ test: JSONValue) -> Event {
        var event = Event(
            attributes: [Attribute("id", "an-id"), Attribute("source", "/a"), Attribute("type", "a.type")], data: nil)
        if let given = test["event"]?.object {
            event.attributes = given.filter { $0.name != "specversion" }.map(Self.attribute)
        }
        for change in test["eventOverrides"]?.object ?? [:] {
            event.attributes.removeAll { $0.name == change.name }
            event.attributes.append(Self.attribute(change))
        }
        return event
    }

    private static func attribute(_ member: JSONObject.Member) -> Attribute {
        switch member.value {
        case .boolean(let value): Attribute(member.name, value ? "true" : "false", kind: .boolean)
        case .integer(let value): Attribute(member.name, String(value), kind: .integer)
        default: Attribute(member.name, member.value.string ?? "")
        }
    }

    private static func read(_ path: String) throws -> [UInt8] {
        let descriptor = open(path, O_RDONLY)
        guard descriptor >= 0 else { throw ApusError(.internal, "\(path) cannot be opened: \(errno)") }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = Glibc.read(descriptor, &chunk, chunk.count)
            guard count > 0 else { return bytes }
            bytes += chunk[..<count]
        }
    }
}
