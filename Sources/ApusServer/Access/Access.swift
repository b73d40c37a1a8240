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

    /// What shows things: readers, and those who may change them.
    static let read = Access.inNamespace([.reader, .deployer])
    static let deploy = Access.inNamespace([.deployer])
    static let publish = Access.inNamespace([.producer])
    static let call = Access.inNamespace([.caller])
    /// What shows invocations: their callers see what became of them.
    static let follow = Access.inNamespace([.caller, .reader, .deployer])
    static let administer = Access.inNamespace([])
    static let readServer = Access.server([.reader])
}
