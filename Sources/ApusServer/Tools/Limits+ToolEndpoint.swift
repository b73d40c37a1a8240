internal import ApusCore

extension Limits {
    /// Bounds of the endpoint for agents.
    enum ToolEndpoint {
        /// A stream says so often that it is still there, and a call that takes longer becomes one.
        static let keepAliveMilliseconds: Int64 = 10_000
        static let sweepMilliseconds: UInt64 = 1_000
        /// Pages of an upstream's list, and their bytes together.
        static let upstreamPages = 64
        static let upstreamListBytes = 512 * 1_024
        /// Streams that listen for changes, of one shard.
        static let listeners = 10_000
        /// How long answers to a task's questions may take to show.
        static let answerSeconds: Int64 = 5
        /// How long a call that is to ask before it becomes a task may take to ask.
        static let firstQuestionSeconds: Int64 = 5
        /// Calls that wait before a task, as far as they are counted.
        static let callsAhead = 1_000
        /// Tasks that one stream follows, and for how long it does.
        static let taskSubscriptions = 64
        static let taskFollowSeconds: Int64 = 86_400
        /// Resources that one stream follows.
        static let resourceSubscriptions = 256
        /// What a function is given: an event with room for its attributes.
        static let argumentsBytes = Limits.eventBytes - 64 * 1_024
        /// How long clients may keep what says nothing of it.
        static let listMilliseconds = 60_000
        static let discoverMilliseconds = 3_600_000
        /// Values that a completion offers.
        static let completions = 100
        /// How long a search waits for the meaning of its question from an embedder that is warm.
        static let questionMilliseconds: UInt64 = 100
        /// Rounds of questions within one call.
        static let rounds = 32
        /// Sessions that this server remembers; above it the one that was not used for longest is forgotten.
        static let sessions = 10_000
        static let endedSessions = 10_000
        /// A session that nobody uses is forgotten,
        static let sessionIdleSeconds: Int64 = 3_600
        /// and each after so long.
        static let sessionSeconds: Int64 = 86_400
        /// What is kept of a session's streams for clients that come back.
        static let replayBytes = 1 << 20
        /// Streams of a session that are kept.
        static let replayStreams = 64
        /// How long the call of a client that left goes on, for it to come back.
        static let resumeSeconds: Int64 = 60
        /// Requests of a session in progress.
        static let sessionCalls = 256
        /// How long the client of a session may take to answer a question.
        static let questionSeconds: Int64 = 600
        /// How much longer than a state may come back it is known that it was used: clocks of servers differ.
        static let stateGraceSeconds: Int64 = 3_600
        /// Large results that are kept for reading, and their bytes.
        static let results = 1_024
        static let resultsBytes = 256 << 20
        /// Results that lie on disk, of all callers, of one of them, and how many. A result of more than this goes there.
        static let diskResultsBytes = 1 << 30
        static let callerResultsBytes = 256 << 20
        static let diskResults = 256
        static let memoryResultBytes = 1 << 20
        /// How far apart the places are in a result on disk whose line is known.
        static let lineMarkBytes = 64 << 10
        /// What is sent whole of a tool that is not deployed any more.
        static let resultBytes: Int64 = 256 << 10
        /// What one reading of a large result gives, and what a call shows of its beginning and end.
        static let resultPartBytes = 256 << 10
        static let previewBytes = 2_048
    }
}
