/// A trigger of a function: requests to a path below `/fn`.
public struct HTTPTriggerManifest: Sendable, Equatable {
    /// Whether callers need a token.
    public enum Authentication: String, Sendable { case required, `public` }

    /// The methods there are, in the order in which manifests are written.
    public static let allMethods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

    /// Unique among the function's triggers of all kinds.
    public var name: String
    public var path: HTTPPathPattern
    /// In the order of ``allMethods``, each once.
    public var methods: [String]
    public var authentication: Authentication

    /// What it answers: a GET takes HEAD with it.
    public var claims: Set<String> {
        var claims = Set(self.methods)
        if claims.contains("GET") { claims.insert("HEAD") }
        return claims
    }

    /// Why both cannot be there at once, for people; nil when they can.
    public func conflict(with other: HTTPTriggerManifest) -> String? {
        let shared = self.claims.intersection(other.claims)
        guard !shared.isEmpty else { return nil }
        let methods = Self.allMethods.filter(shared.contains).joined(separator: ", ")
        switch self.path.relation(to: other.path) {
        case .apart, .ordered: return nil
        case .same: return "\(methods) \(self.path) is taken already"
        case .ambiguous:
            return "\(methods) \(self.path) and \(other.path) match the same paths and neither is more specific"
        }
    }
}
