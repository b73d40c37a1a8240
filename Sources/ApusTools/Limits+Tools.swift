public import ApusCore

extension Limits {
    /// Bounds of the tool registry.
    public enum Tools {
        /// A tool's name, in characters: what every vendor's model takes.
        public static let nameCharacters = 64
        /// Characters of the hash that a shortened name ends with.
        public static let nameHashCharacters = 8
        /// Items of one page of a list.
        public static let pageItems = 100
        /// A cursor, as clients send it back.
        public static let cursorBytes = 4_096
        /// How deep in an input schema arguments are looked for that clients repeat in headers.
        public static let headerDepth = 16
        /// How deep in an input schema names of arguments are taken for the search, and how many.
        public static let searchDepth = 8
        public static let searchProperties = 256
        /// Words of a question that are looked for.
        public static let questionTerms = 32
        /// A question to the search.
        public static let questionBytes = 2_048
        /// Tools that one search gives at most.
        public static let foundTools = 50
        /// As many as are given where the question does not say.
        public static let foundStandard = 5
        /// Characters of a description among what was found.
        public static let foundDescription = 300
        /// Tools that one `describe_tool` describes at most.
        public static let describedTools = 20
        /// Vectors kept in memory, and their dimensions at most.
        public static let vectors = 20_000
        public static let vectorDimensions = 4_096
        /// What an embedder is given of a tool.
        public static let embeddedCharacters = 1_024
        /// Tools that an embedder is given at once, and how often one of them.
        static let embeddings = 16
        static let embeddingAttempts = 3
        /// How long it is left alone at most after it failed.
        static let embeddingRestSeconds: Int64 = 300
        /// New vectors that are searched with before all are there.
        static let embeddingsPublished = 256
        /// Tools that count for being near in meaning.
        public static let nearTools = 100
        /// Callers whose calls are counted.
        public static let limitedCallers = 65_536
        /// One text of an audit record, in characters.
        static let auditTextCharacters = 1_024
        /// What a check of the audit lists; the rest is counted.
        static let auditFindings = 100
    }
}
