public import ApusCore
internal import CLMDB
internal import Glibc
internal import Synchronization

/// The event log in one LMDB file, `log.mdb` in the data directory: topics, positions and ledger in one environment, so
/// that one transaction covers them all.
///
/// Every method may be called from every thread. Completions and followers are called on the writer's thread and hold
/// up the next commit while they run; they may submit, but not change topics. Reads come from the map: what they lend
/// is gone when they return. A key's partition is its murmur2 hash; records without a key go to the partitions in turn.
/// A tombstone (null data) removes the record that had its key at once and stays, for followers to see, for the topic's
/// retention time or a day, whichever is shorter. A retention time on a compacted topic also takes the newest record of
/// a key.
public final class EmbeddedLog: EventLog {
    public static let fileName = "log.mdb"
    /// The newest format that this version writes and reads.
    public static var format: UInt32 { LogTables.format }

    public let identity: UInt64
    private let configuration: EmbeddedLogConfiguration
    private let environment: Environment
    private let tables: LogTables
    let directory: TopicDirectory
    private let readers: ReaderPool
    private let writer: LogWriter
    private let marker: BootMarker?
    private let syncing: PeriodicSync?
    private let isClosed = Atomic<Bool>(false)
    /// Nil once closed.
    private let lock: Mutex<DirectoryLock?>

    /// Opens the log in `directory`, or makes a new one.
    ///
    /// - Parameter clock: the server's clock; may be called on every thread.
    /// - Throws: `data_directory_in_use` when another server has it, `data_directory_invalid`, `log_damaged`,
    ///   `log_format` when it was written by a newer server, `disk_full`, `log_failed`.
    public init(
        directory path: String, configuration: EmbeddedLogConfiguration, clock: @escaping @Sendable () -> Timestamp
    ) throws(ApusError) {
        guard configuration.mapBytes >= Limits.Log.mapBytesMin, configuration.tables >= 1, configuration.readers >= 2
        else {
            throw ApusError(.invalidArgument, "the event log needs a map of 1 MiB, one table and two readers at least")
        }
        let lock = try DirectoryLock.take(path)
        let file = path + "/" + Self.fileName
        let marker = try Self.check(file, configuration)
        let environment: Environment
        let opened: (LogTables, OpenedTopics)
        do throws(LMDBFailure) {
            environment = try Environment(
                path: file, mapBytes: configuration.mapBytes, tables: configuration.tables + LogTables.fixedCount,
                // One more for the writer's own measurements.
                readers: configuration.readers + 1, syncsCommits: configuration.durability == .fsync
            )
        } catch {
            throw error.apusError(path: file, diskAvailable: .max)
        }
        do throws(LMDBFailure) {
            opened = try Self.open(environment)
        } catch {
            throw error.apusError(path: file, diskAvailable: environment.diskAvailable)
        }
        try lock.sync()
        self.configuration = configuration
        self.environment = environment
        self.tables = opened.0
        self.identity = opened.1.identity
        self.directory = opened.1.directory
        self.readers = ReaderPool(environment, limit: configuration.readers)
        self.writer = LogWriter(
            environment: environment, tables: opened.0, opened: opened.1, configuration: configuration,
            readers: ReaderPool(environment, limit: 1), clock: clock
        )
        self.marker = marker
        self.syncing =
            configuration.durability == .process
            ? try PeriodicSync(environment, interval: configuration.syncInterval) : nil
        self.lock = Mutex(lock)
        try self.writer.start()
    }

    deinit { self.close() }

    /// Checks the file as far as its history asks for, and notes that it is open.
    private static func check(_ file: String, _ configuration: EmbeddedLogConfiguration) throws(ApusError)
        -> BootMarker?
    {
        let marker = BootMarker(log: file)
        let leftIn = try marker.read()
        let isUnclean = leftIn.map { $0 != configuration.bootID } ?? false
        if let check = try FileCheck.open(file) { try check.run(isWhole: isUnclean || configuration.checksWholeFile) }
        guard configuration.durability == .process else {
            try marker.remove()
            return nil
        }
        try marker.write(configuration.bootID)
        return marker
    }

    private static func open(_ environment: Environment) throws(LMDBFailure) -> (LogTables, OpenedTopics) {
        let transaction = try WriteTransaction(environment)
        let isNew = try LogTables.isNew(transaction)
        if !isNew {
            // Looked at before anything is written: a newer format may have other tables.
            guard let format = try LogTables.format(transaction) else {
                throw LMDBFailure(MDB_CORRUPTED, "read the log's format")
            }
            guard (1...LogTables.format).contains(format) else {
                throw LMDBFailure(MDB_VERSION_MISMATCH, "read the log's format")
            }
            try LogMigration.run(from: format, transaction)
        }
        let tables = try LogTables(transaction)
        try tables.set("format", LogTables.format, transaction)
        if isNew {
            try tables.set("identity", UInt64.random(in: 1...UInt64.max), transaction)
            try tables.set("nextTable", UInt32(0), transaction)
        }
        let opened = try tables.load(transaction)
        try transaction.commit()
        return (tables, opened)
    }

    public func close() {
        guard !self.isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        self.writer.close()
        self.syncing?.close()
        let areOwnGone = self.readers.close()
        let areReadersGone = self.writer.readers.close() && areOwnGone
        do throws(LMDBFailure) {
            try self.environment.sync()
            // Only now is the file as good as a clean close promises. A marker that cannot be removed costs a check, no
            // more.
            do throws(ApusError) { try self.marker?.remove() } catch {}
        } catch {
            // The marker stays: the next start of the machine checks the file.
        }
        // A read that still runs keeps the map and the directory until it and the log are gone.
        guard areReadersGone else { return }
        self.environment.close()
        self.lock.withLock { $0 = nil }
    }

    // MARK: topics

    public func createTopic(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) {
        try self.writer.perform(.create(name, configuration))
    }

    public func alterTopic(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) {
        try self.writer.perform(.alter(name, configuration))
    }

    public func deleteTopic(_ name: TopicName) throws(ApusError) { try self.writer.perform(.delete(name)) }

    public func discard(_ partition: TopicPartition, before offset: Offset) {
        self.writer.discard(partition, before: offset)
    }

    public func topic(_ name: TopicName) -> TopicConfiguration? { self.directory[name]?.configuration }
    public func topics() -> [TopicName] { self.directory.names }

    // MARK: writing

    public func submit(_ batch: LogBatch, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void) {
        let submission = Submission(batch, completion)
        self.writer.submit(submission, refusal: submission.refusal)
    }

    // MARK: reading

    public func bounds(of partition: TopicPartition) throws(ApusError) -> OffsetBounds {
        let partition = try self.directory.partition(partition)
        // The end first: it never falls behind the start that is read after it.
        let start = partition.start.load(ordering: .acquiring)
        return OffsetBounds(start: start, end: max(start, partition.end.load(ordering: .acquiring)))
    }

    public func follow(
        _ topic: TopicName, _ growth: @escaping @Sendable (_ partition: Int, _ end: Offset) -> Void
    ) -> FollowToken { self.writer.followers.add(topic, growth) }

    public func unfollow(_ token: FollowToken) { self.writer.followers.remove(token) }

    public var status: LogStatus { self.writer.status }

    public func appended() -> [TopicAppended] {
        self.directory.all.compactMap { topic in
            let records = topic.partitions.reduce(0) { $0 + $1.appendedRecords.load(ordering: .relaxed) }
            guard records > 0 else { return nil }
            let bytes = topic.partitions.reduce(0) { $0 + $1.appendedBytes.load(ordering: .relaxed) }
            return TopicAppended(topic: topic.name, records: records, bytes: bytes)
        }
    }

    // MARK: what the reading methods share

    /// A reader whose snapshot is of this partition's topic, and no later owner of its table.
    func takeReader(for partition: Partition) throws(ApusError) -> Reader {
        let reader = try self.takeReader()
        guard !partition.isDeleted.load(ordering: .sequentiallyConsistent) else {
            self.give(reader)
            throw TopicDirectory.notFound(partition.topic)
        }
        return reader
    }

    func takeReader() throws(ApusError) -> Reader {
        do throws(LMDBFailure) { return try self.readers.take() } catch { throw self.failure(error) }
    }

    func give(_ reader: Reader) { self.readers.give(reader) }

    /// Runs `work` on the writer's thread, between two commits.
    /// - Returns: false when the log is closing; `work` will not run then.
    func perform(_ work: @escaping @Sendable (LogWriter) -> Void) -> Bool { self.writer.perform(work) }

    /// Lets the writer look at what changed beside its queue.
    func nudgeWriter() { _ = self.perform { $0.checkHold() } }

    func partition(_ place: TopicPartition) throws(ApusError) -> Partition { try self.directory.partition(place) }
    var ledgerTable: MDB_dbi { self.tables.ledger }
    var keysTable: MDB_dbi { self.tables.keys }
    var clock: @Sendable () -> Timestamp { self.writer.clock }

    func failure(_ failure: LMDBFailure) -> ApusError {
        failure.apusError(path: self.environment.path, diskAvailable: .max)
    }
}
