public import ApusCore
internal import Synchronization

/// An event log in memory, with the semantics of the others and no durability: for tests and benchmarks.
///
/// Batches take effect inside `submit`, whose completion is called before it returns. Retention is applied when someone
/// looks.
public final class MemoryLog: EventLog {
    struct Partition {
        /// From offset `base` on; nil where compaction took a record.
        var records: Deque<[UInt8]?> = Deque()
        var base: Offset = 0
        var bytes: Int64 = 0
        /// Key to its newest record, on compacted topics.
        var newest: [[UInt8]: Offset] = [:]

        var end: Offset { self.base + Offset(self.records.count) }
    }

    struct Topic {
        var configuration: TopicConfiguration
        var partitions: [Partition]
        var nextWithoutKey = 0
    }

    struct Content {
        var topics: [TopicName: Topic] = [:]
        var ledger: [[UInt8]: [UInt8]] = [:]
        var keys: [[UInt8]: (value: [UInt8], keptUntil: Timestamp)] = [:]
        var lastStamp = Timestamp.zero
        var status = LogStatus(roomBytes: .max, capacityBytes: .max)
        var nextToken: UInt64 = 0
        var followers: [TopicName: [UInt64: @Sendable (Int, Offset) -> Void]] = [:]
        var isClosed = false
    }

    public let identity: UInt64
    let clock: @Sendable () -> Timestamp
    let tombstoneTime: TimeSpan
    let content = Mutex(Content())

    public init(
        identity: UInt64 = 1, tombstoneTime: TimeSpan = .seconds(86_400), clock: @escaping @Sendable () -> Timestamp
    ) {
        self.identity = identity
        self.tombstoneTime = tombstoneTime
        self.clock = clock
    }

    public func close() { self.content.withLock { $0.isClosed = true } }

    // MARK: topics

    public func createTopic(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) {
        try MemoryLog.check(configuration)
        try self.change { (content) throws(ApusError) in
            if let known = content.topics[name] {
                guard known.configuration == configuration else {
                    throw ApusError(.alreadyExists, "the topic '\(name)' is there already with another configuration")
                }
                return
            }
            content.topics[name] = Topic(
                configuration: configuration, partitions: Array(repeating: Partition(), count: configuration.partitions)
            )
        }
    }

    public func alterTopic(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) {
        try MemoryLog.check(configuration)
        try self.change { (content) throws(ApusError) in
            guard let known = content.topics[name] else { throw MemoryLog.notFound(name) }
            let missing = configuration.partitions - known.partitions.count
            guard configuration.isCompacted == known.configuration.isCompacted, missing >= 0,
                missing == 0 || !configuration.isCompacted
            else {
                throw ApusError(.invalidArgument, "the topic '\(name)' cannot be changed so")
            }
            content.topics[name]?.configuration = configuration
            for _ in 0..<missing { content.topics[name]?.partitions.append(Partition()) }
        }
    }

    public func deleteTopic(_ name: TopicName) throws(ApusError) {
        try self.change { (content) throws(ApusError) in
            guard content.topics.removeValue(forKey: name) != nil else { throw MemoryLog.notFound(name) }
        }
    }

    public func discard(_ partition: TopicPartition, before offset: Offset) {
        self.content.withLock { content in
            guard let topic = content.topics[partition.topic], topic.partitions.indices.contains(partition.partition)
            else { return }
            content.topics[partition.topic]?.partitions[partition.partition].drop(before: offset)
        }
    }

    public func topic(_ name: TopicName) -> TopicConfiguration? {
        self.content.withLock { $0.topics[name]?.configuration }
    }
    public func topics() -> [TopicName] { self.content.withLock { $0.topics.keys.sorted() } }

    private func change(_ body: (inout Content) throws(ApusError) -> Void) throws(ApusError) {
        let failure = self.content.withLock { content -> ApusError? in
            do throws(ApusError) { try body(&content) } catch { return error }
            return nil
        }
        if let failure { throw failure }
    }

    private static func check(_ configuration: TopicConfiguration) throws(ApusError) {
        guard (1...Limits.partitionsPerTopic).contains(configuration.partitions),
            configuration.retentionTime.map({ $0 > .zero }) ?? true,
            configuration.retentionBytes.map({ $0 > 0 }) ?? true
        else {
            throw ApusError(
                .invalidArgument, "a topic has 1 to \(Limits.partitionsPerTopic) partitions and positive retention")
        }
    }

    static func notFound(_ name: TopicName) -> ApusError { ApusError(.topicNotFound, "there is no topic '\(name)'") }

    // MARK: followers and state

    public func follow(_ topic: TopicName, _ growth: @escaping @Sendable (_ partition: Int, _ end: Offset) -> Void)
        -> FollowToken
    {
        self.content.withLock { content in
            content.nextToken += 1
            content.followers[topic, default: [:]][content.nextToken] = growth
            return FollowToken(rawValue: content.nextToken)
        }
    }

    public func unfollow(_ token: FollowToken) {
        self.content.withLock { content in
            for topic in content.followers.keys { content.followers[topic]?[token.rawValue] = nil }
        }
    }

    public var remembersKeys: Bool { true }

    public func remembered(_ keys: [[UInt8]]) throws(ApusError) -> [[UInt8]?] {
        let now = self.clock()
        return self.content.withLock { content in
            keys.map { key in content.keys[key].flatMap { $0.keptUntil >= now ? $0.value : nil } }
        }
    }

    public var status: LogStatus { self.content.withLock { $0.status } }

    /// Lets a test see what the platform does when room is short: producers are refused with `log_full`.
    public func setShort(_ isShort: Bool) { self.content.withLock { $0.status.isShort = isShort } }
}
