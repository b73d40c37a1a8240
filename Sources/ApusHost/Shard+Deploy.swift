public import ApusCore
public import ApusEngine
internal import ApusLoop
internal import Synchronization

/// A topic that triggers of this shard follow.
struct FollowedTopic {
    var token: FollowToken
    var triggers: [TriggerID]
    /// Partitions that other nodes work: nothing of them is to be heard of.
    var ignored: Set<Int> = []
}

/// Growth of topics on its way from the log's thread to the loop: the newest end of each partition, one wake-up for
/// all.
private final class GrowthInbox: Sendable {
    private let ends = Mutex<[TopicPartition: Offset]>([:])

    /// - Returns: whether the loop must be told.
    func put(_ partition: TopicPartition, _ end: Offset) -> Bool {
        self.ends.withLock { ends in
            defer { ends[partition] = end }
            return ends.isEmpty
        }
    }

    func take() -> [TopicPartition: Offset] {
        self.ends.withLock { ends in
            defer { ends.removeAll(keepingCapacity: true) }
            return ends
        }
    }
}

extension Shard {
    /// Deploys a function, or a new revision of one: its triggers open at their durable positions, its topics are
    /// followed.
    /// - Throws: what the log says when the ledger or the topics cannot be read, or `topic_not_found`; nothing has
    ///   changed then.
    public func apply(_ function: HostFunction) throws(ApusError) {
        precondition(
            function.triggers.map(\.id) == function.plan.triggers.map(\.trigger),
            "host and engine get the same triggers")
        self.noteClass(of: function, now: self.now)
        self.noteResumed(function)
        var opened: [(TriggerState, [LedgerState], [OffsetBounds])] = []
        var states: [TriggerState] = []
        for (trigger, plan) in zip(function.triggers, function.plan.triggers) {
            guard let topic = self.log.topic(trigger.topic) else {
                throw ApusError(
                    .topicNotFound,
                    "the topic '\(trigger.topic)' of the trigger '\(trigger.name)' does not exist: create it first")
            }
            if let state = self.triggers[trigger.id] {
                states.append(state)
                continue
            }
            let state = TriggerState(
                trigger, of: function, plan: plan, isCompacted: topic.isCompacted, logIdentity: self.log.identity)
            let (ledgers, bounds) = try self.restore(state, partitions: topic.partitions)
            states.append(state)
            opened.append((state, ledgers, bounds))
        }
        self.retire(function)
        for (index, state) in states.enumerated() {
            let isCompacted = self.log.topic(function.triggers[index].topic)?.isCompacted ?? false
            state.update(
                function.triggers[index], of: function, plan: function.plan.triggers[index], isCompacted: isCompacted)
        }
        self.functions[function.plan.function] = FunctionState(function, triggers: states)
        let now = self.now
        self.engine.apply(self.plan(of: function), now: now)
        for (state, ledgers, bounds) in opened {
            self.triggers[state.trigger.id] = state
            if state.replay != nil { self.replays.insert(state.trigger.id) }
            state.ends = bounds.map(\.end)
            if state.invocations != nil, let ledger = ledgers.first, self.openGroup(of: state, 0) != nil {
                self.log.discard(TopicPartition(state.trigger.topic, 0), before: ledger.watermark)
                self.answerSettledCancels(state, ledger, now: now)
            }
            if state.replay == nil { self.follow(state) }
            for (partition, ledger) in ledgers.enumerated() {
                guard let group = self.openGroup(of: state, partition) else { continue }
                // Another class may have it still: who held it lets go first. Or somebody has moved its position.
                if self.mayBeAnothers(state) || self.mayBeMoved(state),
                    let share = self.share(of: state, partition), let term = self.held.term(of: share)
                {
                    self.unopened[share] = term
                    self.opensNow = true
                    continue
                }
                self.open(state, partition, ledger, bounds[partition], group, now: now)
            }
        }
        self.requestTurn()
    }

    /// Takes a function away. Its workers stop, its callers get a failure.
    /// - Parameter forgettingPositions: the ledger of its triggers is deleted as well.
    public func remove(_ function: FunctionID, forgettingPositions: Bool) {
        guard let state = self.functions.removeValue(forKey: function) else { return }
        if let activity = self.activities.removeValue(forKey: function) { self.leftActivities.append(activity) }
        self.engine.remove(function, now: self.now)
        for trigger in state.triggers { self.forget(trigger, forgettingPosition: forgettingPositions) }
        self.requestTurn()
    }

    /// Triggers that the new revision no longer has.
    private func retire(_ function: HostFunction) {
        guard let current = self.functions[function.plan.function] else { return }
        let kept = Set(function.triggers.map(\.id))
        for trigger in current.triggers where !kept.contains(trigger.trigger.id) {
            self.forget(trigger, forgettingPosition: true)
        }
    }

    private func forget(_ trigger: TriggerState, forgettingPosition: Bool) {
        let id = trigger.trigger.id
        self.triggers.removeValue(forKey: id)
        self.resumptions[id] = nil
        self.forgetRefused(of: id)
        self.replays.remove(id)
        self.replaysToldUntil[id] = nil
        self.unwrittenDeadLetters.remove(id)
        self.notes.forget(id)
        self.forgetTraces(of: id)
        self.lastTrigger = nil
        self.retired.append(trigger)
        if var topic = self.followed[trigger.trigger.topic] {
            topic.triggers.removeAll { $0 == id }
            self.followed[trigger.trigger.topic] = topic.triggers.isEmpty ? nil : topic
            self.followsChanged = true
            if topic.triggers.isEmpty { self.log.unfollow(topic.token) }
        }
        if trigger.invocations != nil {
            // Whoever removed the function finishes what is open from what the log says: see `whenWritten`.
            self.commits[self.group(of: trigger, 0)].retire(id, ledgerPrefix: trigger.ledgerPrefix)
            return
        }
        guard forgettingPosition, !trigger.isTable else { return }
        for partition in trigger.ends.indices {
            // Each entry goes by the hand of who owns it.
            guard let group = self.openGroup(of: trigger, partition) else { continue }
            let share = self.share(of: trigger, partition)
            let mark = ClassMark.key(prefix: trigger.ledgerPrefix, partition: partition)
            var entries = [
                LogBatch.LedgerWrite(
                    key: LedgerKey.key(prefix: trigger.ledgerPrefix, partition: partition), value: nil, share: share,
                    position: trigger.position(partition, nil))
            ]
            if trigger.move != nil { entries.append(LogBatch.LedgerWrite(key: mark, value: nil, share: share)) }
            for entry in entries { self.commits[group].forget(entry, now: self.now) }
        }
    }

    private func restore(
        _ trigger: TriggerState, partitions: Int
    ) throws(ApusError) -> ([LedgerState], [OffsetBounds]) {
        let partitions = min(partitions, trigger.replay?.ends.count ?? partitions)
        var states = (0..<partitions).map { partition in
            LedgerState(watermark: partition < trigger.trigger.starts.count ? trigger.trigger.starts[partition] : 0)
        }
        if !trigger.isTable {
            for (key, value) in try self.log.ledger(prefix: trigger.ledgerPrefix) {
                if let lane = trigger.invocations, let mark = InvocationMark(key: key, prefix: trigger.ledgerPrefix) {
                    lane.restore(mark, value)
                }
                guard let partition = LedgerKey.partition(of: key, prefix: trigger.ledgerPrefix), partition < partitions
                else { continue }
                states[partition] = try LedgerKey.decode(value)
            }
        }
        var bounds: [OffsetBounds] = []
        for partition in 0..<partitions {
            // What is another's is asked for when it comes here.
            guard self.openGroup(of: trigger, partition) != nil else {
                bounds.append(OffsetBounds(start: 0, end: 0))
                continue
            }
            let whole = try self.log.bounds(of: TopicPartition(trigger.trigger.topic, partition))
            bounds.append(trigger.replay?.bounded(whole, partition) ?? whole)
        }
        return (states, bounds)
    }

    // MARK: growth

    /// Tells the log of which partitions nothing is worked here. Called when shares or triggers changed.
    func narrowFollows() {
        self.followsChanged = false
        guard self.held.isShared else { return }
        for (name, topic) in self.followed {
            let triggers = topic.triggers.compactMap { self.triggers[$0] }
            let count = triggers.map(\.ends.count).max() ?? 0
            let ignored = Set(
                (0..<count).filter { partition in !triggers.contains { self.hears($0, partition) } })
            guard ignored != topic.ignored else { continue }
            self.followed[name]?.ignored = ignored
            self.log.narrow(topic.token, without: ignored)
        }
    }

    /// Whether something of a partition is, or is about to be, worked here.
    private func hears(_ trigger: TriggerState, _ partition: Int) -> Bool {
        guard !trigger.isTable, let share = self.share(of: trigger, partition) else { return true }
        return self.held.term(of: share) != nil
    }

    private func follow(_ trigger: TriggerState) {
        let topic = trigger.trigger.topic
        self.followsChanged = true
        if self.followed[topic] != nil {
            self.followed[topic]?.triggers.append(trigger.trigger.id)
            return
        }
        let inbox = GrowthInbox()
        let token = self.log.follow(topic) { [loop = self.loop, weak self] partition, end in
            guard inbox.put(TopicPartition(topic, partition), end) else { return }
            loop.post { [weak self] in self?.grew(inbox.take()) }
        }
        self.followed[topic] = FollowedTopic(token: token, triggers: [trigger.trigger.id])
        // What was appended between reading the bounds and following is found here.
        for partition in trigger.ends.indices where self.openGroup(of: trigger, partition) != nil {
            guard let bounds = try? self.log.bounds(of: TopicPartition(topic, partition)) else { continue }
            if bounds.end > trigger.ends[partition], inbox.put(TopicPartition(topic, partition), bounds.end) {
                self.loop.post { [weak self] in self?.grew(inbox.take()) }
            }
        }
    }

    private func grew(_ ends: [TopicPartition: Offset]) {
        let now = self.now
        for (partition, end) in ends {
            for trigger in self.followed[partition.topic]?.triggers ?? [] {
                guard let state = self.triggers[trigger] else { continue }
                while state.ends.count <= partition.partition { self.openAdded(state, now: now) }
                guard end > state.ends[partition.partition] else { continue }
                state.ends[partition.partition] = end
                self.engine.grew(trigger, partition: partition.partition, end: end, now: now)
            }
        }
        self.requestTurn()
    }

    /// A partition that was added to the topic after the trigger was opened starts at 0.
    private func openAdded(_ trigger: TriggerState, now: Timestamp) {
        let partition = trigger.ends.count
        trigger.ends.append(0)
        guard let group = self.openGroup(of: trigger, partition) else { return }
        self.engine.open(
            trigger.trigger.id, partition: partition, state: LedgerState(watermark: 0),
            bounds: OffsetBounds(start: 0, end: 0), group: group, now: now)
    }
}
