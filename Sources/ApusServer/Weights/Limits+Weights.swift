internal import ApusCore

extension Limits {
    /// Bounds of bringing weights.
    enum Weights {
        /// Files that are brought at once.
        static let threads = 4
        /// Sets that wait for one of them.
        static let waiting = 1_024
        /// Times that one address after another is said to be the right one.
        static let redirects = 5
        /// Connections one after another that brought nothing; one that brought something is no failure.
        static let attempts = 3
        /// A connection on which nothing comes for so long is given up.
        static let stallSeconds = 30
        /// Between two attempts.
        static let pauseMilliseconds: UInt32 = 500
        /// Bytes a second that are reckoned with until some were seen.
        static let rate: Int64 = 50_000_000
        /// A file whose size nobody said is reckoned with as so large.
        static let unknownBytes: Int64 = 1 << 30
    }
}
