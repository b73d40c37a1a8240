public import ApusCore

extension Limits {
    /// Bounds of the engine that nobody needs to configure.
    public enum Engine {
        /// Records asked for by one fetch.
        public static let fetchRecords = 256
        /// How long a partition waits after a read that failed or made no progress.
        public static let fetchRetry: TimeSpan = .milliseconds(250)
        /// How long settling that needs no output (records a filter skipped) may wait for a ledger write of its own.
        public static let lazySettle: TimeSpan = .seconds(1)
        /// Attributes that one filter may name.
        public static let filterConditions = 64
        /// How long the ledger waits after a write that failed before it asks for the next.
        public static let ledgerRetry: TimeSpan = .milliseconds(100)
        /// The longest `Retry(after:)` that a handler may ask for.
        public static let retryAfter: TimeSpan = .seconds(86_400)
        /// How long a direct invocation without a deadline may wait for a worker.
        public static let requestWait: TimeSpan = .seconds(300)
        /// Starts that may fail in a row before waiting callers are told instead of left waiting.
        public static let startFailuresBeforeRefusal = 2
        /// Growths of a function's tables that are told apart; above it work waits for a later end than it must.
        public static let tableGrowths = 1_024
        /// The stretch of time over which the uses of workers that serve one invocation are counted.
        public static let demandWindow: TimeSpan = .seconds(1)
        /// The share of the newest start in the average of how long starts take: one part in this many.
        public static let refillWeight: Int64 = 8
        /// The share of the newest attempt in the average of how long attempts take: one part in this many.
        public static let runWeight: Int64 = 8
        /// The most work that is foreseen beyond what is there.
        public static let foreseen = 4_096
        /// Callers that wait are told how long a start takes where that is at least so much.
        public static let toldWait: TimeSpan = .milliseconds(500)
        /// Of a start that was never seen.
        public static let startPrior: TimeSpan = .seconds(1)
        /// Workers of one function that may wait ready to serve one invocation each, whatever the demand.
        public static let pooledWorkers = 256
        /// The most that a paced trigger may begin in a second.
        public static let perSecondMax = 1_000_000
        /// How much of a second's deliveries a paced trigger may begin at once: one part in this many.
        public static let paceParts = 10
        /// The shortest time after which a paced trigger that came to its bound goes on.
        public static let paceStep: TimeSpan = .milliseconds(20)
        /// Records that a paced trigger reads at least, for those that its filter passes over.
        public static let pacedRecords = 32
        /// Attempts of a delivery that the ledger counts; further ones count as this many.
        public static let countedAttempts = 1_000_000_000
    }
}
