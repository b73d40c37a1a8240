public import ApusCore

extension Limits {
    /// Bounds of bundles: a function's source as one archive.
    public enum Bundle {
        /// An archive, headers and padding included; larger sources belong behind a URL and a hash.
        public static let archiveBytes = 64 << 20
        /// A piece of an archive on the log: an event with room for its key and attributes.
        public static let chunkBytes = Limits.eventBytes - 4_096
        /// Partitions of `apus.bundles`; all pieces of a bundle lie in one.
        public static let partitions = 16
        /// Bundles on the log: what a server knows of each is in its memory.
        public static let onLog = 65_536
        /// Files and directories of one archive.
        public static let entries = 16_384
        /// Components of a path.
        public static let depth = 32
        /// A path, as far as the archive's format goes: 155 bytes of directories and 100 of a name.
        public static let pathBytes = 255
        /// An `.apusignore` file.
        public static let ignoreFileBytes = 64 * 1024
        /// Patterns of one `.apusignore` file.
        public static let ignorePatterns = 1_024
    }
}
