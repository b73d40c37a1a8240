internal import ApusCore

extension Limits {
    /// Bounds of what is kept of who did what.
    enum Audit {
        /// Of `apus.audit`; all records of one server lie in one.
        static let partitions = 16
        /// What waits while records are being written.
        static let gathered = 16_384
        /// Records that are written at once: even the longest fit a batch of the log.
        static let recordsPerGroup = 1_024
        /// Lists that are written in a minute, of all callers.
        static let listsPerMinute = 10_000
        /// Records that one page of a search looks at, and lists.
        static let scannedPerPage = 20_000
        static let listedPerPage = 1_000
        /// Records that one step of a check looks at.
        static let checkedPerRead = 4_096
        /// Records that one step of a sweep lets go.
        static let sweptPerStep = 100_000
    }
}
