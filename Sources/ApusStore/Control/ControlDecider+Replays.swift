internal import ApusCore
internal import ApusManifest

/// Replays: beginning, ending, and letting go of those that ended long ago.
extension ControlDecider {
    func createReplay(_ name: ResourceName, _ order: ReplayOrder) throws(ApusError) -> ControlDecision {
        let replay = try self.replay(name, order)
        let open = self.catalogue.replays(of: name).filter { $0.end == nil }
        guard open.count < Limits.Control.replaysPerFunction else {
            throw ApusError(
                .limitReached,
                "'\(name)' has \(open.count) replays that go on, no more are possible: wait for one, or cancel it with `apus replay cancel`"
            )
        }
        return ControlDecision(
            records: [self.record(replay, name, 1)] + self.forgetOldReplays(of: name, besides: nil),
            outcomes: [self.outcome(replay, name, .created, 1)])
    }

    /// What an order comes to now.
    func replay(_ name: ResourceName, _ order: ReplayOrder) throws(ApusError) -> ReplayDeployment {
        guard let function = self.catalogue.functions[name] else {
            throw ApusError(
                .functionNotFound, "there is no function '\(name)'; 'apus get functions' lists those that are")
        }
        let trigger = try Self.trigger(order.trigger, of: function)
        if let to = order.to, to > self.now {
            throw ApusError(.invalidArgument, "`to` lies in the future: a replay ends at what was there when it began")
        }
        let to = order.to ?? self.now
        if let from = order.from, from >= to {
            throw ApusError(.invalidArgument, "`from` is not before `to`: there is nothing in between")
        }
        if let perSecond = order.perSecond, !(1...Limits.Control.replayPerSecondMax).contains(perSecond) {
            throw ApusError(
                .invalidArgument,
                "the rate \(perSecond) is none: 1 to \(Limits.Control.replayPerSecondMax) deliveries a second are possible"
            )
        }
        var (starts, ends): ([Offset], [Offset]) = ([], [])
        let partitions = self.catalogue.topics[trigger.topic]?.manifest.configuration.partitions ?? 0
        for partition in 0..<partitions {
            let place = TopicPartition(trigger.topic, partition)
            let start = try self.resolve(place, order.from.map { .timestamp($0) } ?? .earliest)
            let end = try self.resolve(place, order.to.map { .timestamp($0) } ?? .latest)
            starts.append(start)
            ends.append(max(start, end))
        }
        let newest = self.catalogue.newestReplay.map { $0.number + 1 } ?? 0
        return ReplayDeployment(
            id: ReplayID(number: max(UInt64(max(0, self.now.microseconds)), newest)), trigger: trigger.name,
            generation: trigger.deployment.generation, topic: trigger.topic, from: order.from, to: to, starts: starts,
            ends: ends, perSecond: order.perSecond, writesOutputs: order.writesOutputs, principal: order.principal,
            created: self.now)
    }

    private static func trigger(
        _ name: String?, of function: Catalogue.Function
    ) throws(ApusError) -> Catalogue.Trigger {
        let topics = function.triggers.filter { !$0.manifest.isTable }
        guard let name else {
            if topics.count == 1 { return topics[0] }
            let known = topics.isEmpty ? "it has none" : "name one of \(topics.map(\.name).joined(separator: ", "))"
            throw ApusError(.invalidArgument, "which trigger of '\(function.name)' is to be replayed? \(known)")
        }
        if let trigger = topics.first(where: { $0.name == name }) { return trigger }
        let known = topics.isEmpty ? "it has none" : "it has \(topics.map(\.name).joined(separator: ", "))"
        throw ApusError(
            .notFound, "the function '\(function.name)' has no trigger '\(name.prefix(64))' on a topic: \(known)")
    }

    func endReplay(
        _ name: ResourceName, _ id: ReplayID, _ outcome: ReplayDeployment.Outcome
    ) throws(ApusError) -> ControlDecision {
        let replay = try self.catalogue.replay(id, of: name)
        let action: ControlDecision.Outcome.Action = outcome == .finished ? .finished : .cancelled
        guard replay.end == nil else {
            return ControlDecision(outcomes: [self.outcome(replay, name, .unchanged, 2)])
        }
        return ControlDecision(
            records: [self.ended(replay, name, outcome)] + self.forgetOldReplays(of: name, besides: id),
            outcomes: [self.outcome(replay, name, action, 2)])
    }

    /// Ends replays of triggers that are no longer there.
    func endReplays(of function: Catalogue.Function?, keeping kept: [TriggerDeployment]) -> [ControlRecord] {
        guard let function else { return [] }
        return self.catalogue.replays(of: function.name).filter { replay in
            replay.end == nil
                && !kept.contains { $0.name == replay.trigger && $0.generation == replay.generation }
        }.map { self.ended($0, function.name, .cancelled) }
    }

    /// Replays go with their function.
    func forgetReplays(of name: ResourceName) -> [ControlRecord] {
        self.catalogue.replays(of: name).map { self.removal($0, name) }
    }

    /// Of those that ended, the newest are kept to be looked at.
    private func forgetOldReplays(of name: ResourceName, besides id: ReplayID?) -> [ControlRecord] {
        self.catalogue.replays(of: name).filter { $0.end != nil && $0.id != id }
            .dropFirst(Limits.Control.endedReplaysPerFunction - 1).map { self.removal($0, name) }
    }

    private func ended(
        _ replay: ReplayDeployment, _ name: ResourceName, _ outcome: ReplayDeployment.Outcome
    ) -> ControlRecord {
        var replay = replay
        replay.end = ReplayDeployment.End(outcome, at: self.now)
        return self.record(replay, name, 2)
    }

    private func record(_ replay: ReplayDeployment, _ name: ResourceName, _ generation: UInt64) -> ControlRecord {
        ControlRecord(
            kind: .replay, namespace: name.namespace, name: replay.recordName(of: name.name), generation: generation,
            time: self.now, content: .replay(replay))
    }

    private func removal(_ replay: ReplayDeployment, _ name: ResourceName) -> ControlRecord {
        ControlRecord(
            kind: .replay, namespace: name.namespace, name: replay.recordName(of: name.name), generation: 3,
            time: self.now, content: .deleted)
    }

    private func outcome(
        _ replay: ReplayDeployment, _ name: ResourceName, _ action: ControlDecision.Outcome.Action,
        _ generation: UInt64
    ) -> ControlDecision.Outcome {
        ControlDecision.Outcome(
            kind: .replay, namespace: name.namespace, name: replay.recordName(of: name.name), action: action,
            generation: generation)
    }
}
