internal import ApusCore

extension Limits {
    /// Bounds of the live pool.
    enum PoolHost {
        /// What a wake and a start take beside their bytes, until one was seen.
        static let wakeBase = TimeSpan.milliseconds(200)
        static let coldBase = TimeSpan.seconds(2)
        /// Past ends of a function's instances that a cold start is explained by.
        static let endings = 16
        /// Bytes of a recording that wait for the disk; more end it.
        static let recordPending = 4 << 20
    }
}
