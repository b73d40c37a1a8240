internal import ApusCore
internal import ApusStore

/// What one request needs of whoever makes it.
struct Requirement: Sendable, Equatable {
    var access: Access
    /// Where roles must hold; nil where that is the namespace that whoever asks belongs to.
    var namespace: Namespace?
    /// Whether it is the way of agents to their tools. They have no other: servers, scopes and bounds hold there alone.
    var isForAgents: Bool

    init(_ access: Access, in namespace: Namespace? = .default, isForAgents: Bool = false) {
        self.access = access
        self.namespace = namespace
        self.isForAgents = isForAgents
    }

    /// - Throws: `forbidden`, with the role that is missing and where, or for an agent that wants more than tools.
    func check(_ principal: Principal) throws(ApusError) {
        let place: String
        if principal.agent != nil, !self.isForAgents, !self.access.roles.isEmpty {
            throw ApusError(
                .forbidden,
                "the agent '\(principal.name)' calls tools, over /mcp, and nothing else: make a token for what is not an agent (`apus token create`)"
            )
        }
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
