public import ApusCore
public import ApusJSON

/// How much YAML is read; as much as a manifest may have, unless said otherwise.
public struct YAMLBounds: Sendable {
    public let textBytes: Int
    /// Lists and mappings inside one another.
    public let depth: Int
    /// Values, after aliases were replaced by what they stand for.
    public let nodes: Int

    public init(
        textBytes: Int = Limits.Manifest.textBytes, depth: Int = Limits.Manifest.depth,
        nodes: Int = Limits.Manifest.nodes
    ) {
        self.textBytes = textBytes
        self.depth = depth
        self.nodes = nodes
    }
}

/// One document of YAML that is no manifest.
public enum YAMLDocument {
    /// Its value; names that are written as numbers or Booleans are texts.
    /// - Throws: `manifest_invalid` with line and column, also where the text holds several documents.
    public static func json(_ text: [UInt8], file: String, bounds: YAMLBounds) throws(ApusError) -> JSONValue {
        let (documents, problems) = YAMLReader.read(SourceText(file: file, bytes: text), bounds: bounds)
        guard problems.isEmpty else { throw ManifestErrors(problems).asApusError }
        guard documents.count == 1, let document = documents.first else {
            throw ApusError(.manifestInvalid, "\(file) has \(documents.count) documents of YAML, expected one")
        }
        return document.json
    }
}
