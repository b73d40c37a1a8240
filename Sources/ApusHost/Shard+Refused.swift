internal import ApusCore
internal import ApusEngine

/// Outputs to topics that are not there: nobody made them, or somebody deleted them. Their deliveries wait for them, known by their outcome and
/// not settled, and nothing more of their trigger begins; everything else is written.
extension Shard {
    /// A write was refused for want of a topic: what needs it is taken out of the next.
    func refuseOutputs(of group: LedgerGroup, now: Timestamp) {
        let refused = self.commits[group].refuse(unless: { self.log.topic($0) != nil })
        // The log knows it still, and its cluster does not: it is to look now, where that may wait.
        if refused.isEmpty { _ = self.configuration.readAhead? { [log = self.log] in log.lookForTopics() } }
        for held in refused {
            guard self.engine.unwritten(held.delivery) else { continue }
            self.refuse(held, group, now: now)
        }
    }

    /// Whether a delivery of a trigger that waits for a topic has to wait, too.
    func refuses(_ delivery: Delivery, _ outputs: [LogBatch.Append], now: Timestamp) -> Bool {
        guard self.refusals[delivery.trigger] != nil, self.missing(outputs) != nil else { return false }
        self.refuse(CommitPipeline.Held(delivery: delivery, outputs: outputs), self.group(of: delivery), now: now)
        return true
    }

    private func missing(_ outputs: [LogBatch.Append]) -> TopicName? {
        outputs.lazy.map(\.topic).first { self.log.topic($0) == nil }
    }

    private func refuse(_ held: CommitPipeline.Held, _ group: LedgerGroup, now: Timestamp) {
        let trigger = held.delivery.trigger
        self.commits[group].holdRefused(held)
        if self.refusals[trigger] == nil { self.engine.setRefused(trigger, true, now: now) }
        self.refusals[trigger] = self.missing(held.outputs) ?? self.refusals[trigger] ?? held.outputs.first?.topic
    }

    /// Called by housekeeping: topics may have been made.
    func lookForRefused(now: Timestamp) {
        for group in self.commits.groups {
            for held in self.commits[group].takeRefused(where: { self.missing($0.outputs) == nil }) {
                if self.commits.isShort || self.commits.isFull(group) {
                    self.commits[group].hold(held.delivery, held.outputs)
                } else {
                    self.append(held.outputs, of: held.delivery, now: now)
                    self.engine.written(held.delivery)
                }
            }
        }
        // Those of groups that are another's by now are forgotten there.
        let waiting = Set(self.commits.groups.flatMap { self.commits[$0].refused.map(\.delivery.trigger) })
        for trigger in self.refusals.keys where !waiting.contains(trigger) {
            self.refusals[trigger] = nil
            self.engine.setRefused(trigger, false, now: now)
        }
        self.requestTurn()
    }

    func forgetRefused(of trigger: TriggerID) {
        guard self.refusals.removeValue(forKey: trigger) != nil else { return }
        for group in self.commits.groups { self.commits[group].drop(trigger) }
    }

    func refusalError(of trigger: TriggerState) -> ApusError? {
        switch self.refusal(of: trigger) {
        case .outputRefused(let message), .deadLetterRefused(let message): ApusError(.topicNotFound, message)
        default: nil
        }
    }

    /// Why a trigger's outcomes are not written; nil when its topics are there.
    func refusal(of trigger: TriggerState) -> DeliveryBlock? {
        guard let topic = self.refusals[trigger.trigger.id] else { return nil }
        let message = "the topic '\(topic.local?.name ?? topic.onLog)' does not exist: create it, or deploy without it"
        return topic == trigger.trigger.deadLetter && topic != trigger.trigger.replyTo
            ? .deadLetterRefused(message) : .outputRefused(message)
    }
}
