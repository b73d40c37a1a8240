internal import ApusCore
internal import Synchronization

/// The topics that are there, for readers on every thread. Only the writer changes it, after its commit.
final class TopicDirectory: Sendable {
    private let topics: Mutex<[TopicName: Topic]>

    init() { self.topics = Mutex([:]) }

    subscript(name: TopicName) -> Topic? { self.topics.withLock { $0[name] } }
    var names: [TopicName] { self.topics.withLock { $0.keys.sorted() } }
    var all: [Topic] { self.topics.withLock { Array($0.values) } }

    func set(_ topic: Topic) { self.topics.withLock { $0[topic.name] = topic } }
    func remove(_ name: TopicName) { self.topics.withLock { $0[name] = nil } }

    func partition(_ place: TopicPartition) throws(ApusError) -> Partition {
        guard let topic = self[place.topic] else { throw TopicDirectory.notFound(place.topic) }
        guard topic.partitions.indices.contains(place.partition) else {
            throw ApusError(
                .invalidArgument,
                "the topic '\(place.topic)' has \(topic.partitions.count) partitions, from 0; there is no partition \(place.partition)"
            )
        }
        return topic.partitions[place.partition]
    }

    static func notFound(_ name: TopicName) -> ApusError {
        ApusError(.topicNotFound, "there is no topic '\(name)' on the event log: create it first")
    }
}
