internal import ApusCore
internal import ApusHTTP

extension Limits {
    /// What the process keeps of memory that it freed.
    enum Heap {
        /// Blocks of this size and more are mapped, and given back when they are freed: mapping one costs less than filling it.
        static let mappedBytes: CInt = 1 << 20
        /// At the end of each arena.
        static let keptBytes: CInt = 2 << 20
    }

    /// Bounds of the server's own work.
    enum Server {
        /// Workers of one shard at one time: a part of the host's places is left for builds and zygotes.
        static func workers(slots: Int, shards: Int) -> Int { max(1, slots * 7 / 8 / max(1, shards)) }

        /// What a build may print before only its end is kept: enough for pip's message.
        static let buildOutputBytes = 64 * 1024
        /// A requirements file.
        static let requirementsBytes = 1 << 20
        /// A fetch or an installation that takes longer is ended.
        static let buildSeconds: Int64 = 900
        /// What the data directory's file system may lose while a build runs: a layer of the largest size, what it was fetched as, and
        /// room for what others write meanwhile. Above it the build is ended.
        static let buildDiskBytes: UInt64 = 12 << 30
        static let buildDiskFiles: UInt64 = 600_000
        /// How often it is looked at.
        static let buildDiskMilliseconds: UInt64 = 250
        /// A key that lets a request take effect once, and how long it is known.
        static let idempotencyKeyBytes = 255
        static let idempotencyWindow = TimeSpan.seconds(86_400)
        /// How often what principals call and what becomes of instances is written, while there is news.
        static let usageMilliseconds: UInt64 = 250
        /// Principals and functions that are told apart between two writes.
        static let countedCallers = 10_000
        /// Changes of instances that wait to be written; above it they are dropped and counted.
        static let usageTransitions = 4_096
        /// Rows of one record on `apus.usage`: less than 1 MiB, whatever names are in it.
        static let usageRows = 500
        /// Records that wait while the log takes none.
        static let waitingUsage = 256
        static let usagePartitions = 16
        /// For how long queries tell minutes apart; of what is older, hours.
        static let usageMinutesSeconds: Int64 = 2 * 86_400
        /// Those who wait for what was used until now.
        static let usageFlushes = 256
        /// Lengths of time that one report may ask about.
        static let usageSpans = 16
        /// Methods, tools and ends of agents' requests of which the time is kept, for each shard.
        static let measuredOperations = 2_000
        /// How long writing the last of it may take at the end.
        static let usageCloseMilliseconds: UInt64 = 2_000
        /// Log lines that wait for the log; above it they are dropped and counted.
        static let waitingLogLines = 4_096
        /// Log lines written in one transaction.
        static let logLinesPerBatch = 512
        /// How long the writer of log lines may take at the end to write what waits.
        static let logCloseMilliseconds: UInt64 = 1_000
        /// How long the nursery may take, once the drain's time is up, to end what was killed before its line is closed.
        static let killMilliseconds: UInt64 = 3_000
        /// How often the end of a shard is looked at after that.
        static let stopStepMilliseconds: UInt64 = 100
        /// How long answers may still be on their way once the drain of the shards has used up its time.
        static let answerGraceMilliseconds: UInt64 = 500
        /// How long connections that another server will replace are served on before this one drains: enough for a client in
        /// the middle of its work to be answered and told to connect anew.
        static let handOverMilliseconds: Int64 = 250
        static let handOverStepMilliseconds: UInt64 = 5
        /// How long running work may take to finish before another server takes over.
        static let handOverDrainSeconds: Int64 = 5
        /// How long after the drain the log may wait for its cluster.
        static let logEndSeconds: Int64 = 5
        /// How long connections without a request are kept for their next one after that. As long as any idle connection is kept.
        static let lingerMilliseconds = UInt64(Limits.HTTP.idleSeconds) * 1_000
        /// How long log lines are gathered.
        static let logGatherMilliseconds: UInt64 = 50
        /// Records that the follower of a control topic reads at once.
        static let recordsPerFollow = 1_024
        /// Bytes of records that one read of a follower or a consumer lends.
        static let bytesPerRead = 4 << 20
        /// Those who wait until the projection has passed a record.
        static let projectionWaiters = 1_024
        /// How long they wait at most.
        static let projectionWaitMilliseconds: Int64 = 5_000
        /// How often their deadlines are looked at.
        static let projectionSweepMilliseconds: UInt64 = 100
        /// Bytes of records in one page of a topic, and of the JSON made of them; one event may come alone, however large.
        static let pageBytes = 4 << 20
        /// Events that one read of a topic returns at most.
        static let eventsPerRead = 10_000
        /// What a synchronous invocation without a deadline of its own gets beyond the function's timeout: queueing and start.
        static let invocationSlackSeconds: Int64 = 30
        /// Headers that a function may give its answer, and their bytes: names and values.
        static let answerHeaders = 64
        static let answerHeaderBytes = 8 * 1024
        /// All headers of an answer together, as the attributes of an event make them: the library writes them into a buffer of
        /// ``Limits/HTTP/headBytes``.
        static let eventHeaderBytes = 16 * 1024
        /// How long a deploy or deletion may wait for those before it.
        static let controlSeconds: Int64 = 60
        /// How often everything is swept, how long after the start for the first time, and how often that is looked at.
        static let sweepSeconds: Int64 = 600
        static let firstSweepSeconds: Int64 = 60
        static let sweepTickMilliseconds: UInt64 = 30_000
        /// Those who wait for a sweep that they asked for.
        static let sweepRequests = 64
        /// Steps of one kind in one round; what is left waits for the next round.
        static let sweepStepsPerRound = 1_000
        /// What one step takes: folders, rows, records of the control topic.
        static let sweepFolders = 64
        static let sweepRows = 5_000
        static let sweepFates = 200
        /// What an interrupted upload left is removed after this; one under way is younger.
        static let leftoverSeconds: Int64 = 3_600
        /// How often a backup whose client takes nothing is looked at.
        static let backupCheckMilliseconds: UInt64 = 1_000
        /// Uploads, fetches and checks of bundles that wait for the one under way.
        static let waitingBundles = 1_024
        /// Workers that wait for the same bundle or layer.
        static let waitingForFiles = 1_024
        /// Pieces of a bundle written to the log at once.
        static let bundleChunksPerBatch = 8
        /// A bundle that was written to the log longer ago is made young when it is deployed; unused ones younger than twice that stay.
        static let bundleRenewSeconds: Int64 = 1_800
        /// Deployments that wait for the one under way.
        static let waitingDeployments = 64
        /// The longest media type of an invocation's data that is passed on without being read.
        static let plainTypeBytes = 128
        /// Triggers, or replays, in one answer.
        static let subscriptionsPerRead = 1_000
        /// Partitions of triggers whose class no server has that one answer asks the log for; of more nothing is said.
        static let unservedPerRead = 1_000
        /// Records that one answer looks at to say how old what was not read yet is.
        static let agesPerRead = 256
        /// Bytes of events after which a request that redrives ids takes no further one.
        static let redriveBytes = 4 << 20
        /// Events of one publishing request.
        static let eventsPerRequest = 10_000
        /// Events that a follower of a topic gets in one step.
        static let eventsPerStreamStep = 256
        /// How often what was appended to topics is looked at, and how many such seconds are kept.
        static let rateMilliseconds: UInt64 = 1_000
        static let rateSeconds = 256
        /// Topics whose rates are kept.
        static let ratedTopics = 1_000
        /// Seconds that one answer of `/v1/stats` may show; the current one is not over.
        static let statsSeconds = 240
        /// Functions, triggers and topics that one answer of `/v1/stats` may show, the busiest first.
        static let statsItems = 500
        /// Recent deliveries in one answer.
        static let deliveriesPerRead = 500
        /// Approvals that one read gives where it does not say.
        static let approvalsStandard = 100
        /// Of an attribute shown with a recent delivery.
        static let shownAttributeCharacters = 256
        /// How often a quiet stream says that it lives.
        static let keepAliveMilliseconds: UInt64 = 15_000
        /// How often a follower of logs is given new lines.
        static let logPollMilliseconds: UInt64 = 200
        /// What the egress process may take: buffers of all connections that there may be, certificates, its threads.
        static let egressBounds = SandboxBounds(
            memoryBytes: 384 << 20, cpuMillis: 2_000, processes: 32, scratchBytes: 1 << 20, openFiles: 1_000)
        /// Until it is started again, doubled each time it ends soon after.
        static let egressBackoffMilliseconds: UInt64 = 50
        static let egressBackoffMaxMilliseconds: UInt64 = 5_000
        static let egressSteady: TimeSpan = .seconds(10)
        /// Of one decision, in a function's log.
        static let egressTextCharacters = 1_000
        /// Lines of it that the journal takes.
        static let egressLines = 100
        /// How long a deploy with `wait` waits for its functions to start.
        static let waitSeconds: Int64 = 60
    }
}
