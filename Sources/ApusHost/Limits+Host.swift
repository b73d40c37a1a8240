public import ApusCore

extension Limits {
    /// Bounds of what the host holds for its workers and its log.
    public enum Host {
        /// What is read from a worker at once; two frames, so that a whole one always fits behind a part of another.
        public static let readBufferBytes = 2 * Limits.frameBytes
        /// What is gathered for a worker before it gets it, and what is read of one in a turn unless a frame is larger: the worker works on one
        /// part while the loop works on the next, and a flood leaves its neighbours their turn.
        public static let gatheredBytes = 128 << 10
        /// What may wait for a worker that does not read its pipe. Above it the worker is killed.
        public static let outputBufferBytes = 64 << 20
        /// What may wait between a worker and whoever takes its result in parts, beside one reading of its pipe. Above it the worker is not read.
        public static let partsWaitingBytes = 1 << 20
        /// How long a frame may stay incomplete.
        public static let partialFrameTimeout = TimeSpan.seconds(10)
        /// An idle worker is asked this often whether it lives.
        public static let pingInterval = TimeSpan.seconds(15)
        /// How long it may take to say so.
        public static let pingTimeout = TimeSpan.seconds(10)
        /// How long a worker may take to sleep, as `sleep()` of its function does. How long it may take to wake is the pool's to say.
        public static let hookTimeout = TimeSpan.seconds(120)
        /// A sandbox that is made ahead of the next call waits so long for the call that runs.
        public static let aheadStartMilliseconds: UInt64 = 2
        /// How often deadlines of channels are looked at.
        public static let housekeepingMilliseconds: UInt64 = 100
        /// What outputs wait for one write, above which they are held: with the outputs of one more delivery, and after a write that failed,
        /// all of them fit into the largest that a log takes.
        public static let commitBytes = 12 << 20
        public static let commitRecords = 8_192
        /// Dead letters that join a write at one look: with what is there already they fit into the largest that a log takes.
        public static let deadLettersPerTurn = 8
        /// What runs of a function that changes its class may end for so long.
        public static let classDrainMilliseconds: Int64 = 5_000
        /// How often nodes of the new class look whether it was let go, and for how long before they take it.
        public static let classLookMilliseconds: Int64 = 500
        public static let classWaitMilliseconds: Int64 = 10_000
        /// Records that one step reads which finds out what a lane has seen: fetches of others come between the steps.
        public static let keysPerStep = 8_192
        /// After how long the end of a replay that is still there is told again.
        public static let replayEndAgain = TimeSpan.seconds(2)

        /// Events that one attempt may emit, and their bytes in all.
        public static let emitsPerAttempt = 1_024
        public static let emitBytesPerAttempt = 16 << 20

        /// One captured line; the rest of a longer one is cut off and counted.
        public static let lineBytes = 8 * 1024
        /// Captured lines of one worker and second; more are counted and dropped.
        public static let linesPerSecond = 2_000
        /// Captured bytes of one worker and attempt; more are counted and dropped.
        public static let logBytesPerAttempt = 1 << 20
        /// What is read of a worker's output in one second. Above it the pipe is left full until the second is over.
        public static let captureBytesPerSecond = 32 << 20
        /// Lines of a failure's detail that the function's log gets: the end of a stack trace says where it happened.
        public static let failureLines = 30
        /// Lines about what a worker was denied, of one look; more kinds are counted in one line more.
        public static let denialLines = 8
        /// Kinds of denied calls that the head of an answer names.
        public static let denialsInHeader = 8
        /// Kinds of denied calls that are counted apart for one function; more are counted as `others`.
        public static let denialsPerFunction = 64
        /// Lines of standard error that a failed start quotes.
        public static let lastLines = 20

        /// Shorter secrets are not masked in lines: too much else would be.
        public static let maskedBytesMin = 6
        /// Values, or lines of values, of one function that are looked for in its output.
        public static let masks = 1_024
        /// Different lengths among them: each costs a look at every byte of a line.
        public static let maskLengths = 16

        /// Zygotes of functions that one shard has; functions beyond it have a sandbox for each call.
        public static let zygotes = 16
        /// Calls, ready or running, that share one sandbox.
        public static let zygoteCalls = 16
        /// Calls that one zygote forks, and how long it does, before another takes its place.
        public static let zygoteForks: UInt64 = 1_000
        public static let zygoteAge = TimeSpan.seconds(600)
        /// How long a zygote without calls is kept.
        public static let zygoteIdle = TimeSpan.seconds(30)
        /// How long it may take from the order for its sandbox until it has loaded its function.
        public static let zygoteStart = TimeSpan.seconds(60)
        /// How long it may take to fork a process, or to kill and reap one; then its sandbox is killed.
        public static let zygoteAnswer = TimeSpan.seconds(2)
        /// Before another one is started for a function whose last one failed, and for one that cannot be forked.
        public static let zygoteBackoff = TimeSpan.seconds(10)
        public static let zygoteRefusal = TimeSpan.seconds(3_600)
        /// What is printed while it loads; the rest is left in its pipe.
        public static let zygoteOutputBytes = 256 * 1024
        /// What is read of its frames at once: a whole one of the largest, an error, fits.
        public static let zygoteBufferBytes = Limits.frameBytes

        /// Wait before a write that the log refused is sent again.
        public static let commitRetryMilliseconds: UInt64 = 250
        /// How long settled deliveries without outputs may wait for others to share their write.
        public static let ledgerDelay = TimeSpan.milliseconds(1)
        /// Outputs that wait for the log. Above it triggers with outputs are not dispatched.
        public static let pendingOutputBytes = 64 << 20

        /// A fetch that starts this near to the end reads what was appended a moment ago, which is in memory: on the
        /// loop itself.
        public static let recentRecords: Int64 = 4_096
        /// Records' bytes passed over by one fetch.
        public static let fetchBytes = 4 << 20

        /// Data of events whose records only refer to it, while it is brought for workers.
        public static let claimedBytes = 64 << 20

        /// Recent deliveries and direct invocations of one shard that are kept for people.
        public static let notes = 1_024
        /// Deliveries that wait for another attempt and whose attempts are remembered until then.
        public static let openNotes = 1_024
        /// Of what went well and quickly, so many a second are kept; all that failed is.
        public static let notedSuccessesPerSecond = 50
        /// Of what went well and took long: where a function works through a backlog, all of it did.
        public static let notedSlowPerSecond = 200
        /// What takes longer, from its arrival to its outcome, is slow.
        public static let slowDelivery = TimeSpan.seconds(1)
        /// A failure's message among recent deliveries.
        public static let noteBytes = 512
        /// How many seconds back a function's rates go; a power of two.
        public static let activitySeconds = 256
        /// Traced deliveries that are under way; what comes above is not traced, and counted.
        public static let openTraces = 4_096

        /// A failure's message and detail in a dead letter, in an answer and in a state.
        public static let messageBytes = 4 * 1024
        public static let detailBytes = 16 * 1024
    }
}
