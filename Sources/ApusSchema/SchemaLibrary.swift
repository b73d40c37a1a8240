/// Schemas that others may refer to by their URI. Nothing is ever fetched: what is not here does not exist.
public struct SchemaLibrary: Sendable {
    private var texts: [String: [UInt8]] = [:]

    public init() {}

    /// Makes `text` the schema at `uri`.
    public mutating func add(_ text: [UInt8], at uri: String) { self.texts[SchemaURI(uri).withoutFragment] = text }

    /// The text at a URI without fragment; the metaschemas of the known dialects are always there.
    func text(at uri: String) -> [UInt8]? { self.texts[uri] ?? Metaschemas.texts[uri].map { Array($0.utf8) } }
}
