internal import ApusCore

extension Limits {
    /// Bounds of what servers on one log tell each other beside the work that they share.
    enum Nodes {
        /// How long it lies on `apus.nodes`: only who is there now needs it.
        static let kept = TimeSpan.seconds(3_600)
        /// Messages that wait for the log; above it they are dropped.
        static let waiting = 4_096
        /// Bytes of an event that one message takes.
        static let messageBytes = 256 * 1_024
        /// Streams that this server reads from others for its clients, and streams of its own that others read from it.
        static let relays = 1_024
        /// How long another server may take to say that it holds a stream.
        static let openSeconds: Int64 = 3
        /// After so long without a word it is asked again,
        static let renewSeconds: Int64 = 10
        /// and after so many times without an answer the stream is given up.
        static let renewals = 2
        static let stepMilliseconds: UInt64 = 500
        /// How often counts of calls are written, while there is news.
        static let countMilliseconds: UInt64 = 250
        /// Counts of one write; the others follow with the next.
        static let countsPerWrite = 512
        /// How often counts of earlier days are looked for, which are then deleted.
        static let countsOutdated = TimeSpan.seconds(3_600)
    }
}
