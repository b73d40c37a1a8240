/// A record's place in its partition. Offsets only grow; compaction and retention leave gaps.
public typealias Offset = Int64

/// One partition of one topic.
public struct TopicPartition: Sendable, Hashable, CustomStringConvertible {
    public let topic: TopicName
    public let partition: Int

    public init(_ topic: TopicName, _ partition: Int) {
        self.topic = topic
        self.partition = partition
    }

    public var description: String { "\(self.topic)/\(self.partition)" }
}

/// The records a partition holds: `start` is the first offset that may still be there, `end` the next to be given.
public struct OffsetBounds: Sendable, Equatable {
    public var start: Offset
    public var end: Offset

    public init(start: Offset, end: Offset) {
        self.start = start
        self.end = end
    }
}

/// Where a reader begins.
public enum StartPosition: Sendable, Hashable {
    case earliest
    case latest
    case timestamp(Timestamp)
}
