/// A log that can be copied while it serves.
public protocol CopyableLog: EventLog {
    /// Begins a copy of the log as it is now: topics, ends and entries of one moment, records to be walked after that.
    ///
    /// While the copy is under way the log keeps what it holds below these ends; that costs room, so a copy that stalls or takes
    /// the last of the room is ended by the log. One at a time.
    /// - Throws: `conflict` while another copy is under way, what reading the log says.
    func beginCopy() throws(ApusError) -> any LogCopy
}

/// A copy under way. One thread at a time calls the methods that read.
public protocol LogCopy: AnyObject, Sendable {
    /// Of the log that is copied.
    var identity: UInt64 { get }
    /// In the order in which they are to be walked.
    var topics: [LogCopyTopic] { get }
    /// Entries of tables keyed by bytes, the ledger first.
    var entries: [LogCopyEntries] { get }
    /// Lends records of a partition from `start` on, below its noted end, in a read transaction of its own.
    /// - Returns: where to go on; the noted end when nothing is left.
    /// - Throws: why the log ended the copy, or what reading says.
    func read(
        topic: Int, partition: Int, from start: Offset, maxBytes: Int, _ body: (Offset, UnsafeRawBufferPointer) -> Void
    ) throws(ApusError) -> Offset
    /// The partition was walked: the log need keep nothing of it any more.
    func release(topic: Int, partition: Int)
    /// Why the log ended the copy; nil while it is under way. From any thread.
    var failure: ApusError? { get }
    /// Lets go of everything. From any thread; harmless when it has ended.
    func end()
}

public struct LogCopyTopic: Sendable, Equatable {
    public struct Partition: Sendable, Equatable {
        public var bounds: OffsetBounds
        /// Log-append time of the newest record that ever was.
        public var lastTimestamp: Timestamp

        public init(bounds: OffsetBounds, lastTimestamp: Timestamp) {
            self.bounds = bounds
            self.lastTimestamp = lastTimestamp
        }
    }

    public var name: TopicName
    public var configuration: TopicConfiguration
    public var partitions: [Partition]

    public init(name: TopicName, configuration: TopicConfiguration, partitions: [Partition]) {
        self.name = name
        self.configuration = configuration
        self.partitions = partitions
    }
}

/// All entries of one table.
public struct LogCopyEntries: Sendable {
    public var table: String
    public var entries: [(key: [UInt8], value: [UInt8])]

    public init(table: String, entries: [(key: [UInt8], value: [UInt8])]) {
        self.table = table
        self.entries = entries
    }
}
