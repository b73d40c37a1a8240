public import ApusCore

extension Limits {
    /// Bounds of backups, for those who write them and for those who read what may be anything.
    public enum Backup {
        /// What one block holds, records and entries gathered until it is about this large.
        public static let gatherBytes = 1 << 20
        /// The largest block: one gathered to just below its bound, and one record more.
        public static let blockBytes = 4 << 20
        /// A bundle's archive, made anew: larger than what was sent when that was not padded as ours are.
        public static let bundleBytes = Limits.Bundle.archiveBytes + Limits.Bundle.entries * 1_024
    }
}
