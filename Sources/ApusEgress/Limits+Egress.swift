public import ApusCore

extension Limits {
    /// Bounds of the egress process.
    public enum Egress {
        /// Connections at once, of one worker and of all together. Above them a connection waits in the kernel's queue.
        public static let connectionsPerWorker = 64
        public static let connections = 2_048
        /// Workers that may have a way out at once: as many as there can be sandboxes.
        public static let workers = 1_024
        /// The head of a request, its lines, and how long it may take to come.
        public static let headBytes = 16 * 1_024
        public static let headerFields = 100
        public static let headSeconds: Int64 = 10
        public static let methodBytes = 32
        /// A chunk of a body, as its length says: seven hexadecimal digits.
        public static let chunkDigits = 7
        /// From the head to the first byte that can go to the server: name, connection, handshake together.
        public static let connectSeconds: Int64 = 15
        /// Addresses of one name that are looked at, and those that are tried one after the other.
        public static let addresses = 16
        public static let attempts = 3
        /// Names that are looked up at once, and those that wait for it.
        public static let resolverThreads = 4
        public static let resolverQueue = 64
        /// What a connection holds in each direction.
        public static let bufferBytes = 32 * 1_024
        /// How often one connection is read from and written to before others get their turn.
        public static let roundsPerTurn = 16
        /// How long the answer of a refusal may take to be read.
        public static let leaveSeconds: Int64 = 2
        /// How often times are looked at.
        public static let sweepMilliseconds: UInt64 = 250
        /// Records of one worker a second; more are counted and told with the next.
        public static let recordsPerSecond = 64
        /// One packet of orders or records.
        public static let packetBytes = 128 * 1_024
        public static let packetsPerTurn = 64
        /// Exceptions for private addresses.
        public static let exceptions = 64
        /// The value of one header that is injected.
        public static let secretBytes = 8 * 1_024
    }
}
