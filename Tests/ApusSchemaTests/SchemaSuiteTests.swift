import ApusJSON
import ApusSchema
import Glibc
import Testing

/// The public JSON-Schema-Test-Suite, which `scripts/schema-suite` fetches; it is no part of this repository.
///
/// Where the folder is absent the test says so in its name's comment and runs nothing.
@Suite struct SchemaSuiteTests {
    static let folder: String =
        if let named = getenv("APUS_SCHEMA_SUITE") { String(cString: named) } else { ".build/json-schema-test-suite" }

    static var isPresent: Bool { access(Self.folder + "/tests", R_OK) == 0 }

    @Test(
        .enabled(if: Self.isPresent, "no test suite: run scripts/schema-suite, or name its folder in APUS_SCHEMA_SUITE")
    )
    func passesWhatIsRequired() throws {
        var library = SchemaLibrary()
        for path in try Self.files(under: Self.folder + "/remotes", isDeep: true) {
            library.add(
                try Self.bytes(path), at: "http://localhost:1234" + path.dropFirst((Self.folder + "/remotes").count))
        }
        for (name, dialect) in [("draft2020-12", SchemaDialect.draft202012), ("draft7", .draft07)] {
            var passed = 0
            var failures: [String] = []
            for path in try Self.files(under: Self.folder + "/tests/" + name, isDeep: false) {
                for group in try JSONValue.parse(try Self.bytes(path)).array ?? [] {
                    let outcomes = try Self.outcomes(of: group, dialect, library)
                    passed += outcomes.count { $0.holds }
                    failures += outcomes.filter { !$0.holds }.map { "\(path): \($0.name)" }
                }
            }
            print("JSON-Schema-Test-Suite \(name), required: \(passed) of \(passed + failures.count) pass")
            for failure in failures { print("  \(failure)") }
            #expect(passed > 500)
            #expect(failures.count * 50 <= passed + failures.count, "at least 98 % are required")
        }
    }

    private static func outcomes(
        of group: JSONValue, _ dialect: SchemaDialect, _ library: SchemaLibrary
    ) throws -> [(name: String, holds: Bool)] {
        let tests = group["tests"]?.array ?? []
        let name = group["description"]?.string ?? ""
        var schema = group["schema"] ?? .null
        if schema.object != nil && schema["$schema"] == nil { schema["$schema"] = .string(dialect.rawValue) }
        let compiled: CompiledSchema
        do throws(SchemaError) { compiled = try CompiledSchema(parsing: schema.encoded(), library: library) } catch {
            return tests.map { _ in ("\(name): \(error)", false) }
        }
        return try tests.map { test in
            let data = (test["data"] ?? .null).encoded()
            let accepted = try JSONParser().parse(data) { compiled.check($0).isEmpty && compiled.accepts($0) }
            return ("\(name) | \(test["description"]?.string ?? "")", accepted == test["valid"]?.boolean)
        }
    }

    private static func files(under folder: String, isDeep: Bool) throws -> [String] {
        guard let directory = opendir(folder) else { throw Unreadable(path: folder) }
        defer { closedir(directory) }
        var found: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard !name.hasPrefix(".") else { continue }
            if name.hasSuffix(".json") {
                found.append(folder + "/" + name)
            } else if isDeep && entry.pointee.d_type == UInt8(DT_DIR) {
                found += try Self.files(under: folder + "/" + name, isDeep: true)
            }
        }
        return found.sorted()
    }

    private static func bytes(_ path: String) throws -> [UInt8] {
        guard let file = fopen(path, "r") else { throw Unreadable(path: path) }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { bytes += chunk[..<count] }
        return bytes
    }

    private struct Unreadable: Error { let path: String }
}
