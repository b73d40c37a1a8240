public import ApusCore

extension Limits {
    /// Bounds of the event log on Kafka. Those that depend on the cluster can be set in ``KafkaLogConfiguration``.
    public enum Kafka {
        /// What a record on a topic of ours may take beside an event: headers are longer than attributes.
        public static let recordSlackBytes = 128 << 10
        /// How long a record may wait for its acknowledgement.
        public static let deliveryMilliseconds = 30_000
        /// A transaction of a node that died is ended by the broker after so long, or at once by its successor.
        public static let transactionMilliseconds = 30_000
        /// How long the outcome of a transaction is waited for before its producer is made anew.
        public static let outcomeMilliseconds: Int64 = 60_000
        /// How long the end of a log waits for the cluster, and for reports of what was given up then.
        public static let endMilliseconds: Int64 = 10_000
        public static let purgeMilliseconds: Int64 = 2_000
        /// How often a wait for a transaction looks whether the log ends.
        public static let decisionStepMilliseconds: Int64 = 1_000
        /// A new producer after a failure: attempts, and the wait between them.
        public static let renewals = 5
        public static let renewalMilliseconds = 1_000
        /// One question to the cluster: positions, topics, settings.
        public static let requestMilliseconds: Int32 = 10_000
        /// How long a question about a topic that nobody knows is asked again.
        public static let newTopicMilliseconds: Int64 = 1_000
        /// How long a start waits for the cluster.
        public static let startMilliseconds: Int64 = 30_000
        /// How long the change of a topic may take to be seen by all of this log's clients, and how often that is looked at.
        public static let settleMilliseconds: Int64 = 20_000
        public static let settleStepMilliseconds: UInt32 = 20
        /// How long a read waits for records that are known to be there.
        public static let readMilliseconds: Int64 = 10_000

        /// Consumers that catch up: each has its own threads.
        public static let catchUpConsumers = 16
        /// Partitions that they read at one time, all together.
        public static let catchUpReads = 32
        /// Of one partition, kept for so many readers who each stand elsewhere; above it the one unused for longest is moved.
        public static let catchUpReadsOfPartition = 4
        /// A read that nobody went on with for so long is given up.
        public static let idleReadMilliseconds: Int64 = 30_000
        /// How long a fetch waits for news: the reading consumer's keeps a partition that is followed newly waiting, one that catches up
        /// holds up every read after it.
        public static let newsMilliseconds = 100
        public static let catchUpMilliseconds = 10
        /// What librdkafka fetches ahead for one partition that is caught up with. Where that is full, librdkafka 2.0.2 fetches nothing
        /// for a second, unless it is woken.
        public static let fetchAheadKibibytes = 16_384
        /// What it fetches ahead for all partitions together that are followed: the thread that takes it is quick, and holds a partition
        /// that nobody reads.
        public static let newsAheadKibibytes = 65_536
        /// How long the question may take that wakes librdkafka.
        public static let wakeMilliseconds: Int32 = 1_000
        /// What one step of catching up takes.
        public static let catchUpBytes = 1 << 20
        /// Messages taken out of librdkafka's queue at once.
        public static let messagesPerBatch = 1_000
        /// Batches after which the reading thread looks at what else it was asked.
        public static let batchesPerRound = 16

        /// Records kept in memory for dispatch, all partitions together.
        public static let cacheBytes = 256 << 20
        /// Records of one partition read ahead of every trigger, above which its fetching stops; it goes on below half.
        public static let unreadBytes = 16 << 20
        public static let unreadRecords = 32_768
        /// Small chunks of the cache are joined up to this size.
        public static let chunkBytes = 64 << 10
        /// What a large chunk lies in: what one step of catching up takes, and a record more. So many wait for the next chunks.
        public static let chunkBlockBytes = catchUpBytes + catchUpBytes / 4
        public static let chunkBlocks = 16

        /// What is said of a record that is no valid event.
        public static let reasonCharacters = 256
        /// Partitions of `apus.ledger`: one for each number of a share, one for what is the log's own.
        public static let ledgerPartitions = Share.count + 1
        /// Attempts to give a new cluster its identity, of which one node's counts.
        public static let identityAttempts = 5
        /// How long a node that is not heard of keeps what it owns; the broker's own bounds are 6 s and 30 minutes.
        public static let sessionMilliseconds = 20_000
        /// How often a member says that it lives, where the session is long.
        public static let heartbeatMilliseconds = 3_000
        /// How long a member may take to answer a rebalance, draining included.
        public static let groupPollMilliseconds = 60_000
        /// How often a group's thread looks at the clock, and while it waits for what drains.
        public static let groupTickMilliseconds: Int32 = 250
        public static let drainStepMilliseconds: Int32 = 20
        /// What runs when a partition goes to another node may end for so long.
        public static let drainMilliseconds: Int64 = 5_000
        /// How long the end of a member that its group let in waits until it is told its part.
        public static let firstPartMilliseconds: Int64 = 5_000
        /// Members that were never told their part and are kept until the process ends; above it none is made any more.
        public static let parkedMembers = 8
        /// A member that failed for good begins again after so long.
        public static let rejoinMilliseconds: Int64 = 5_000
        /// How long an output that goes before its ledger waits for others on their way to the same broker.
        public static let outputLingerMilliseconds = 1
        /// How long a share's entries that follow their outputs wait for others; with the commit, what a kill may repeat is of the last 250 ms.
        public static let ledgerMilliseconds: Int64 = 150
        /// How long after one of their writes failed the next is tried.
        public static let ledgerRestMilliseconds: Int64 = 500
        /// How long the end of a log waits until the shares' ledgers are written.
        public static let flushMilliseconds = 5_000
        /// How often the thread of an owned partition looks for work that nobody told it of.
        public static let ownerTickMilliseconds = 1_000
        /// How long Kafka's cleaner leaves records of `apus.control` alone.
        public static let controlCompactionLag = TimeSpan.seconds(3_600)
        /// How long a key of `apus.keys` is kept at most: longer than a request may be repeated under its key.
        public static let keysKept = TimeSpan.seconds(25 * 3_600)
        /// Address space, not disk: how large the file of keys may become.
        public static let keysMapBytes = 16 << 30
        /// Segments of `apus.ledger`: small ones are compacted sooner.
        public static let ledgerSegmentBytes = 16 << 20
        /// How long a tombstone stays for other nodes to see.
        public static let tombstoneTime = TimeSpan.seconds(7 * 86_400)
        /// How often topics that others made are looked for, and retention is seen to.
        public static let maintenanceInterval = TimeSpan.seconds(10)
        /// Spans of what was appended that retention by size knows, for each partition; above it neighbours are joined.
        public static let sizeSpans = 4_096
        /// How often positions that moved are shown to tools of others.
        public static let positionsInterval = TimeSpan.seconds(5)
        /// How long positions may fail to be shown before it is told, where that may pass by itself: a coordinator that moves is back in seconds.
        public static let troubleUntold = TimeSpan.seconds(15)
        /// After how long one that did not move is written once more: brokers forget those of idle groups after 7 days.
        public static let positionsAgain = TimeSpan.seconds(86_400)
        /// Groups that are asked for at one time.
        public static let groupsAtOnce = 64
        /// How often librdkafka's statistics come.
        public static let statisticsMilliseconds = 5_000
    }
}
