public import ApusCore

extension Limits {
    /// Bounds of the import of an API's description.
    public enum Import {
        /// The description's text.
        public static let textBytes = 16 << 20
        /// Values of a description in YAML, after aliases were replaced.
        public static let nodes = 2_000_000
        /// Lists and mappings of a description inside one another.
        public static let depth = 200
        /// Operations of one description.
        public static let operations = 2_000
        /// References followed one after another until something is there.
        public static let references = 16
        /// The schema of one tool's arguments, with all that it refers to.
        public static let schemaBytes = 128 * 1024
        /// Objects and arrays of a schema inside one another.
        public static let schemaDepth = 64
        /// A tool's description, in characters.
        public static let descriptionCharacters = 1_024
        /// Tools in one file of manifests.
        public static let toolsPerFile = 100
    }
}
