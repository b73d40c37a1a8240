internal import ApusCore
internal import ApusStore

/// Makes of a dead letter the record that runs it again: the event as it was, on the partition it came from, marked so that only
/// its own trigger takes it. It keeps its key, and so its place behind what that key has waiting.
struct Redrive {
    var reason: DeadLetterReason
    /// The record on the topic of dead letters.
    var event: Event

    /// - Throws: `conflict` when nobody would take it, `not_yet_supported` for a compacted topic.
    func append(_ catalogue: Catalogue, _ log: any EventLog) throws(ApusError) -> LogBatch.Append {
        let reason = self.reason
        guard let namespace = Namespace(reason.namespace), let name = ResourceName(namespace, reason.function),
            let function = catalogue.functions[name]
        else {
            throw ApusError(
                .conflict, "the function '\(reason.function)' is not deployed any more: deploy it, then redrive")
        }
        guard
            let trigger = function.triggers.first(where: { $0.name == reason.trigger && $0.topic.onLog == reason.topic }
            )
        else {
            throw ApusError(
                .conflict, "the function '\(name)' has no trigger '\(reason.trigger)' on \(reason.topic) any more")
        }
        guard let topic = log.topic(trigger.topic) else {
            throw ApusError(.topicNotFound, "the topic '\(reason.topic)' does not exist any more")
        }
        guard !topic.isCompacted else {
            throw ApusError(
                .notYetSupported,
                "'\(reason.topic)' is compacted: appending the event again would replace what its key holds now")
        }
        var event = self.event
        event.attributes.removeAll {
            $0.kind == .header && $0.name.hasPrefix(InternalHeader.prefix) && $0.name != InternalHeader.hops
        }
        event.attributes.append(
            Attribute(InternalHeader.redrive, "\(namespace)/\(name.name)/\(trigger.name)", kind: .header))
        event.timestamp = .zero
        return LogBatch.Append(
            topic: trigger.topic, partition: min(max(reason.partition, 0), topic.partitions - 1),
            block: EventBlock.encode(event))
    }
}
