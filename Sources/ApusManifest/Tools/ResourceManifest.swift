/// What agents may read of a function: `spec.resource`.
public struct ResourceManifest: Sendable, Equatable {
    public enum Address: Sendable, Equatable {
        case uri(String)
        /// An URI template of level 1 (RFC 6570), as `test://template/{id}/data`.
        case template(String)
    }

    public var name: String
    public var title: String?
    public var address: Address
    public var mimeType: String?
    /// Where the values of a template's variables come from that are offered while somebody types.
    public var completion: PromptManifest.Completion?
    /// Each of these a caller must have.
    public var scopes: [String]
}
