internal import ApusCore

extension Limits {
    /// Bounds of the life of a server process.
    enum Serve {
        /// A message between the server that runs and the one that takes over.
        static let messageBytes = 4_096
        /// How long the server that takes over may prepare itself between the offer and its acceptance: the nursery's start above all.
        static let offerMilliseconds = 60_000
        /// How long it waits for a message of the other: an offer is made at once.
        static let answerMilliseconds: CInt = 10_000
        /// How long it waits until the log is free: the drain, and ending what did not end in it.
        static let releaseMilliseconds: CInt = 60_000
        /// How long the old server waits to hear that the new one serves before it calls that a failure.
        static let takenMilliseconds: CInt = 60_000
        /// How often the end of a lingering server is looked at.
        static let lingerStepMilliseconds: CInt = 50
        /// A certificate with its chain, and its key.
        static let certificateBytes = 1 << 20
    }
}
