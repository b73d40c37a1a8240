public import ApusCore
public import ApusEngine

/// What triggers on topics are doing. Values made on the loop, in time that follows the number of partitions and not of events.
extension Shard {
    /// How far behind each topic trigger is.
    public func triggerStatuses() -> [TriggerSnapshot] {
        self.triggers.values.compactMap { trigger in
            guard !trigger.isTable, let status = self.engine.status(of: trigger.trigger.id) else { return nil }
            var snapshot = TriggerSnapshot(
                function: trigger.functionName, trigger: trigger.trigger.name, replay: trigger.replay?.number,
                topic: trigger.trigger.topic, status: status)
            if status.unsettled > 0 { snapshot.blocked = self.refusalError(of: trigger) ?? self.writeFailure }
            guard status.lag > Int64(status.unsettled) else { return snapshot }
            snapshot.unread = self.engine.partitions(of: trigger.trigger.id).filter { $0.oldest == nil && $0.lag > 0 }
                .map { trigger.place($0.partition, $0.position) }
            return snapshot
        }
    }

    /// The same with each partition and what holds it up, of the triggers that are meant.
    public func subscriptions(where isMeant: (ResourceName, _ trigger: String) -> Bool) -> [SubscriptionSnapshot] {
        self.triggers.values.compactMap { trigger in
            guard !trigger.isTable, trigger.invocations == nil,
                isMeant(trigger.functionName, trigger.trigger.name),
                let status = self.engine.status(of: trigger.trigger.id)
            else { return nil }
            var partitions = self.engine.partitions(of: trigger.trigger.id)
            if let refusal = self.refusal(of: trigger) {
                for index in partitions.indices where partitions[index].settling > 0 {
                    partitions[index].blocks.append(refusal)
                }
            } else if let failure = self.writeFailure {
                let holdsDeadLetters = self.unwrittenDeadLetters.contains(trigger.trigger.id)
                for index in partitions.indices where partitions[index].settling > 0 {
                    partitions[index].blocks.append(
                        holdsDeadLetters ? .deadLetterRefused(failure.message) : .writesFail(failure.message))
                }
            }
            let snapshot = TriggerSnapshot(
                function: trigger.functionName, trigger: trigger.trigger.name, replay: trigger.replay?.number,
                topic: trigger.trigger.topic, status: status)
            return SubscriptionSnapshot(trigger: snapshot, partitions: partitions)
        }
    }
}

/// A topic trigger and what its deliveries are doing.
public struct TriggerSnapshot: Sendable {
    public var function: ResourceName
    public var trigger: String
    /// The number of the replay that it is; nil for the trigger itself.
    public var replay: UInt64?
    public var topic: TopicName
    public var status: TriggerStatus
    /// Where partitions of which nothing is read go on, if there is anything.
    public var unread: [RecordPlace] = []
    /// Why the log does not take its outcomes: nothing of it settles until it does.
    public var blocked: ApusError?
}

/// The same with its partitions.
public struct SubscriptionSnapshot: Sendable {
    public var trigger: TriggerSnapshot
    public var partitions: [PartitionStatus]
}
