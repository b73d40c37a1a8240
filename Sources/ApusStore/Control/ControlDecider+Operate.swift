internal import ApusCore
internal import ApusJSON
internal import ApusManifest

/// What operators do with a function that is deployed: pause, resume, roll back.
extension ControlDecider {
    func rollback(_ name: ResourceName, _ text: String?, _ ifMatch: UInt64?) throws(ApusError) -> ControlDecision {
        let target = try self.catalogue.revision(text, of: name)
        if let ifMatch { try self.check(ifMatch, .function, name.namespace, name.name) }
        let function = try self.function(target, name)
        let topics = self.catalogue.topics.mapValues(\.manifest.configuration)
        let rules = ReferenceRules(topics: topics, secrets: Set(self.catalogue.secrets.keys))
        if let error = ReferenceRules.error(rules.problems(of: function)) { throw error }
        try self.checkTools([function])
        var decision = ControlDecision()
        let made = MadeRevision(revision: target.revision, bundle: target.bundle, layer: target.layer)
        try self.deploy(function, made, topics, [], into: &decision)
        return decision
    }

    private func function(_ target: KeptRevision, _ name: ResourceName) throws(ApusError) -> FunctionManifest {
        do throws(ManifestErrors) {
            if case .function(let function) = try Manifest(json: target.json, namespace: name.namespace),
                function.name == name
            {
                return function
            }
        } catch {
            throw ApusError(
                error.asApusError.code,
                "this version of apus does not take the manifest of revision \(target.revision.prefix(12)): \(error)")
        }
        throw ApusError(.logDamaged, "the revision \(target.revision.prefix(12)) is not one of '\(name)'")
    }

    func pause(_ target: PauseTarget, _ principal: String) throws(ApusError) -> ControlDecision {
        let function = try self.existing(target)
        let isPaused = function.pauses[target.trigger] != nil
        return self.decision(target, isPaused ? .unchanged : .paused, .pause(principal: principal))
    }

    func resume(_ target: PauseTarget) throws(ApusError) -> ControlDecision {
        let function = try self.existing(target)
        let isPaused = function.pauses[target.trigger] != nil
        return self.decision(target, isPaused ? .resumed : .unchanged, .deleted)
    }

    private func existing(_ target: PauseTarget) throws(ApusError) -> Catalogue.Function {
        guard let function = self.catalogue.functions[target.function] else {
            throw ApusError(
                .functionNotFound,
                "there is no function '\(target.function)'; 'apus get functions' lists those that are")
        }
        guard let trigger = target.trigger else { return function }
        let names = function.manifest.triggerNames
        guard names.contains(trigger) else {
            let known = names.isEmpty ? "it has none" : "it has \(names.joined(separator: ", "))"
            throw ApusError(
                .notFound, "the function '\(target.function)' has no trigger '\(trigger.prefix(64))': \(known)")
        }
        guard !function.manifest.triggers.contains(where: { $0.name == trigger && $0.isTable }) else {
            throw ApusError(
                .invalidArgument,
                "the trigger '\(trigger)' is a table, which brings no work: pause the function instead")
        }
        return function
    }

    private func decision(
        _ target: PauseTarget, _ action: ControlDecision.Outcome.Action, _ content: ControlRecord.Content
    ) -> ControlDecision {
        let (namespace, name) = (target.function.namespace, target.recordName)
        let current = self.catalogue.generation(.pause, namespace, name)
        let generation = action == .unchanged ? current : current + 1
        let outcome = ControlDecision.Outcome(
            kind: .pause, namespace: namespace, name: name, action: action, generation: generation)
        guard action != .unchanged else { return ControlDecision(outcomes: [outcome]) }
        let record = ControlRecord(
            kind: .pause, namespace: namespace, name: name, generation: generation, time: self.now, content: content)
        return ControlDecision(records: [record], outcomes: [outcome])
    }

    /// Ends pauses of what is no longer there: all, or those of triggers that are not `kept`.
    func endPauses(of function: Catalogue.Function?, keeping kept: Set<String>? = nil) -> [ControlRecord] {
        guard let function else { return [] }
        var targets = function.pauses.triggers.keys.sorted().filter { !(kept?.contains($0) ?? false) }
            .map { PauseTarget(function.name, trigger: $0) }
        if kept == nil, function.pauses.function != nil { targets.append(PauseTarget(function.name)) }
        return targets.flatMap { self.decision($0, .resumed, .deleted).records }
    }

    /// Keeps what runs now as a revision to return to, and lets go of what is too old.
    func keep(_ previous: Catalogue.Function?, besides revision: String) -> [ControlRecord] {
        guard let previous else { return [] }
        let name = previous.name
        let kept = KeptRevision(previous)
        let all = self.catalogue.revisions(of: name).filter { $0.revision != revision }
        return [
            ControlRecord(
                kind: .revision, namespace: name.namespace, name: kept.recordName(of: name.name),
                generation: previous.generation, time: previous.updated, content: .revision(kept))
        ] + all.dropFirst(self.revisionsPerFunction - 1).map { self.removal($0, of: name) }
    }

    func forgetRevisions(of name: ResourceName) -> [ControlRecord] {
        (self.catalogue.kept[name] ?? []).map { self.removal($0, of: name) }
    }

    private func removal(_ kept: KeptRevision, of name: ResourceName) -> ControlRecord {
        ControlRecord(
            kind: .revision, namespace: name.namespace, name: kept.recordName(of: name.name),
            generation: kept.generation, time: self.now, content: .deleted)
    }
}

/// What was made of a function's source, and how the revision is called.
struct MadeRevision {
    var revision: String
    var bundle: String
    var layer: String?
}
