public import ApusCore

extension Limits {
    /// Bounds of secrets and of the keys that seal them.
    public enum Secrets {
        /// One value.
        public static let valueBytes = 64 << 10
        /// All that one function is given, as the JSON object that its workers read.
        public static let deliveredBytes = 1 << 20
        public static let nameBytes = 128
        /// Secrets at once on one log: their sealed values are held in memory.
        public static let count = 4_096
        /// Master keys that a server holds at once.
        public static let keys = 64
        public static let keyFileBytes = 64 << 10
        /// Secrets that one write seals anew.
        public static let resealedAtOnce = 8
        /// How often a value is sealed anew because another one was set meanwhile.
        public static let setAttempts = 8
    }
}
