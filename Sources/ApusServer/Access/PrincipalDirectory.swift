internal import ApusCore
internal import ApusStore

/// Who holds which token: every loop has a copy, so that a request is authenticated without a hop.
struct PrincipalDirectory: Sendable {
    enum Finding: Sendable, Equatable {
        case holds(Principal)
        case expired(name: String, Timestamp)
        case revoked(name: String, Timestamp)
        case unknown
    }

    private struct Entry: Sendable {
        var principal: Principal
        var revoked: Timestamp?
    }

    private var entries: [TokenHash: Entry] = [:]

    init() {}

    /// - Parameter admin: the hash of the token of `run/admin.token`, whose holder is the first principal.
    init(admin: TokenHash, _ principals: [ResourceName: PrincipalDeployment]) {
        for (name, deployment) in principals {
            let principal = Principal(
                name: name.description, roles: deployment.roles, expires: deployment.expires,
                scopes: Set(deployment.agent?.scopes ?? []), agent: deployment.agent, namespace: name.namespace)
            // Without a key nobody can be it.
            guard let hash = deployment.key?.hash else { continue }
            self.entries[hash] = Entry(principal: principal, revoked: deployment.revoked)
        }
        self.entries[admin] = Entry(principal: .administrator)
    }

    func find(_ hash: TokenHash, now: Timestamp) -> Finding {
        guard let entry = self.entries[hash] else { return .unknown }
        if let revoked = entry.revoked { return .revoked(name: entry.principal.name, revoked) }
        if let expires = entry.principal.expires, expires <= now {
            return .expired(name: entry.principal.name, expires)
        }
        return .holds(entry.principal)
    }

    func holds(_ hash: TokenHash, now: Timestamp) -> Bool {
        if case .holds = self.find(hash, now: now) { true } else { false }
    }
}
