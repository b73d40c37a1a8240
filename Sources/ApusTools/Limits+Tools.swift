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
        /// Pages that are kept as they were put together, of each list.
        public static let keptPartsBytes = 256 * 1024
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
        /// Failures of an upstream in a row after which it is left alone, at first and at most for so long, and how long the one call
        /// that tries again may take to say something.
        static let breakerFailures = 5
        static let breakerFirst = TimeSpan.seconds(5)
        static let breakerLongest = TimeSpan.seconds(60)
        static let breakerTrial = TimeSpan.seconds(60)
        /// Upstreams that are asked for their lists at once, and how long the first repetition waits.
        static let upstreamsAsked = 4
        static let upstreamRetry = TimeSpan.seconds(2)
        /// What an upstream that asks wants back with the answers.
        public static let upstreamStateBytes = 64 * 1_024
        /// What is passed on of an upstream's words about an error.
        static let upstreamErrorCharacters = 2_000
        /// Callers whose calls are counted.
        public static let limitedCallers = 65_536
        /// How long it is believed that another server still runs a caller's calls, and how often that is said again.
        static let countBelieved = TimeSpan.seconds(15)
        static let countRepeated = TimeSpan.seconds(5)
        /// What the person at a client is shown of a call's arguments.
        static let approvalCharacters = 4_096
        /// Tools that the function of one call calls, those of them under way at once, and the bytes of their results.
        public static let innerCalls = 100
        public static let innerCallsAtOnce = 8
        public static let innerBytes = 32 << 20
        /// One result of them; above it the function is told so.
        public static let innerResultBytes = 4 << 20
        /// How often the client of a task is to ask what became of it.
        public static let taskPollMilliseconds = 1_000
        /// How long a task is kept at most, from its beginning.
        public static let taskSeconds: Int64 = 7 * 86_400
        /// Results that answer the same call again, and their bytes.
        public static let cachedResults = 10_000
        public static let cachedBytes = 64 << 20
        /// One text of an audit record.
        static let auditTextCodePoints = 1_024
        /// What a check of the audit lists; the rest is counted.
        static let auditFindings = 100
    }
}
