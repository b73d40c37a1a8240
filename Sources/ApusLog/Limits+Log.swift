public import ApusCore

extension Limits {
    /// Bounds of the event log. Those of the embedded log can be set smaller in ``EmbeddedLogConfiguration``.
    public enum Log {
        /// One batch is one transaction: its pages are kept in memory until the commit.
        public static let batchBytes = 32 << 20
        public static let batchRecords = 16_384
        /// What producers may have waiting for the writer; settling may have as much again.
        public static let queueBytes = 64 << 20
        public static let queueBatches = 16_384
        /// Refused batches that wait for the writer to call their completions; beyond it they are called by `submit`
        /// itself.
        public static let refusalsWaiting = 65_536
        /// Batches are gathered into one commit until it is this large; a larger batch is a commit of its own.
        public static let groupBytes = 16 << 20
        public static let groupRecords = 16_384
        /// A log that writes less than this in a second is at rest; so much of its file may stay mapped then.
        public static let restBytes: Int64 = 4 << 20
        /// The same for one that was not written to at all since the last look.
        public static let pauseBytes: Int64 = 256 << 10

        /// LMDB's longest key. A longer one would fail the whole transaction, so it never gets there.
        public static let ledgerKeyBytes = 511
        public static let ledgerValueBytes = 1 << 20

        /// Keys that are known for a while: those of settled events and of requests that take effect once. Above it the oldest are
        /// forgotten before their time, and counted.
        public static let keys = 1_000_000
        /// What is written beside one: the answer of a request with many events is the longest.
        public static let keyValueBytes = 64 * 1024

        /// Address space, not disk: how large the file may become.
        public static let mapBytes = 64 << 30
        /// The smallest map that still leaves room for settling beside the log's own tables.
        public static let mapBytesMin = 1 << 20
        /// Bytes of the file system that the log leaves free for others.
        public static let diskFloorBytes: Int64 = 256 << 20
        /// Producers are refused while less than this share of the capacity is left.
        public static let producerReservePercent: Int64 = 5
        /// Appends that settle are refused while less than this share is left: deleting needs pages too, and retention
        /// must go on.
        public static let settlementReservePercent: Int64 = 1

        /// Tables of partitions, deleted ones included; a partition of a compacted topic takes two.
        public static let tables = 10_000
        /// Reads under way at one moment.
        public static let readers = 64
        /// Cursors that one reader keeps for its next use.
        public static let cursorsPerReader = 64

        /// Records that one step of retention or deletion takes, so that producers wait for a step only.
        public static let maintenanceStepRecords = 2_000
        /// A deleted table of at most so many pages is emptied at once.
        public static let wholeDropPages = 256
        /// How long a tombstone stays on a compacted topic, so that every follower sees it.
        public static let tombstoneTime = TimeSpan.seconds(86_400)
        /// A file of at most so many bytes is walked whole at each start; a larger one after an unclean start only.
        public static let checkedAtOpenBytes = 64 << 20
        /// A copy that stands still for so long is ended.
        public static let copyStallMilliseconds: Int64 = 60_000
        /// A copy that takes longer is ended.
        public static let copyMilliseconds: Int64 = 6 * 3_600_000
        /// Reads that may wait for the reader thread.
        public static let readAheadWaiting = 4_096
        /// How long closing waits for reads under way.
        public static let closeWaitMilliseconds = 5_000
    }
}
