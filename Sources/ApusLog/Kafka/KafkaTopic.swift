internal import ApusCore
internal import Synchronization

/// A topic as this node knows it.
final class KafkaTopic: Sendable {
    let name: TopicName
    /// What it is called on the cluster.
    let onKafka: String
    let configuration: TopicConfiguration
    let partitions: [KafkaPartition]
    /// Made by Apus: its retention is seen to here as well.
    let isOwn: Bool
    private let turn = Atomic<Int>(0)

    init(
        _ name: TopicName, onKafka: String, _ configuration: TopicConfiguration, isOwn: Bool, keeping: [KafkaPartition]
    ) {
        self.name = name
        self.onKafka = onKafka
        self.configuration = configuration
        self.isOwn = isOwn
        self.partitions =
            keeping
            + (keeping.count..<max(keeping.count, configuration.partitions)).map {
                KafkaPartition(
                    name, onKafka, $0, isCompacted: configuration.isCompacted && !name.showsHistory)
            }
    }

    /// The partition for a record without a key.
    func nextPartition() -> Int {
        Int(self.turn.wrappingAdd(1, ordering: .relaxed).newValue.magnitude) % self.partitions.count
    }
}

/// The topics this node knows. Changed by whoever makes or deletes one, and by the look at the cluster now and then.
final class KafkaTopics: Sendable {
    private let topics = Mutex<[TopicName: KafkaTopic]>([:])

    subscript(_ name: TopicName) -> KafkaTopic? { self.topics.withLock { $0[name] } }
    var all: [KafkaTopic] { self.topics.withLock { Array($0.values) } }
    var names: [TopicName] { self.topics.withLock { $0.keys.sorted() } }
    func set(_ topic: KafkaTopic) { self.topics.withLock { $0[topic.name] = topic } }
    func remove(_ name: TopicName) -> KafkaTopic? { self.topics.withLock { $0.removeValue(forKey: name) } }

    func require(_ name: TopicName) throws(ApusError) -> KafkaTopic {
        guard let topic = self[name] else { throw TopicDirectory.notFound(name) }
        return topic
    }

    func partition(_ place: TopicPartition) throws(ApusError) -> KafkaPartition {
        let topic = try self.require(place.topic)
        guard topic.partitions.indices.contains(place.partition) else {
            throw ApusError(
                .invalidArgument,
                "the topic '\(place.topic)' has \(topic.partitions.count) partitions, from 0; there is no partition \(place.partition)"
            )
        }
        return topic.partitions[place.partition]
    }
}
