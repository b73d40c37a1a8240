/// Where topics live: partitioned, ordered, positions by trigger, compacted topics, time to offset.
///
/// Two adapters have the same semantics and pass the same contract tests. Called once per batch, never per event.
/// Reads block the calling thread on page faults at most; writes are queued and answered from the log's own thread.
public protocol EventLog: AnyObject, Sendable {
    /// New at creation and at restore; every id that names a place on the log begins with it.
    var identity: UInt64 { get }

    // MARK: topics

    /// Makes a topic, durably, before it returns. Succeeds when the topic is there already with the same configuration.
    func createTopic(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError)
    /// Changes retention, or adds partitions (never fewer, and none to a compacted topic).
    func alterTopic(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError)
    /// Deletes a topic with its records; space comes back in bounded steps.
    func deleteTopic(_ name: TopicName) throws(ApusError)
    func topic(_ name: TopicName) -> TopicConfiguration?
    func topics() -> [TopicName]
    /// Looks now for topics that others made, changed or deleted. Waits for it.
    func lookForTopics()

    /// Lets the records of a partition that lie before `offset` go, soon and in bounded steps; never blocks. What is asked is
    /// forgotten at a restart, and what is not there is no error.
    func discard(_ partition: TopicPartition, before offset: Offset)

    // MARK: writing

    /// Queues a batch: all of it becomes durable in one transaction, or none. Batches of one caller take effect in the order of
    /// their submission. `completion` is called exactly once, from the log's thread, after the configured durability is reached.
    func submit(_ batch: LogBatch, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void)

    // MARK: reading

    /// The first offset that may be there and the next to be given; what is durable only.
    func bounds(of partition: TopicPartition) throws(ApusError) -> OffsetBounds
    /// The first offset whose log-append time is not before `time`; the end when there is none.
    func offset(of partition: TopicPartition, at time: Timestamp) throws(ApusError) -> Offset
    /// Lends records from `start` on, in order, until a limit is reached or `body` returns false.
    /// - Parameter body: gets the offset and the ``EventBlock``; the bytes are gone after it returns.
    /// - Returns: where to go on. Gaps of compaction and retention are passed over.
    func read(
        _ partition: TopicPartition,
        from start: Offset,
        maxRecords: Int,
        maxBytes: Int,
        _ body: (Offset, UnsafeRawBufferPointer) -> Bool
    ) throws(ApusError) -> Offset
    /// Lends the records at the places asked for, for dispatch: one read transaction for all.
    /// - Parameter body: gets the index of the request and the record, nil when retention or compaction took it.
    func records(at places: [RecordPlace], _ body: (Int, UnsafeRawBufferPointer?) -> Void) throws(ApusError)
    /// The same for a loop, which waits for no cluster: when some of the records are not in memory, nothing is lent.
    /// - Returns: the indices of the places whose records have to be fetched first.
    func recordsAtHand(_ places: [RecordPlace], _ body: (Int, UnsafeRawBufferPointer?) -> Void) throws(ApusError)
        -> [Int]
    /// Where the newest record of a key lies on a compacted topic, a tombstone too; nil when there is none. May wait for a disk or a
    /// cluster.
    func newest(of key: [UInt8], in partition: TopicPartition) throws(ApusError) -> Offset?
    /// Whether reading on from there needs no wait for a disk or a cluster, and so may be done on a loop. A hint: what is in memory
    /// now may be gone a moment later.
    func isInMemory(_ partition: TopicPartition, from start: Offset) -> Bool
    /// Calls `growth` from the log's thread, once per commit and partition that grew, with its new end. Until `unfollow`.
    func follow(_ topic: TopicName, _ growth: @escaping @Sendable (_ partition: Int, _ end: Offset) -> Void)
        -> FollowToken
    func unfollow(_ token: FollowToken)
    /// A follower needs to hear nothing of these partitions from now on; of all others, added ones too, it does. What no follower needs a log
    /// need not read. Until it is said again.
    func narrow(_ token: FollowToken, without partitions: Set<Int>)

    // MARK: ledger

    /// All entries whose key starts with `prefix`.
    func ledger(prefix: [UInt8]) throws(ApusError) -> [(key: [UInt8], value: [UInt8])]

    /// How its work is spread over nodes; nil where one node does all of it.
    var sharing: (any WorkSharing)? { get }
    /// Where tools of others see how far subscriptions are; nil where there are none.
    var positions: (any GroupPositions)? { get }

    // MARK: keys

    /// Whether ``LogBatch/keys`` and ``LogBatch/once`` can be written.
    var remembersKeys: Bool { get }
    /// What was written beside each of these keys, as far as it is kept; nil for one that is not known.
    func remembered(_ keys: [[UInt8]]) throws(ApusError) -> [[UInt8]?]
    /// What it remembers of settled events is this node's alone and may be gone: whoever takes over work finds the keys on the log again
    /// and says them with ``remember(_:)`` before anything runs.
    var rebuildsKeys: Bool { get }
    /// Takes in keys that were found on the log; see ``rebuildsKeys``. Blocks.
    func remember(_ keys: [LogBatch.KeyWrite]) throws(ApusError)

    // MARK: state

    var status: LogStatus { get }
    /// What was appended to each topic since the log was opened; topics to which nothing was may be left out.
    func appended() -> [TopicAppended]
    /// The end comes: from now on nothing waits for a cluster for longer than that, and what could not be written by then is not.
    func end(within span: TimeSpan)
    /// Waits for what is queued, then closes. No call may follow.
    func close()
}

extension EventLog {
    public func lookForTopics() {}
    /// For logs that read nothing for their followers.
    public func narrow(_ token: FollowToken, without partitions: Set<Int>) {}
    /// For logs that wait for no cluster.
    public func end(within span: TimeSpan) {}
    public func appended() -> [TopicAppended] { [] }
    public var sharing: (any WorkSharing)? { nil }
    public var positions: (any GroupPositions)? { nil }
    /// For logs that need no cluster.
    public func recordsAtHand(
        _ places: [RecordPlace], _ body: (Int, UnsafeRawBufferPointer?) -> Void
    ) throws(ApusError) -> [Int] {
        try self.records(at: places, body)
        return []
    }
    /// Lends the records from `start` up to `end`, in order, by as many reads as that takes, until `body` returns false.
    /// - Parameters: what one read gives at most.
    /// - Returns: where it stopped: before `end` when `body` wanted no more, or when the log gave nothing further.
    @discardableResult
    public func readAll(
        _ partition: TopicPartition, from start: Offset, to end: Offset, maxRecords: Int, maxBytes: Int,
        _ body: (Offset, UnsafeRawBufferPointer) -> Bool
    ) throws(ApusError) -> Offset {
        var next = start
        var wantsMore = true
        while next < end, wantsMore {
            let reached = try self.read(partition, from: next, maxRecords: maxRecords, maxBytes: maxBytes) {
                offset, block in
                wantsMore = body(offset, block)
                return wantsMore
            }
            guard reached > next else { break }
            next = reached
        }
        return next
    }
    public var remembersKeys: Bool { false }
    public func remembered(_ keys: [[UInt8]]) throws(ApusError) -> [[UInt8]?] { keys.map { _ in nil } }
    public var rebuildsKeys: Bool { false }
    public func remember(_ keys: [LogBatch.KeyWrite]) throws(ApusError) {}
    /// By reading all of the partition: for logs that keep no index.
    public func newest(of key: [UInt8], in partition: TopicPartition) throws(ApusError) -> Offset? {
        let bounds = try self.bounds(of: partition)
        var found: Offset?
        try self.readAll(
            partition, from: bounds.start, to: bounds.end, maxRecords: 1_024, maxBytes: Limits.recordBytes
        ) { offset, block in
            if let layout = try? EventLayout(parsing: block.bytes), let own = layout.key, block[own].elementsEqual(key)
            {
                found = offset
            }
            return true
        }
        return found
    }
    /// True for logs whose youngest records always are.
    public func isInMemory(_ partition: TopicPartition, from start: Offset) -> Bool { true }
}

/// What was appended to one topic.
public struct TopicAppended: Sendable, Equatable {
    public var topic: TopicName
    public var records: Int64
    public var bytes: Int64

    public init(topic: TopicName, records: Int64, bytes: Int64) {
        self.topic = topic
        self.records = records
        self.bytes = bytes
    }
}

public struct FollowToken: Sendable, Hashable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

public struct RecordPlace: Sendable, Hashable {
    public var partition: TopicPartition
    public var offset: Offset
    public init(_ partition: TopicPartition, _ offset: Offset) {
        self.partition = partition
        self.offset = offset
    }
}

public struct TopicConfiguration: Sendable, Hashable {
    public var partitions: Int
    /// Records older than this go; nil keeps them for ever.
    public var retentionTime: TimeSpan?
    /// Bytes of records per topic above which the oldest go; nil has no bound.
    public var retentionBytes: Int64?
    /// Keeps the newest record of each key only. Records need a key.
    public var isCompacted: Bool

    public init(
        partitions: Int = 1, retentionTime: TimeSpan? = nil, retentionBytes: Int64? = nil, isCompacted: Bool = false
    ) {
        self.partitions = partitions
        self.retentionTime = retentionTime
        self.retentionBytes = retentionBytes
        self.isCompacted = isCompacted
    }
}

/// What one transaction writes: records, then entries of the ledger.
public struct LogBatch: Sendable {
    /// Who may still write when room is short.
    public enum Urgency: Sendable {
        /// Producers: refused while room is under five percent.
        case producer
        /// Settling, dead letters, control records: use the rest.
        case settlement
    }

    public struct Append: Sendable {
        public var topic: TopicName
        /// Nil lets the key decide (murmur2), or spreads records without a key.
        public var partition: Int?
        /// An ``EventBlock``; the log stamps its timestamp.
        public var block: [UInt8]
        public var outputs: Outputs

        public init(topic: TopicName, partition: Int? = nil, block: [UInt8], outputs: Outputs = .transaction) {
            self.topic = topic
            self.partition = partition
            self.block = block
            self.outputs = outputs
        }
    }

    /// What ties a record to the ledger entries of its batch.
    public enum Outputs: Sendable, Hashable {
        /// Both take effect or neither: what asynchronous invocations, schedules and exactly-once triggers need.
        case transaction
        /// It is durable before them, and may be there twice after a crash: outputs of at-least-once triggers, where a log writes these
        /// faster than the others.
        case beforeLedger
    }

    /// Something that is known by a digest for a while.
    public struct KeyWrite: Sendable {
        /// Of ``Limits/logKeyBytes`` bytes.
        public var key: [UInt8]
        public var value: [UInt8]
        public var keptUntil: Timestamp

        public init(key: [UInt8], value: [UInt8], keptUntil: Timestamp) {
            self.key = key
            self.value = value
            self.keptUntil = keptUntil
        }
    }

    /// Lets a batch take effect once: where its key is known, nothing is written and the answer is the first one's.
    public struct Once: Sendable {
        /// Of ``Limits/logKeyBytes`` bytes.
        public var key: [UInt8]
        /// What the batch was made of. The same key with another one is a `conflict`.
        public var fingerprint: [UInt8]
        public var keptUntil: Timestamp

        public init(key: [UInt8], fingerprint: [UInt8], keptUntil: Timestamp) {
            self.key = key
            self.fingerprint = fingerprint
            self.keptUntil = keptUntil
        }
    }

    public struct LedgerWrite: Sendable {
        public var key: [UInt8]
        /// Nil deletes the entry.
        public var value: [UInt8]?
        /// Whose part of the ledger it belongs to; logs of one node do not look at it.
        public var share: Share?
        /// With `beforeLedger` it may become durable a moment after its batch was said to be written; a batch of such entries and such
        /// outputs alone needs no transaction.
        public var outputs: Outputs
        /// What tools of others are to be shown once it is durable; logs without ``EventLog/positions`` do not look at it.
        public var position: GroupPosition?

        public init(
            key: [UInt8], value: [UInt8]?, share: Share? = nil, outputs: Outputs = .transaction,
            position: GroupPosition? = nil
        ) {
            self.key = key
            self.value = value
            self.share = share
            self.outputs = outputs
            self.position = position
        }
    }

    public var urgency: Urgency
    public var appends: [Append]
    public var ledger: [LedgerWrite]
    /// Written only while this node holds the share in that term, else refused with `conflict`; nil for what anyone may write.
    public var owner: ShareTerm?
    public var keys: [KeyWrite]
    public var once: Once?

    public init(
        urgency: Urgency, appends: [Append] = [], ledger: [LedgerWrite] = [], keys: [KeyWrite] = [], once: Once? = nil,
        owner: ShareTerm? = nil
    ) {
        self.urgency = urgency
        self.appends = appends
        self.ledger = ledger
        self.owner = owner
        self.keys = keys
        self.once = once
    }
}

/// Where the records of a batch went, in the order of its appends.
public struct LogReceipt: Sendable {
    public struct Place: Sendable, Hashable {
        public var partition: Int
        public var offset: Offset
        public init(partition: Int, offset: Offset) {
            self.partition = partition
            self.offset = offset
        }
    }

    public var places: [Place]
    public var timestamp: Timestamp
    /// The batch had taken effect before: this is what was answered then.
    public var isRepeated: Bool

    public init(places: [Place], timestamp: Timestamp, isRepeated: Bool = false) {
        self.places = places
        self.timestamp = timestamp
        self.isRepeated = isRepeated
    }
}

public struct LogStatus: Sendable {
    /// Bytes that may still be written before the log refuses: reusable pages plus what map size and disk floor still allow.
    public var roomBytes: Int64
    public var capacityBytes: Int64
    public var fileBytes: Int64
    /// Producers are refused (`log_full`); settling goes on.
    public var isShort: Bool
    public var commits: UInt64
    public var records: UInt64
    /// Keys that are known now, and those that were forgotten before their time for want of room.
    public var keys = 0
    public var keysForgotten: UInt64 = 0
    /// The last failure of a commit, until one succeeds.
    public var failure: String?
    /// Settings of topics that this log made and that somebody else has changed: a line for each topic.
    public var differences: [String] = []

    public init(
        roomBytes: Int64 = 0, capacityBytes: Int64 = 0, fileBytes: Int64 = 0, isShort: Bool = false,
        commits: UInt64 = 0,
        records: UInt64 = 0, failure: String? = nil
    ) {
        self.roomBytes = roomBytes
        self.capacityBytes = capacityBytes
        self.fileBytes = fileBytes
        self.isShort = isShort
        self.commits = commits
        self.records = records
        self.failure = failure
    }
}
