public import ApusCore
public import ApusJSON
internal import ApusManifest
internal import ApusSchema

/// Makes tools of an HTTP API's description: manifests to be looked over and deployed, and the files beside them.
///
/// Nothing is fetched and nothing is called. What cannot become a tool is left out, and said.
public struct OpenAPIImport: Sendable {
    /// A file of manifests.
    public struct Documents: Sendable {
        public let path: String
        public let manifests: [JSONValue]
    }

    public struct File: Sendable {
        public let path: String
        public let bytes: [UInt8]
    }

    public let documents: [Documents]
    /// The requests and the arguments' schemas, in a folder for each function.
    public let files: [File]
    /// The tools' names, in the description's order.
    public let tools: [String]
    /// Secrets to be set before the deploy, with what each holds.
    public let secrets: [(name: String, holds: String)]
    /// What was left out or changed, and why.
    public let notes: [String]

    /// - Parameters:
    ///   - file: the description's name, for messages.
    ///   - server: the API's URL, where the description names none or another is meant.
    ///   - prefix: what the names of tools and functions begin with.
    /// - Throws: `import_failed` where the text describes no API, or nothing of it can become a tool.
    public init(_ text: [UInt8], file: String, server: String? = nil, prefix: String = "") throws(ApusError) {
        let document = try OpenAPIDocument(text, file: file)
        var reader = OpenAPIReader(document, server: server, prefix: prefix)
        try reader.read()
        guard !reader.tools.isEmpty else {
            let reasons = reader.notes.prefix(3).joined(separator: "; ")
            throw ApusError(
                .importFailed,
                "\(file) has no operation that can become a tool" + (reasons.isEmpty ? "" : ": \(reasons)"))
        }
        self.tools = reader.tools.map(\.tool.text)
        self.notes = reader.notes
        self.secrets = reader.secrets
        var files: [File] = []
        for tool in reader.tools {
            files.append(File(path: "\(tool.name)/operation.json", bytes: Array((tool.operation.pretty + "\n").utf8)))
            files.append(File(path: "\(tool.name)/input.json", bytes: Array((tool.input.pretty + "\n").utf8)))
        }
        self.files = files
        var documents: [Documents] = []
        let base = ImportedNames.label(prefix.isEmpty ? document.title : prefix)
        for start in stride(from: 0, to: reader.tools.count, by: Limits.Import.toolsPerFile) {
            let part = reader.tools[start..<min(reader.tools.count, start + Limits.Import.toolsPerFile)]
            let number = documents.isEmpty ? "" : "-\(documents.count + 1)"
            documents.append(Documents(path: "\(base)\(number).yaml", manifests: part.map(\.manifest)))
        }
        self.documents = documents
    }
}
