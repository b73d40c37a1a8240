internal import ApusCore
internal import ApusStore

/// What one request needs of whoever makes it.
struct Requirement: Sendable, Equatable {
    var access: Access
    /// Where roles must hold; nil where that is the namespace that whoever asks belongs to.
    var namespace: Namespace?

    init(_ access: Access, in namespace: Namespace? = .default) {
        self.access = access
        self.namespace = namespace
    }

    /// - Throws: `forbidden`, with the role that is missing and where.
    func check(_ principal: Principal) throws(ApusError) {
        let place: String
        switch self.access {
        case .open, .authenticated, .decidedByRequest: return
        case .inNamespace(let roles):
            let namespace = self.namespace ?? principal.namespace
            if principal.roles.allow(roles, in: namespace) { return }
            place = namespace.name
        case .server(let roles):
            if principal.roles.allowServer(roles) { return }
            place = "*"
        }
        let needed = self.access.roles.map { "\($0.rawValue)@\(place)" }.joined(separator: " or ")
        throw ApusError(
            .forbidden,
            "'\(principal.name)' may not do this in the namespace '\(place)': the role \(needed) is needed; "
                + "ask an admin for a token that has it (`apus token create`)"
        )
    }
}
