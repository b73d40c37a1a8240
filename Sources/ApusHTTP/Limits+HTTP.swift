public import ApusCore

extension Limits {
    /// Bounds on what one client can make the server hold, and on what a server can make our client hold.
    public enum HTTP {
        /// Connections of one listener; what comes above waits in the kernel's queue.
        public static let connections = 10_000
        /// Connections that wait in the kernel until the loop takes them: all that come while one server takes over from another.
        /// The kernel's own bound, `net.core.somaxconn`, is the same.
        public static let backlog: Int32 = 4096
        /// The library's buffer per connection: request line and headers together must fit.
        public static let headBytes = 32 * 1024
        /// A body with an event of the largest size, written as JSON with its data in base64.
        public static let bodyBytes = 2 << 20
        /// A bundle; only for the paths that ``HTTPListener/Configuration/bodyLimit`` gives it to.
        public static let bundleBytes = 64 << 20
        /// The body of a request that publishes events: data of the largest one, as text where it is no JSON, and room around it.
        public static let eventsBytes = 24 << 20
        /// The bodies that all requests of one listener hold at once.
        public static let bodiesBytes = 256 << 20
        /// How much of a refused body is read and thrown away, so that the client sees the answer and not a broken connection.
        public static let discardedBytes = 1 << 20
        /// A connection on which nothing moves.
        public static let idleSeconds = 60
        /// From the start of a connection, or the end of its last request, to the next whole head, however slowly it drips in.
        public static let headSeconds: Int64 = 60
        /// A body may take this long, and longer only while it keeps to ``bodyBytesPerSecond``.
        public static let bodySeconds: Int64 = 30
        public static let bodyBytesPerSecond = 16 * 1024
        /// What a streamed answer may queue before ``HTTPExchange/write(_:)`` says to wait.
        public static let outputHighWater = 256 * 1024
        /// A writer that does not wait is cut off here.
        public static let outputBytes = 32 << 20
        /// How often suspended exchanges are looked at: a client that left is noticed after one to two ticks.
        static let tickMilliseconds: UInt64 = 20
        /// How often slow connections are looked for.
        static let sweepMilliseconds: UInt64 = 1_000
        /// Rounds of the library per turn of the loop, so that a busy socket cannot keep the loop from its other work.
        static let roundsPerTurn = 16
        /// The library's buffer per streamed answer.
        static let streamBlockBytes = 16 * 1024
        /// Rounds in which what already queued on the socket is taken before it closes.
        static let roundsBeforeClose = 64
    }
}
