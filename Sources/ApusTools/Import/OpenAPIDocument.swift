internal import ApusCore
internal import ApusJSON
internal import ApusManifest

/// The description of an HTTP API: OpenAPI 3.0 or 3.1, as JSON or YAML.
struct OpenAPIDocument {
    let root: JSONValue
    /// 3.0 has schemas of its own kind, which are converted.
    let isThreeZero: Bool

    /// - Throws: `import_failed` where the text is no such description.
    init(_ text: [UInt8], file: String) throws(ApusError) {
        guard text.count <= Limits.Import.textBytes else {
            throw ApusError(
                .importFailed, "\(file) has \(text.count) bytes; at most \(Limits.Import.textBytes) are read")
        }
        let bounds = YAMLBounds(
            textBytes: Limits.Import.textBytes, depth: Limits.Import.depth, nodes: Limits.Import.nodes)
        self.root =
            text.first { $0 > 0x20 } == UInt8(ascii: "{")
            ? try JSONValue.parse(text, refusesDuplicates: false)
            : try YAMLDocument.json(text, file: file, bounds: bounds)
        let version = self.root["openapi"]?.string ?? ""
        self.isThreeZero = version.hasPrefix("3.0")
        guard self.isThreeZero || version.hasPrefix("3.1") else {
            let found =
                self.root["swagger"]?.string.map { "Swagger \($0)" }
                ?? (version.isEmpty ? "no field `openapi`" : "OpenAPI \(version)")
            throw ApusError(
                .importFailed,
                "\(file) has \(found), expected OpenAPI 3.0 or 3.1; converters such as swagger2openapi make 3.0 of Swagger 2"
            )
        }
    }

    var title: String { self.root["info"]?["title"]?.string ?? "api" }

    /// What a value is after its `$ref`, if it has one, was followed.
    func resolved(_ value: JSONValue) throws(ImportProblem) -> JSONValue {
        var value = value
        for _ in 0..<Limits.Import.references {
            guard let reference = value["$ref"]?.string else { return value }
            value = try self.target(of: reference)
        }
        throw ImportProblem(
            "a `$ref` leads to another and that to another, more than \(Limits.Import.references) times")
    }

    /// What a reference within the document leads to.
    func target(of reference: String) throws(ImportProblem) -> JSONValue {
        guard reference.hasPrefix("#/") else {
            throw ImportProblem("`\(reference)` leads out of the file; bundle the description into one file first")
        }
        var at = self.root
        for part in reference.dropFirst(2).split(separator: "/", omittingEmptySubsequences: false) {
            let name = Self.unescaped(part)
            guard let next = at[name] ?? Int(name).flatMap({ at[$0] }) else {
                throw ImportProblem("`\(reference)` leads to nothing")
            }
            at = next
        }
        return at
    }

    /// A part of a pointer in a fragment: percent signs, then tildes.
    private static func unescaped(_ part: Substring) -> String {
        var bytes: [UInt8] = []
        let text = Array(part.utf8)
        var index = 0
        while index < text.count {
            let isEscape = text[index] == UInt8(ascii: "%") && index + 2 < text.count
            if isEscape, let byte = UInt8(String(decoding: text[index + 1...index + 2], as: UTF8.self), radix: 16) {
                bytes.append(byte)
                index += 3
            } else {
                bytes.append(text[index])
                index += 1
            }
        }
        return String(decoding: bytes, as: UTF8.self).replacing("~1", with: "/").replacing("~0", with: "~")
    }
}

/// Why one operation cannot become a tool.
struct ImportProblem: Error {
    let message: String

    init(_ message: String) { self.message = message }
}
