internal import ApusCore
public import ApusStore

/// An authorization server whose tokens are believed, as `auth.issuers` of apus.yaml names it.
public struct TokenIssuer: Sendable, Equatable {
    /// What `iss` of its tokens says, byte for byte.
    public var issuer: String
    /// Where its public keys lie.
    public var keys: String
    /// What `aud` of a token must name: this server, as its clients know it.
    public var audience: String
    /// The claim that says a caller's namespace; nil for those who all are in `default`.
    public var namespaceClaim: String?
    /// What a scope of its tokens comes to here. A scope that is not named gives no role, but tools may ask for it.
    public var roles: [String: Role]
    /// Whether its keys may lie at an address of one's own network.
    public var allowsPrivate: Bool

    /// How many may be believed.
    public static var max: Int { Limits.Access.issuers }

    public init(
        issuer: String, keys: String, audience: String, namespaceClaim: String? = nil, roles: [String: Role] = [:],
        allowsPrivate: Bool = false
    ) {
        self.issuer = issuer
        self.keys = keys
        self.audience = audience
        self.namespaceClaim = namespaceClaim
        self.roles = roles
        self.allowsPrivate = allowsPrivate
    }
}

/// What a server is told about tokens that others issue.
public struct AuthConfiguration: Sendable, Equatable {
    /// How clients reach this server, without a slash at its end; nil leaves the metadata to what `Host` says.
    public var publicURL: String?
    public var issuers: [TokenIssuer] = []

    public init() {}
}
