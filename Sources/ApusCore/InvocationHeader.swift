/// The names of the headers of an invocation's records: on its function's queue (`apus.invoke.…`) and on `apus.invocations`.
///
/// A record of `apus.invocations` has the invocation's id as its key and holds its newest state: these headers, and of one that
/// succeeded the attributes and the data of the result. A request about an invocation has the key `<id>/cancel`.
public enum InvocationHeader {
    /// Who asked.
    public static let principal = "apus-principal"
    /// On the queue: the upper half of the ids of its invocations, 16 hexadecimal digits. The lower half is the offset.
    public static let lane = "apus-lane"
    /// On the queue: when the invocation is of no use any more, microseconds since 1970.
    public static let expires = "apus-expires"
    /// On the queue: what its caller can be asked, separated by blanks. Without it nobody can be asked.
    public static let capabilities = "apus-capabilities"
    /// On the queue: the first attempt that fails is the last. Only one that the end of a server cut off is followed by another.
    public static let once = "apus-once"
    /// On the queue: it was approved for this revision of its function, and runs as no other.
    public static let onlyRevision = "apus-only-revision"
    /// On the queue: what must be answered before it is begun, as ``InvocationHold`` says it.
    public static let hold = "apus-hold"
    /// On the queue, and of its states: it was begun as a task of an agent.
    public static let task = "apus-task"
    /// On the queue: who waits for it on the server that took it, and lends it the right to call tools.
    public static let waiting = "apus-waiting"

    /// A name of ``InvocationState``.
    public static let state = "apus-state"
    /// `namespace/function`.
    public static let function = "apus-function"
    public static let revision = "apus-revision"
    public static let attempts = "apus-attempts"
    /// Moments, microseconds since 1970.
    public static let queued = "apus-queued"
    public static let started = "apus-started"
    public static let finished = "apus-finished"
    public static let code = "apus-code"
    public static let message = "apus-message"
    /// A stack trace.
    public static let detail = "apus-detail"
    /// `done/total/message` of a handler's last progress; a total of 0 is unknown.
    public static let progress = "apus-progress"
    /// Present when the handler returned nothing: the record itself may not be null, which would delete it.
    public static let isNull = "apus-null"
    /// Where the time went, as JSON.
    public static let timing = "apus-timing"
}

/// What an asynchronous invocation is doing, or how it ended.
public enum InvocationState: String, Sendable, Hashable, CaseIterable {
    /// Accepted; it will run, or run again. To any other.
    case queued
    /// An attempt is under way. To any other; to `queued` when the attempt failed and another will follow.
    case running
    /// Its handler asked its caller, who has not answered yet. To `queued` when it has, to any that is terminal.
    case waiting
    /// The result is kept.
    case succeeded
    /// It used up its attempts, or was rejected.
    case failed
    /// Its caller gave it up.
    case cancelled
    /// It was of no use any more before it could run.
    case expired

    /// Nothing follows.
    public var isTerminal: Bool {
        switch self {
        case .queued, .running, .waiting: false
        case .succeeded, .failed, .cancelled, .expired: true
        }
    }
}

extension InvocationID {
    /// Its partition of `apus.invocations`: that of all its records, those whose key goes on after the id too.
    public func partition(among count: Int) -> Int {
        Array(self.description.utf8).withUnsafeBytes { Murmur2.partition(of: $0, among: count) }
    }
}

extension Limits {
    /// Bounds of asynchronous invocations.
    public enum Invocations {
        /// Of the topic with their states.
        public static let partitions = 16
        /// Accepted and without a terminal state, per function; above it callers get `queue_full`.
        public static let openPerFunction = 10_000
        /// What a caller who got `queue_full` is told to wait.
        public static let retryAfterSeconds = 5
        /// The longest that one request may wait for an outcome.
        public static let waitSeconds = 300
        /// How long a question waits for its answer.
        public static let questionSeconds: Int64 = 86_400
        /// Rounds of questions of one invocation, what one round may take, and all answers together.
        public static let questionRounds = 32
        public static let questionBytes = 64 << 10
        public static let answerBytes = 128 << 10
        /// Invocations of one function that wait for answers at once.
        public static let waitingPerFunction = 256
        /// Answers and cancellations of one function's invocations that are kept while its queue opens; the log has them all.
        public static let heardMarks = 1_024
        /// Requests that wait for outcomes, on one server.
        public static let waiters = 4_096
        /// How often their deadlines are looked at.
        public static let waitStepMilliseconds: UInt64 = 100
        /// How long a cancellation waits for its terminal state before it answers that it goes on.
        public static let cancelWaitSeconds = 10
        /// States that one step of the sweep forgets.
        public static let statesPerSweep = 500
        /// How long terminal states are kept unless a server is told otherwise.
        public static let keptFor = TimeSpan.seconds(7 * 86_400)
        /// A state is written for what runs and for progress at most this often.
        public static let progressInterval = TimeSpan.seconds(1)
        /// Records below the watermark are given up at most this often.
        public static let discardInterval = TimeSpan.seconds(1)
        /// How often a node looks for queues that others made, and counts what waits in those it shares.
        public static let sharedLookMilliseconds: UInt64 = 2_000
        /// Records that one step of closing a deleted function's queue finishes.
        public static let finishedPerStep = 256
    }
}
