internal import ApusCore
internal import ApusHTTP
internal import ApusStore

/// What a request shows of who makes it.
enum Credential: Sendable, Equatable {
    case token(TokenHash)
    /// The hash of a browser's session id.
    case session(TokenHash)
    /// The hash of a token that somebody else issued.
    case webToken(TokenHash)

    /// Whether it stands in the header Authorization.
    var isToken: Bool { if case .session = self { false } else { true } }
}

/// The credential in a request's headers.
enum PresentedCredential: Equatable {
    case none
    /// An Authorization header that holds no token.
    case otherScheme
    case token(TokenHash)
    /// The hash of a browser's session id.
    case session(TokenHash)
    /// A token that somebody else issued, whole, since it is to be checked.
    case webToken(String)

    static let cookie = "apus_session"

    /// - Parameters: the values of the headers Authorization and Cookie. A token counts more than a cookie.
    init(authorization: String?, cookie: String?) {
        if let authorization {
            self = Self.token(authorization)
        } else if let id = cookie.flatMap(Self.session) {
            self = .session(TokenHash(of: id))
        } else {
            self = .none
        }
    }

    private static func token(_ header: String) -> PresentedCredential {
        let parts = header.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return .otherScheme }
        let token = String(parts[1].drop { $0 == " " }.prefix { $0 != " " })
        return JSONWebToken.isMeant(token) ? .webToken(token) : .token(TokenHash(of: token))
    }

    /// Whether a token that nobody knows was mistyped or cut: worth another message.
    static func isDamaged(authorization: String) -> Bool {
        guard let token = authorization.split(separator: " ").dropFirst().first, token.hasPrefix(AccessToken.prefix)
        else { return false }
        return !AccessToken.isWellFormed(String(token))
    }

    private static func session(_ header: String) -> String? {
        for pair in header.split(separator: ";") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0].drop(while: { $0 == " " }) == Self.cookie else { continue }
            return String(parts[1])
        }
        return nil
    }
}
