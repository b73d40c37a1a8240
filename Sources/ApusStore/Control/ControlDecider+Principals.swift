public import ApusCore

extension ControlDecider {
    /// A name whose token was revoked or has expired may be given again.
    func createPrincipal(_ name: ResourceName, _ principal: PrincipalDeployment) throws(ApusError) -> ControlDecision {
        guard name != .administrator else {
            throw ApusError(
                .alreadyExists, "'\(name)' is who holds the server's own token: choose another name")
        }
        if let known = self.catalogue.principals[name], known.state(at: self.now) == .active {
            throw ApusError(
                .alreadyExists, "there is a token '\(name)' already: revoke it first, or choose another name")
        }
        let isNew = self.catalogue.principals[name] == nil
        guard !isNew || self.catalogue.principals.count < Limits.Control.principals else {
            throw ApusError(
                .limitReached,
                "there are \(Limits.Control.principals) tokens, the revoked ones counted: give a new one the name of a revoked one"
            )
        }
        return self.decision(name, principal, .created)
    }

    func revokePrincipal(_ name: ResourceName) throws(ApusError) -> ControlDecision {
        guard name != .administrator else {
            throw ApusError(
                .conflict,
                "the server's own token is a file: delete run/admin.token of the data directory and restart the server")
        }
        guard var principal = self.catalogue.principals[name] else {
            throw ApusError(.notFound, "there is no token '\(name)': see `apus token list`")
        }
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
        guard principal.state(at: self.now) == .active else {
            throw ApusError(.conflict, "the agent '\(name)' has ended: make it anew with `apus agent create`")
        }
        principal.id = id
        principal.hash = hash
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
