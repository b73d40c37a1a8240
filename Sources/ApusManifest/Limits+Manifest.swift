public import ApusCore

extension Limits {
    /// Bounds of manifests.
    public enum Manifest {
        /// One file.
        public static let textBytes = 1 << 20
        /// Documents of one file.
        public static let documents = 256
        /// Lists and mappings inside one another.
        public static let depth = 64
        /// Values of one file after aliases were replaced by what they stand for: bounds "billion laughs".
        public static let nodes = 50_000
        /// Aliases of one file.
        public static let aliases = 1_000
        /// Errors listed for one file; more are counted.
        public static let errors = 100

        public static let descriptionBytes = 4_096
        public static let labels = 64
        public static let environmentVariables = 256
        /// All names and values together, as the sandbox takes them; part of its room is left for what Apus adds.
        public static let environmentBytes = 12 * 1024
        /// Secrets of one function.
        public static let secrets = 64
        public static let weights = 16
        public static let triggers = 64
        public static let filterTerms = 32
        /// Segments in the path of an HTTP trigger.
        public static let pathSegments = 32
        public static let emits = 64
        /// A cron line.
        public static let cronBytes = 256
        public static let concurrency = 256
        /// With the runtime node: its main thread and those of V8, libuv and the inspector's watch.
        static let nodeProcesses = 16
        /// With the runtime node: less and it ends before it has loaded anything.
        static let nodeMemoryBytes: Int64 = 64 << 20
        /// With the runtime exec, whose worker holds four pipes for each event at a time.
        public static let execConcurrency = 32
        /// With the runtime mcp, whose worker holds memory for each call at a time.
        public static let mcpConcurrency = 32
        /// The URL of an MCP server.
        public static let addressBytes = 2_048
        /// What is put in front of the names of an upstream's tools.
        static let prefixBytes = 32
        static let pins = 512
        /// Calls of one upstream that go on at once in one worker.
        public static let upstreamConcurrency = 16
        /// A tool's name at its upstream, and all that it says of one tool.
        static let upstreamNameBytes = 256
        static let upstreamToolBytes = 64 * 1_024
        public static let batchSize = 1_024
        /// A batch is one frame, with the heads of its events.
        public static let batchBytes: Int64 = 200 * 1024
        public static let workers = 1_000
        public static let attempts = 10_000
        public static let handlerBytes = 4_096
        public static let pathBytes = 1_024
        /// A value of an environment variable, a filter, a label.
        public static let textValueBytes = 8 * 1024
        /// The JSON Schema of a tool's input or output.
        public static let schemaBytes = 64 * 1024
        /// Scopes that one tool, prompt or resource needs.
        public static let scopes = 32
        /// Tool servers, and scopes, of one agent.
        public static let agentRights = 64
        public static let promptArguments = 64
        /// Values listed for one argument.
        public static let completionValues = 1_000
        /// Names that a tool server lists.
        public static let serverNames = 5_000
        public static let toolVersion = 999_999
        /// A text that models read; a longer one is told of.
        public static let lintedBytes = 2_048
        /// Letters and digits in one run that read as encoded bytes.
        static let blobBytes = 48
    }
}
