internal import ApusCore
internal import ApusCrypto
internal import ApusJSON
internal import ApusManifest

/// Decides one command against the catalogue. No I/O: where partitions start is asked of the caller.
struct ControlDecider {
    let catalogue: Catalogue
    let now: Timestamp
    /// How many are kept of each, the newest included.
    let revisionsPerFunction: Int
    /// The offset a position means on a partition that exists.
    let resolve: (TopicPartition, StartPosition) throws(ApusError) -> Offset

    func decide(_ command: ControlCommand) throws(ApusError) -> ControlDecision {
        switch command {
        case .deploy(let documents, let ifMatch, _, let creator): try self.deploy(documents, ifMatch, by: creator)
        case .deleteFunction(let name, let ifMatch): try self.deleteFunction(name, ifMatch)
        case .deleteTopic(let namespace, let name, let ifMatch): try self.deleteTopic(namespace, name, ifMatch)
        case .deleteToolServer(let name, let ifMatch): try self.deleteToolServer(name, ifMatch)
        case .deleteUpstream(let name, let ifMatch): try self.deleteUpstream(name, ifMatch)
        case .takeUpstreamList(let name, let list, let kinds): try self.takeUpstreamList(name, list, of: kinds)
        case .switchUpstreamTool(let name, let tool, let change): try self.switchUpstreamTool(name, tool, change)
        case .switchTool(let namespace, let tool, let isDisabled, let principal):
            try self.switchTool(namespace, tool, isDisabled: isDisabled, by: principal)
        case .acceptSignedTool(let name, let digest): try self.acceptSignedTool(name, digest: digest)
        case .decideFate(let id, let namespace, let fate): self.decideFate(id, namespace, fate)
        case .decideFates(let ids, let namespace, let fate): self.decideFates(ids, namespace, fate)
        case .forgetFates(let fates): self.forgetFates(fates)
        case .rollback(let name, let revision, let ifMatch): try self.rollback(name, revision, ifMatch)
        case .pause(let target, let principal): try self.pause(target, principal)
        case .resume(let target): try self.resume(target)
        case .createReplay(let name, let order): try self.createReplay(name, order)
        case .endReplay(let name, let id, let outcome): try self.endReplay(name, id, outcome)
        case .createPrincipal(let name, let principal): try self.createPrincipal(name, principal)
        case .revokePrincipal(let name, let ifMatch): try self.revokePrincipal(name, ifMatch)
        case .rotatePrincipal(let name, let id, let hash): try self.rotatePrincipal(name, id, hash)
        case .setSecret(let name, let sealed, let generation):
            try self.setSecret(name, sealed, ifGeneration: generation)
        case .deleteSecret(let name): try self.deleteSecret(name)
        case .resealSecrets(let reseals): self.resealSecrets(reseals)
        case .claimApproval(let id, let request): try self.claimApproval(id, request)
        case .decideApproval(let id, let namespace, let verdict): try self.decideApproval(id, namespace, verdict)
        case .sweepApprovals: self.sweepApprovals()
        }
    }

    // MARK: deploy

    private func deploy(
        _ sent: [DeployDocument], _ ifMatch: UInt64?, by creator: String
    ) throws(ApusError) -> ControlDecision {
        guard (1...Limits.Control.documentsPerDeploy).contains(sent.count) else {
            throw ApusError(
                .manifestInvalid,
                "the deploy has \(sent.count) documents; 1 to \(Limits.Control.documentsPerDeploy) are expected"
            )
        }
        let documents = Self.expanded(sent)
        do throws(ManifestErrors) { try Manifest.checkDistinct(documents.map(\.manifest)) } catch {
            throw error.asApusError
        }
        if let ifMatch {
            guard sent.count == 1 else {
                throw ApusError(.invalidArgument, "If-Match needs a deploy of one document")
            }
            let identity = sent[0].manifest.identity
            try self.check(ifMatch, identity.kind.record, identity.namespace, identity.name)
        }
        try self.checkOwnership(sent)
        var decision = ControlDecision()
        var known = self.catalogue.topics.mapValues(\.manifest.configuration)
        var added: Set<TopicName> = []
        for case .topic(let topic) in documents.map(\.manifest) {
            try self.deploy(topic, into: &decision)
            if known.updateValue(topic.configuration, forKey: topic.topic) == nil { added.insert(topic.topic) }
        }
        let count = known.count
        guard count <= Limits.Control.topics else {
            throw ApusError(
                .limitReached,
                "there would be \(count) topics; at most \(Limits.Control.topics) are possible: delete some first")
        }
        let rules = ReferenceRules(topics: known, secrets: Set(self.catalogue.secrets.keys))
        var problems: [ReferenceRules.Problem] = []
        for case .function(let function) in documents.map(\.manifest) { problems += rules.problems(of: function) }
        if let error = ReferenceRules.error(problems) { throw error }
        try self.checkHTTPTriggers(documents)
        try self.checkTools(
            documents.compactMap { if case .function(let function) = $0.manifest { function } else { nil } })
        for case .upstream(let upstream) in sent.map(\.manifest) {
            try self.deploy(upstream, with: sent, into: &decision)
        }
        for document in documents {
            guard case .function(let function) = document.manifest else { continue }
            try self.deploy(function, document, known, added, into: &decision)
        }
        for case .toolServer(let server) in documents.map(\.manifest) { try self.deploy(server, into: &decision) }
        for case .agent(let agent) in documents.map(\.manifest) { try self.deploy(agent, by: creator, into: &decision) }
        return decision
    }

    private func checkHTTPTriggers(_ documents: [DeployDocument]) throws(ApusError) {
        var after = self.catalogue.functions.mapValues(\.manifest)
        var deployed: [FunctionManifest] = []
        for case .function(let function) in documents.map(\.manifest) {
            after[function.name] = function
            deployed.append(function)
        }
        try HTTPTriggerRules(functions: Array(after.values)).check(deployed)
    }

    private func deploy(_ topic: TopicManifest, into decision: inout ControlDecision) throws(ApusError) {
        let current = self.catalogue.topics[topic.topic]
        let generation = self.catalogue.generation(.topic, topic.namespace, topic.name)
        var outcome = ControlDecision.Outcome(
            kind: .topic, namespace: topic.namespace, name: topic.name, action: .unchanged, generation: generation
        )
        if let current {
            if current.manifest == topic {
                decision.outcomes.append(outcome)
                return
            }
            let (old, new) = (current.manifest.configuration, topic.configuration)
            guard new.isCompacted == old.isCompacted else {
                throw ApusError(
                    .conflict,
                    "the topic '\(topic.name)' is \(old.isCompacted ? "" : "not ")compacted, which cannot change: deploy a topic of another name"
                )
            }
            guard new.partitions >= old.partitions, !old.isCompacted || new.partitions == old.partitions else {
                throw ApusError(
                    .conflict,
                    "the topic '\(topic.name)' has \(old.partitions) partitions; "
                        + (old.isCompacted
                            ? "those of a compacted topic cannot change" : "there can be more, never fewer")
                )
            }
            if new != old { decision.topicChanges.append(.alter(topic.topic, new)) }
        } else {
            decision.topicChanges.append(.create(topic.topic, topic.configuration))
        }
        outcome.action = current == nil ? .created : .updated
        outcome.generation = generation + 1
        decision.outcomes.append(outcome)
        decision.records.append(
            ControlRecord(
                kind: .topic, namespace: topic.namespace, name: topic.name, generation: generation + 1, time: self.now,
                content: .topic(manifest: Manifest.topic(topic).toJSON())
            )
        )
    }

    private func deploy(
        _ function: FunctionManifest, _ document: DeployDocument, _ topics: [TopicName: TopicConfiguration],
        _ added: Set<TopicName>,
        into decision: inout ControlDecision
    ) throws(ApusError) {
        let name = function.name
        guard let bundle = document.bundle, BundleHash.isWellFormed(bundle) else {
            throw ApusError(
                .bundleNotFound, "the function '\(name)' comes without a bundle: send its source to /v1/bundles first")
        }
        guard self.catalogue.functions[name] != nil || self.catalogue.functions.count < Limits.Control.functions else {
            throw ApusError(
                .limitReached,
                "\(Limits.Control.functions) functions are deployed, no more are possible: delete some first")
        }
        let revision = Self.revision(
            manifest: Manifest.function(function).toJSON(), bundle: bundle, layer: document.layer)
        let made = MadeRevision(revision: revision, bundle: bundle, layer: document.layer)
        try self.deploy(function, made, topics, added, into: &decision)
    }

    func deploy(
        _ function: FunctionManifest, _ made: MadeRevision, _ topics: [TopicName: TopicConfiguration],
        _ added: Set<TopicName>, into decision: inout ControlDecision
    ) throws(ApusError) {
        let name = function.name
        let previous = self.catalogue.functions[name]
        let generation = self.catalogue.generation(.function, name.namespace, name.name)
        var outcome = ControlDecision.Outcome(
            kind: .function, namespace: name.namespace, name: name.name, action: .unchanged, generation: generation,
            revision: made.revision
        )
        if let previous, previous.revision == made.revision {
            decision.outcomes.append(outcome)
            return
        }
        var triggers: [TriggerDeployment] = []
        for trigger in function.triggers {
            triggers.append(
                try self.deploy(trigger, previous, generation + 1, topics, isNew: added.contains(trigger.topic)))
        }
        outcome.action = previous == nil ? .created : .updated
        outcome.generation = generation + 1
        decision.outcomes.append(outcome)
        decision.records += self.keep(previous, besides: made.revision)
        decision.records += self.endPauses(of: previous, keeping: Set(function.triggerNames))
        decision.records += self.endReplays(of: previous, keeping: triggers)
        decision.records.append(
            ControlRecord(
                kind: .function, namespace: name.namespace, name: name.name, generation: generation + 1, time: self.now,
                content: .function(
                    FunctionDeployment(
                        manifest: Manifest.function(function).toJSON(), revision: made.revision, bundle: made.bundle,
                        layer: made.layer, triggers: triggers,
                        schedules: function.scheduleTriggers.map { self.deploy($0, previous, generation + 1) },
                        origin: previous?.origin ?? generation + 1,
                        move: Self.move(function, previous, generation + 1),
                        trust: ToolTrust.after(function, self.trust(of: name)))
                )
            )
        )
    }

    /// A function that changes its class goes from the nodes of one to those of another.
    private static func move(
        _ function: FunctionManifest, _ previous: Catalogue.Function?, _ generation: UInt64
    ) -> ClassMove? {
        guard let previous, previous.manifest.resources.workClass != function.resources.workClass else {
            return previous?.move
        }
        return ClassMove(first: previous.move?.first ?? previous.manifest.resources.workClass, since: generation)
    }

    /// A schedule that stays, by its name, line and zone, goes on where it is.
    private func deploy(
        _ trigger: ScheduleTriggerManifest, _ previous: Catalogue.Function?, _ generation: UInt64
    ) -> ScheduleDeployment {
        let kept = previous?.schedules.first {
            $0.name == trigger.name && $0.manifest.cron == trigger.cron && $0.manifest.zone == trigger.zone
        }
        return kept?.deployment ?? ScheduleDeployment(name: trigger.name, generation: generation, since: self.now)
    }

    /// A trigger that stays, by its name and topic, keeps its generation and so its position.
    private func deploy(
        _ trigger: TriggerManifest, _ previous: Catalogue.Function?, _ generation: UInt64,
        _ topics: [TopicName: TopicConfiguration],
        isNew: Bool
    ) throws(ApusError) -> TriggerDeployment {
        let kept = previous?.triggers.first {
            $0.name == trigger.name && $0.topic == trigger.topic && $0.manifest.isTable == trigger.isTable
        }
        if let kept { return kept.deployment }
        var starts: [Offset] = []
        if !trigger.isTable {
            let partitions = self.catalogue.topics[trigger.topic]?.manifest.configuration.partitions ?? 0
            // Partitions that this deploy adds hold nothing yet: they start at 0, whatever `from` says.
            for partition in 0..<(isNew ? 0 : partitions) {
                starts.append(try self.resolve(TopicPartition(trigger.topic, partition), trigger.from))
            }
            let all = topics[trigger.topic]?.partitions ?? starts.count
            starts += repeatElement(0, count: max(0, all - starts.count))
        }
        return TriggerDeployment(
            name: trigger.name, topic: trigger.topic, isTable: trigger.isTable, generation: generation, starts: starts
        )
    }

    /// The name of a revision: the hash of everything that makes it.
    static func revision(manifest: JSONValue, bundle: String, layer: String?) -> String {
        Hex.encode(SHA256.hash(manifest.encoded() + Array("\n\(bundle)\n\(layer ?? "")".utf8)))
    }

    // MARK: the others

    private func deleteFunction(_ name: ResourceName, _ ifMatch: UInt64?) throws(ApusError) -> ControlDecision {
        try self.checkOwnership(name)
        return try self.deleteOwnedFunction(name, ifMatch)
    }

    func deleteOwnedFunction(_ name: ResourceName, _ ifMatch: UInt64? = nil) throws(ApusError) -> ControlDecision {
        guard self.catalogue.functions[name] != nil else {
            throw ApusError(
                .functionNotFound, "there is no function '\(name)'; 'apus get functions' lists those that are")
        }
        if let ifMatch { try self.check(ifMatch, .function, name.namespace, name.name) }
        var decision = self.deletion(.function, name.namespace, name.name)
        decision.records += self.endPauses(of: self.catalogue.functions[name]) + self.forgetRevisions(of: name)
        decision.records += self.forgetReplays(of: name)
        return decision
    }

    private func deleteTopic(_ namespace: Namespace, _ name: String, _ ifMatch: UInt64?) throws(ApusError)
        -> ControlDecision
    {
        guard let topic = TopicName(namespace, name), self.catalogue.topics[topic] != nil else {
            throw ApusError(
                .topicNotFound,
                "there is no topic '\(name)' in the namespace '\(namespace)'; 'apus get topics' lists those that are")
        }
        if let ifMatch { try self.check(ifMatch, .topic, namespace, name) }
        let users = self.catalogue.users(of: topic)
        guard users.isEmpty else {
            throw ApusError(
                .conflict,
                "the topic '\(name)' is used by \(users.map { "'\($0)'" }.joined(separator: ", ")): delete these or deploy them without it first"
            )
        }
        var decision = self.deletion(.topic, namespace, name)
        decision.topicChanges = [.delete(topic)]
        return decision
    }

    func deletion(_ kind: ControlRecord.Kind, _ namespace: Namespace, _ name: String) -> ControlDecision {
        let generation = self.catalogue.generation(kind, namespace, name) + 1
        return ControlDecision(
            records: [
                ControlRecord(
                    kind: kind, namespace: namespace, name: name, generation: generation, time: self.now,
                    content: .deleted, trustLeft: kind == .function ? self.trust(of: ResourceName(namespace, name)) : nil)
            ],
            outcomes: [
                ControlDecision.Outcome(
                    kind: kind, namespace: namespace, name: name, action: .deleted, generation: generation)
            ]
        )
    }

    private func decideFate(
        _ id: DeadLetterID, _ namespace: Namespace, _ fate: ControlRecord.DeadLetterFate
    ) -> ControlDecision {
        ControlDecision(
            records: [
                ControlRecord(
                    kind: .fate, namespace: namespace, name: id.description, generation: 1, time: self.now,
                    content: .fate(fate)
                )
            ],
            outcomes: [
                ControlDecision.Outcome(
                    kind: .fate, namespace: namespace, name: id.description,
                    action: fate == .redriven ? .redriven : .dropped,
                    generation: 1
                )
            ]
        )
    }

    /// All of them or none.
    private func decideFates(
        _ ids: [DeadLetterID], _ namespace: Namespace, _ fate: ControlRecord.DeadLetterFate
    ) -> ControlDecision {
        ids.reduce(into: ControlDecision()) { decision, id in
            let one = self.decideFate(id, namespace, fate)
            decision.records += one.records
            decision.outcomes += one.outcomes
        }
    }

    private func forgetFates(_ fates: [ForgottenFate]) -> ControlDecision {
        ControlDecision(
            records: fates.map { fate in
                ControlRecord(
                    kind: .fate, namespace: fate.namespace, name: fate.id.description, generation: 1, time: self.now,
                    content: .deleted)
            })
    }

    /// A name that was deleted has a generation and yet is not there: for `If-Match` it counts as 0.
    func check(_ ifMatch: UInt64, _ kind: ControlRecord.Kind, _ namespace: Namespace, _ name: String)
        throws(ApusError)
    {
        let isThere =
            switch kind {
            case .function: ResourceName(namespace, name).map { self.catalogue.functions[$0] != nil } ?? false
            case .topic: TopicName(namespace, name).map { self.catalogue.topics[$0] != nil } ?? false
            case .toolServer: ResourceName(namespace, name).map { self.catalogue.toolServers[$0] != nil } ?? false
            case .upstream: ResourceName(namespace, name).map { self.catalogue.upstreams[$0] != nil } ?? false
            case .principal:
                ResourceName(namespace, name).map {
                    self.catalogue.principals[$0]?.state(at: self.now).holdsName ?? false
                } ?? false
            case .fate, .revision, .pause, .secret, .replay, .approval, .upstreamTools, .toolSwitch: false
            }
        let current = isThere ? self.catalogue.generation(kind, namespace, name) : 0
        guard current == ifMatch else {
            throw ApusError(
                .conflict,
                "'\(name)' is at generation \(current), not \(ifMatch): somebody changed it meanwhile; look at it again and repeat"
            )
        }
    }
}
