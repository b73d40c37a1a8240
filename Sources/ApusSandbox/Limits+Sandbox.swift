public import ApusCore

extension Limits {
    /// Bounds of making and ending sandboxes.
    public enum Sandbox {
        /// Milliseconds the nursery may take until it reports that it is ready.
        public static let nurseryStartMilliseconds: CInt = 10_000
        /// Shards that one nursery serves.
        public static let shards = 64
        /// Requests that the nursery's socket did not take yet; more are refused with `overloaded`.
        public static let waitingRequests = 1_024
        /// Events taken from the nursery's socket in one turn of the loop.
        public static let eventsPerTurn = 64
        /// Strings of one launch, all arguments and all environment together.
        public static let argumentCount = 256
        public static let environmentCount = 256
        /// What a dependency layer may hold, by default.
        public static let layerBytes: UInt64 = 4 << 30
        public static let layerEntries: UInt64 = 200_000
        /// Open files of one sandbox.
        public static let openFiles: UInt32 = 1_000
        /// Devices of one worker, and parts of them.
        public static let gpus = 16
        public static let gpuCapabilities = 4
        /// Steps of `layerJobRetryMilliseconds` that a request for a layer waits for the one before it.
        public static let layerJobRetries = 3_000
        public static let layerJobRetryMilliseconds: UInt64 = 20
    }
}
