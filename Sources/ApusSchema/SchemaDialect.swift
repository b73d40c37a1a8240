/// The dialects of JSON Schema that a tool's schemas may be written in, by the URI that `$schema` names.
public enum SchemaDialect: String, Sendable, CaseIterable {
    /// What a schema without `$schema` is read as.
    case draft202012 = "https://json-schema.org/draft/2020-12/schema"
    case draft07 = "http://json-schema.org/draft-07/schema"

    /// The dialect that `$schema` names, where it is one of these; an empty fragment at its end means nothing.
    public init?(uri: String) {
        self.init(rawValue: uri.hasSuffix("#") ? String(uri.dropLast()) : uri)
    }
}
