public import ApusCore

extension Limits {
    /// Bounds of the commands by which the nodes of one cluster change what is deployed.
    public enum ControlCommands {
        /// Of `apus.commands` and `apus.answers`: fixed, since partition and owner go together.
        public static let partitions = 16
        /// How long both are kept, and so for how long an id gets the same answer again.
        public static let kept = TimeSpan.seconds(3_600)
        /// One command or answer, encoded: a record with room for the log's own headers.
        public static let bytes = Limits.recordBytes - 64 * 1_024
        /// Records of other topics that a command brings along.
        public static let appends = 256
        public static let whoBytes = 256
        /// Of the records of a write with an idempotency key, all together: one event of the largest size, with room for the command.
        public static let keyedBytes = Limits.ControlCommands.bytes - 64 * 1_024
        /// Such writes that the owner of a partition has under way at once.
        public static let keyedInFlight = 1_024
        /// Of a refusal.
        public static let messageBytes = 16_384
        /// The longest that a command may wait for its decision: whatever is older is answered `expired`.
        public static let deadline = TimeSpan.seconds(60)
        /// Answers that the owner of a partition remembers, and their bytes: above either, commands are refused with `overloaded`
        /// until the oldest are an hour old, since one that was forgotten could be decided twice.
        public static let answers = 65_536
        public static let answerBytes = 64 << 20
        /// Commands of one node that wait for their answers; above it callers get `overloaded`.
        public static let waiting = 1_024
        /// How often deadlines of those are looked at, and what could not be written is tried again.
        public static let stepMilliseconds: UInt64 = 100
        /// Forged or outdated records are written over by the valid ones at most this often.
        public static let repairInterval = TimeSpan.seconds(10)
        /// Keys whose records wait for that.
        public static let repairs = 4_096
    }
}
