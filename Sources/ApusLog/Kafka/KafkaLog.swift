public import ApusCore
internal import CRDKafka
internal import Synchronization

/// The event log on Apache Kafka: topics are Kafka's topics, records are its records, and the ledger is the compacted topic `apus.ledger`.
///
/// Every method may be called from every thread. Completions are called on the writer's thread, followers on the reader's. Reads of
/// what was appended a moment ago come from memory; older ones wait for the cluster. Changes of topics wait for it, too.
public final class KafkaLog: EventLog {
    public let identity: UInt64
    let configuration: KafkaLogConfiguration
    let clock: @Sendable () -> Timestamp
    let topicsKnown = KafkaTopics()
    let cache: RecordCache
    let catchUp: CatchUp
    let reader: KafkaReader
    let admin: KafkaAdmin
    let writer: KafkaWriter
    let followers = Followers()
    let ledger = KafkaLedger()
    let kafkaSharing: KafkaSharing?
    /// Nil where nobody shares the work.
    let kafkaPositions: KafkaPositions?
    /// Nil where no folder was given for them.
    let keys: KafkaKeys?
    let commands = Mutex<KafkaCommands?>(nil)
    let differences: KafkaDifferences
    private let keeperSlot = Mutex<KafkaKeeper?>(nil)
    private let follows = Mutex(Follows())
    private let isClosed = Atomic<Bool>(false)

    /// Nil once closed, or where there is no folder.
    private let lock: Mutex<DirectoryLock?>

    private struct Follows {
        var topics: [FollowToken: TopicName] = [:]
        var counts: [TopicName: Int] = [:]
        /// Partitions that a follower does not need.
        var ignored: [FollowToken: Set<Int>] = [:]

        func isWanted(_ topic: TopicName, _ partition: Int) -> Bool {
            self.topics.contains { $0.value == topic && self.ignored[$0.key]?.contains(partition) != true }
        }
    }

    /// Connects, takes over what a predecessor of the same name left open, and reads the ledger.
    ///
    /// - Parameter clock: the server's clock; may be called on every thread.
    /// - Throws: `configuration_invalid`, `log_failed` when the cluster cannot be reached or refuses, `conflict` when another server
    ///   of this name takes over meanwhile.
    public init(_ configuration: KafkaLogConfiguration, clock: @escaping @Sendable () -> Timestamp) throws(ApusError) {
        try KafkaProperties.check(configuration)
        var configuration = configuration
        configuration.ending = KafkaEnding()
        self.lock = Mutex(try Self.take(configuration.lockedFolder))
        self.configuration = configuration
        let differences = KafkaDifferences(configuration.observer)
        self.differences = differences
        self.clock = clock
        self.cache = RecordCache(bytesMax: configuration.cacheBytes)
        let catchUp = CatchUp(configuration)
        self.catchUp = catchUp
        let keys = configuration.keysFolder == nil ? nil : try KafkaKeys(configuration, clock: clock)
        self.keys = keys
        do throws(KafkaFailure) {
            self.admin = KafkaAdmin(client: try KafkaClient(configuration, .admin, name: "admin"))
            let start = try KafkaStart(configuration, self.admin)
            try start.waitForCluster()
            try start.makeLedger()
            if keys != nil { try start.makeKeys() }
            for workClass in configuration.sharing?.classes ?? [] { try start.makeShares(workClass) }
            let transactions = KafkaTransactions(configuration, id: Self.transactionalID(configuration))
            do throws(KafkaTransactions.Trouble) { try transactions.takeOver() } catch { throw error.failure }
            let (ledger, client) = (self.ledger, self.admin.client)
            let partitions = (0..<Limits.Kafka.ledgerPartitions).map {
                KafkaPartition(start.ledgerName, start.ledgerOnKafka, $0, isCompacted: true)
            }
            let isShared = configuration.sharing != nil
            let reload = { () throws(KafkaFailure) in
                // What shares hold is read to its end by their owners.
                if isShared { try ledger.load(partitions.dropLast(), catchUp, client, .decided) }
                try ledger.load(isShared ? [partitions[KafkaLedger.ownPartition]] : partitions, catchUp, client)
                transactions.goOn(after: ledger[transactions.key])
            }
            try reload()
            let found = try start.topics(try client.partitions(), ledger, foreign: { differences.note($0, $1) })
            for topic in found { self.topicsKnown.set(topic) }
            self.reader = try KafkaReader(configuration, self.cache, self.followers, catchUp)
            self.writer = KafkaWriter(
                configuration, topics: self.topicsKnown, ledger: ledger, reader: self.reader,
                producer: try KafkaProducer(configuration, transactionalID: nil), transactions: transactions,
                reload: reload, keys: keys, clock: clock)
            self.identity = try Self.identify(configuration, ledger, partitions, catchUp, client)
            self.kafkaSharing = Self.sharing(configuration, self.writer, partitions, client) {
                (partition, reach) throws(KafkaFailure) in try ledger.load([partition], catchUp, client, reach)
            }
            self.kafkaPositions = self.kafkaSharing.map { KafkaPositions(configuration, $0, ledger.board, clock: clock) }
        } catch {
            throw error.apusError("cannot open the event log on Kafka at \(configuration.bootstrap)")
        }
        try self.openKeys()
        try self.writer.start()
        try self.reader.start()
        // Also when it is there: the ledger says from now on who its owner is.
        var value: [UInt8] = []
        value.appendLittleEndian(self.identity)
        try self.writeOwn([LogBatch.LedgerWrite(key: KafkaLedger.Own.identity, value: value)])
        try self.startSharing()
        try self.kafkaPositions?.start()
        let keeper = KafkaKeeper(
            configuration, topics: self.topicsKnown, admin: self.admin, catchUp: catchUp, keys: keys?.store,
            clock: clock
        ) { [weak self] in self?.refresh() }
        try keeper.start()
        self.keeperSlot.withLock { $0 = keeper }
    }

    private static func take(_ folder: String?) throws(ApusError) -> DirectoryLock? {
        guard let folder else { return nil }
        return try DirectoryLock.take(folder)
    }

    deinit { self.close() }

    public func close() {
        guard !self.isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        self.configuration.ending.begin(within: Limits.Kafka.endMilliseconds)
        let keeper = self.keeperSlot.withLock { keeper in
            defer { keeper = nil }
            return keeper
        }
        keeper?.close()
        self.commands.withLock { $0 }?.stop()
        self.kafkaSharing?.close()
        self.kafkaPositions?.close()
        self.writer.outputs.close()
        self.writer.close()
        self.reader.close()
        self.catchUp.close()
        self.keys?.store.close()
        self.lock.withLock { $0 = nil }
    }

    public func end(within span: TimeSpan) { self.configuration.ending.begin(within: span.milliseconds) }

    var keeper: KafkaKeeper? { self.keeperSlot.withLock { $0 } }

    // MARK: writing

    public func submit(_ batch: LogBatch, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void) {
        let submission = Submission(batch, completion)
        var refusal = submission.refusal
        if refusal == nil, batch.ledger.contains(where: { $0.key.first == 0 }) {
            refusal = ApusError(
                .invalidArgument, "a ledger key must not begin with a zero byte: such keys are the log's own")
        }
        if refusal == nil { refusal = self.refusal(ofKeys: batch) }
        guard let owner = batch.owner, let sharing = self.kafkaSharing else {
            return self.writer.submit(submission, refusal: refusal)
        }
        if let refusal { return completion(.failure(refusal)) }
        sharing.submit(submission, owner)
    }

    public var sharing: (any WorkSharing)? { self.kafkaSharing }
    public var positions: (any GroupPositions)? { self.kafkaPositions }

    /// Entries of the log's own, durable before it returns. Not from the writer's thread.
    func writeOwn(_ entries: [LogBatch.LedgerWrite]) throws(ApusError) {
        let reply = Monitor<Result<LogReceipt, ApusError>?>(nil)
        let batch = LogBatch(urgency: .settlement, ledger: entries)
        self.writer.submit(
            Submission(batch: batch, bytes: 0) { result in
                reply.withLock { $0 = result }
                reply.signal()
            }, refusal: nil)
        // The writer answers everything that it takes.
        guard let answer = reply.take(within: nil, { $0 }) else { return }
        _ = try answer.get()
    }

    // MARK: followers

    public func follow(
        _ topic: TopicName, _ growth: @escaping @Sendable (_ partition: Int, _ end: Offset) -> Void
    ) -> FollowToken {
        let token = self.followers.add(topic, growth)
        let isFirst = self.follows.withLock { follows in
            follows.topics[token] = topic
            follows.counts[topic, default: 0] += 1
            return follows.counts[topic] == 1
        }
        // One that needs all of it may come to others that do not.
        if let known = self.topicsKnown[topic], self.want(known) || isFirst { self.reader.follow(known) }
        return token
    }

    public func narrow(_ token: FollowToken, without partitions: Set<Int>) {
        let topic = self.follows.withLock { follows -> TopicName? in
            guard let topic = follows.topics[token] else { return nil }
            follows.ignored[token] = partitions.isEmpty ? nil : partitions
            return topic
        }
        if let topic, let known = self.topicsKnown[topic], self.want(known) { self.reader.follow(known) }
    }

    /// Notes which partitions of a topic somebody needs.
    /// - Returns: whether that changed anything.
    func want(_ topic: KafkaTopic) -> Bool {
        self.follows.withLock { follows in
            var hasChanged = false
            for partition in topic.partitions {
                let isWanted = follows.isWanted(topic.name, partition.number)
                hasChanged = partition.isWanted.exchange(isWanted, ordering: .relaxed) != isWanted || hasChanged
            }
            return hasChanged
        }
    }

    public func unfollow(_ token: FollowToken) {
        self.followers.remove(token)
        let topic = self.follows.withLock { $0.topics[token] }
        let last = self.follows.withLock { follows -> TopicName? in
            guard let topic = follows.topics.removeValue(forKey: token) else { return nil }
            follows.ignored[token] = nil
            follows.counts[topic, default: 1] -= 1
            guard follows.counts[topic] == 0 else { return nil }
            follows.counts[topic] = nil
            return topic
        }
        if let last {
            if let known = self.topicsKnown[last] { self.reader.unfollow(known) }
        } else if let topic, let known = self.topicsKnown[topic], self.want(known) {
            self.reader.follow(known)
        }
    }

    func isFollowed(_ topic: TopicName) -> Bool { self.follows.withLock { $0.counts[topic] != nil } }

    // MARK: state

    public func isInMemory(_ place: TopicPartition, from offset: Offset) -> Bool {
        guard let partition = try? self.topicsKnown.partition(place) else { return true }
        return partition.isInMemory(from: offset)
    }

    public func ledger(prefix: [UInt8]) throws(ApusError) -> [(key: [UInt8], value: [UInt8])] {
        self.ledger.entries(prefix: prefix)
    }

    public var status: LogStatus {
        var status = self.writer.status
        status.differences = self.differences.all
        self.addKeys(to: &status)
        return status
    }

    public func appended() -> [TopicAppended] {
        self.topicsKnown.all.compactMap { topic in
            let records = topic.partitions.reduce(0) { $0 + $1.appendedRecords.load(ordering: .relaxed) }
            guard records > 0 else { return nil }
            let bytes = topic.partitions.reduce(0) { $0 + $1.appendedBytes.load(ordering: .relaxed) }
            return TopicAppended(topic: topic.name, records: records, bytes: bytes)
        }
    }
}
