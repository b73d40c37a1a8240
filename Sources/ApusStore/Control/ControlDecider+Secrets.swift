internal import ApusCore

/// Secrets arrive here sealed: nothing of this knows a value.
extension ControlDecider {
    /// - Parameter generation: what the name had reached when the value was sealed for the version behind it.
    func setSecret(_ name: SecretName, _ sealed: SealedSecret, ifGeneration generation: UInt64) throws(ApusError)
        -> ControlDecision
    {
        let known = self.catalogue.secrets[name]
        guard self.generation(name) == generation, sealed.version == generation + 1 else {
            throw ApusError(.conflict, "the secret '\(name)' was changed at the same time: set it again")
        }
        guard known != nil || self.catalogue.secrets.count < Limits.Secrets.count else {
            throw ApusError(
                .limitReached, "there are \(Limits.Secrets.count) secrets already: delete those that nothing uses")
        }
        return ControlDecision(
            records: [self.record(name, generation + 1, .secret(sealed))],
            outcomes: [self.outcome(name, known == nil ? .created : .updated, generation + 1)])
    }

    func deleteSecret(_ name: SecretName) throws(ApusError) -> ControlDecision {
        guard self.catalogue.secrets[name] != nil else { throw Self.unknown(name) }
        let users = self.catalogue.users(of: name)
        guard users.isEmpty else {
            throw ApusError(
                .conflict,
                "the secret '\(name)' is used by \(users.map { "'\($0.name)'" }.joined(separator: ", ")): "
                    + "delete these or deploy them without it first")
        }
        let generation = self.generation(name) + 1
        return ControlDecision(
            records: [self.record(name, generation, .deleted)], outcomes: [self.outcome(name, .deleted, generation)])
    }

    /// The same values under another key. One that was set anew or deleted meanwhile needs it no more.
    func resealSecrets(_ reseals: [SecretReseal]) -> ControlDecision {
        var decision = ControlDecision()
        for reseal in reseals {
            guard let known = self.catalogue.secrets[reseal.name], known.generation == reseal.generation else {
                continue
            }
            var sealed = known.sealed
            sealed.key = reseal.key
            sealed.sealed = reseal.sealed
            decision.records.append(self.record(reseal.name, known.generation + 1, .secret(sealed)))
            decision.outcomes.append(self.outcome(reseal.name, .updated, known.generation + 1))
        }
        return decision
    }

    static func unknown(_ name: SecretName) -> ApusError {
        ApusError(
            .secretNotFound,
            "there is no secret '\(name)' in the namespace '\(name.namespace)': see `apus secret list`")
    }

    private func generation(_ name: SecretName) -> UInt64 {
        self.catalogue.generation(.secret, name.namespace, name.name)
    }

    private func record(_ name: SecretName, _ generation: UInt64, _ content: ControlRecord.Content) -> ControlRecord {
        ControlRecord(
            kind: .secret, namespace: name.namespace, name: name.name, generation: generation, time: self.now,
            content: content)
    }

    private func outcome(_ name: SecretName, _ action: ControlDecision.Outcome.Action, _ generation: UInt64)
        -> ControlDecision.Outcome
    {
        ControlDecision.Outcome(
            kind: .secret, namespace: name.namespace, name: name.name, action: action, generation: generation)
    }
}
