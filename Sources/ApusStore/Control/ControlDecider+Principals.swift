public import ApusCore
internal import ApusManifest

extension ControlDecider {
    /// A name whose token was revoked or has expired may be given again.
    func createPrincipal(_ name: ResourceName, _ principal: PrincipalDeployment) throws(ApusError) -> ControlDecision {
        guard name != .administrator else {
            throw ApusError(
                .alreadyExists, "'\(name)' is who holds the server's own token: choose another name")
        }
        switch self.catalogue.principals[name]?.state(at: self.now) {
        case .active?:
            throw ApusError(
                .alreadyExists, "there is a token '\(name)' already: revoke it first, or choose another name")
        case .keyless?:
            throw ApusError(
                .alreadyExists, "the agent '\(name)' is deployed already: `apus agent rotate` gives it its first token")
        case .expired?, .revoked?, nil: break
        }
        try self.checkRoom(for: name)
        return self.decision(name, principal, .created)
    }

    private func checkRoom(for name: ResourceName) throws(ApusError) {
        let isNew = self.catalogue.principals[name] == nil
        guard !isNew || self.catalogue.principals.count < Limits.Control.principals else {
            throw ApusError(
                .limitReached,
                "there are \(Limits.Control.principals) tokens, the revoked ones counted: give a new one the name of a revoked one"
            )
        }
    }

    /// Makes an agent without a token, or gives one that is there other rights: its token stays.
    func deploy(_ agent: AgentManifest, by creator: String, into decision: inout ControlDecision) throws(ApusError) {
        let name = agent.name
        guard name != .administrator else {
            throw ApusError(.alreadyExists, "'\(name)' is who holds the server's own token: choose another name")
        }
        let rights = AgentRights(servers: agent.servers, scopes: agent.scopes, limits: agent.limits)
        guard var known = self.catalogue.principals[name], known.state(at: self.now).holdsName else {
            try self.checkRoom(for: name)
            let new = PrincipalDeployment(
                key: nil, roles: RoleGrants([RoleGrant(.caller, .namespace(name.namespace))]), created: self.now,
                creator: creator, agent: rights, labels: agent.labels)
            decision.add(self.decision(name, new, .created))
            return
        }
        guard known.agent != nil else {
            throw ApusError(
                .alreadyExists, "'\(name)' is a token and no agent: revoke it first, or give the agent another name")
        }
        guard known.agent != rights || known.labels != agent.labels else {
            decision.outcomes.append(self.outcome(name, .unchanged, generation: self.generation(name)))
            return
        }
        known.agent = rights
        known.labels = agent.labels
        decision.add(self.decision(name, known, .updated))
    }

    func revokePrincipal(_ name: ResourceName, _ ifMatch: UInt64?) throws(ApusError) -> ControlDecision {
        guard name != .administrator else {
            throw ApusError(
                .conflict,
                "the server's own token is a file: delete run/admin.token of the data directory and restart the server")
        }
        guard var principal = self.catalogue.principals[name] else {
            throw ApusError(.notFound, "there is no token '\(name)': see `apus token list`")
        }
        if let ifMatch { try self.check(ifMatch, .principal, name.namespace, name.name) }
        guard principal.revoked == nil else {
            return ControlDecision(outcomes: [self.outcome(name, .unchanged, generation: self.generation(name))])
        }
        principal.revoked = self.now
        return self.decision(name, principal, .revoked)
    }

    /// Rights and end stay: only what proves who it is changes.
    func rotatePrincipal(_ name: ResourceName, _ id: String, _ hash: TokenHash) throws(ApusError) -> ControlDecision {
        guard var principal = self.catalogue.principals[name], principal.agent != nil else {
            throw ApusError(.notFound, "there is no agent '\(name)': see `apus agent list`")
        }
        guard principal.state(at: self.now).holdsName else {
            throw ApusError(.conflict, "the agent '\(name)' has ended: make it anew with `apus agent create`")
        }
        principal.key = PrincipalDeployment.Key(id: id, hash: hash)
        return self.decision(name, principal, .updated)
    }

    private func generation(_ name: ResourceName) -> UInt64 {
        self.catalogue.generation(.principal, name.namespace, name.name)
    }

    private func outcome(_ name: ResourceName, _ action: ControlDecision.Outcome.Action, generation: UInt64)
        -> ControlDecision.Outcome
    {
        ControlDecision.Outcome(
            kind: .principal, namespace: name.namespace, name: name.name, action: action, generation: generation)
    }

    private func decision(
        _ name: ResourceName, _ principal: PrincipalDeployment, _ action: ControlDecision.Outcome.Action
    ) -> ControlDecision {
        let generation = self.generation(name) + 1
        return ControlDecision(
            records: [
                ControlRecord(
                    kind: .principal, namespace: name.namespace, name: name.name, generation: generation,
                    time: self.now, content: .principal(principal))
            ],
            outcomes: [self.outcome(name, action, generation: generation)]
        )
    }
}

extension ResourceName {
    /// Who holds the token of `run/admin.token`.
    public static let administrator: ResourceName = {
        guard let name = ResourceName(.default, "admin") else { preconditionFailure("admin is a label") }
        return name
    }()
}
