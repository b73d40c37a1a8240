internal import ApusStore

/// Who may call an operation.
enum Access: Sendable, Equatable {
    /// Anybody, without a token.
    case open
    /// Whoever is authenticated, whatever its roles.
    case authenticated
    /// Holders of one of these roles in the namespace of the request. `admin` always suffices.
    case inNamespace(Set<Role>)
    /// Holders of one of these roles in the namespace `*`: for paths that show the whole server.
    case server(Set<Role>)
    /// What is asked for says it: a ``Requirement`` is made of the head of each request.
    case decidedByRequest

    /// What shows things: readers, and those who may change them.
    static let read = Access.inNamespace([.reader, .deployer])
    static let deploy = Access.inNamespace([.deployer])
    static let publish = Access.inNamespace([.producer])
    static let call = Access.inNamespace([.caller])
    /// What shows invocations: their callers see what became of them.
    static let follow = Access.inNamespace([.caller, .reader, .deployer])
    static let administer = Access.inNamespace([])
    static let readServer = Access.server([.reader])

    /// The roles that suffice, `admin` included, in the order of ``Role``; empty where any or none does.
    var roles: [Role] {
        switch self {
        case .inNamespace(let roles), .server(let roles): Role.allCases.filter { $0 == .admin || roles.contains($0) }
        case .open, .authenticated, .decidedByRequest: []
        }
    }
}
