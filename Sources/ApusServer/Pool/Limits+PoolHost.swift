internal import ApusCore

extension Limits {
    /// Bounds of the live pool.
    enum PoolHost {
        /// What a wake and a start take beside their bytes, until one was seen.
        static let wakeBase = TimeSpan.milliseconds(200)
        static let coldBase = TimeSpan.seconds(2)
        /// The part of the machine's memory that sleeping instances may take, unless the configuration says: one in this many.
        static let hostMemoryParts: Int64 = 2
        /// Past ends of a function's instances that a cold start is explained by.
        static let endings = 16
    }
}
