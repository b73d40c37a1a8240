internal import ApusCore

extension Limits {
    /// Bounds of the command line.
    enum Commands {
        /// Characters of a call's arguments in the list of approvals.
        static let approvalArguments = 80
        /// A manifest file.
        static let manifestBytes = 1 << 20
        /// Requests of an agent that are in progress at once over `apus mcp`.
        static let bridgeThreads = 64
        /// Manifest files of one deploy.
        static let manifestFiles = 256
        /// Data given on the command line, by file or by standard input.
        static let dataBytes = 16 << 20
        /// A line of an events file: an event with its data in base64.
        static let lineBytes = 2 << 20
        /// Events of one request.
        static let batchEvents = 500
        /// Bytes of one request, except where a single event is larger.
        static let batchBytes = 1 << 20
        /// A line of an answer that comes line by line.
        static let answerLineBytes = 64 << 20
        /// Events of one page of a topic.
        static let pageEvents = 500
        /// Partitions of a topic.
        static let partitions = partitionsPerTopic
        /// Folders that `apus dev` watches below one source.
        static let watchedFolders = 4_096
        /// Rows of one list.
        static let listRows = 1_000
        /// How far back `--since` may reach: a hundred years.
        static let sinceSeconds: Int64 = 3_155_760_000
        /// Seconds, and functions and topics each, that one report of `apus top` may show: as many as the server gives.
        static let statsSeconds = 240
        static let statsItems = 500
        /// How long one request waits for an asynchronous invocation; then another does.
        static let waitSeconds = 30
        /// Requests in a row that may find no server while an invocation is waited for: about a minute of a restart.
        static let waitRetries = 120
        static let waitRetryMilliseconds: UInt32 = 500
        /// Deliveries that a replay begins in a second where nothing is said, and the most that can be said.
        static let replayRate = 1_000
        static let replayRateMax = 1_000_000
        /// How often a replay that is waited for is looked at.
        static let replayLookMilliseconds: UInt32 = 500
        /// How often a tool may ask within one `apus tools call`, and the largest answer of it.
        static let toolRounds = 16
        static let toolResultBytes = 64 << 20
        /// How long to wait at most before a task is asked about again.
        static let taskLookMilliseconds: Int64 = 1_000
        /// A trace that `apus simulate` reads, and what one that it makes itself may be.
        static let traceBytes = 256 << 20
        static let simulatedDevices = 1_000
        static let simulatedFunctions = 100_000
        static let simulatedDays = 366
        static let simulatedRequests = 20_000_000
        /// Dead letters of one request that redrives ids.
        static let redrivenIDs = 1_000
    }
}
