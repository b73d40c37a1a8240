public import ApusCore
public import ApusEngine

/// How the last worker of a function came to be there, where its shard starts them: for people who ask why a call was slow.
public struct WorkerStart: Sendable, Equatable {
    /// How a worker ended, and when.
    public struct Ending: Sendable, Equatable {
        public enum Cause: Sendable { case idle, failure, replaced, spent }

        public var cause: Cause
        public var at: Timestamp

        public init(cause: Cause, at: Timestamp) {
            self.cause = cause
            self.at = at
        }
    }

    public var at: Timestamp
    /// Until it was ready; nil while it is under way, or where it never was.
    public var took: TimeSpan?
    /// Workers that were there already.
    public var others: Int
    /// Its files were not on this machine.
    public var isFetched: Bool
    /// How the one before it ended.
    public var before: Ending?

    public init(at: Timestamp, took: TimeSpan? = nil, others: Int = 0, isFetched: Bool = false, before: Ending? = nil) {
        self.at = at
        self.took = took
        self.others = others
        self.isFetched = isFetched
        self.before = before
    }
}

extension Shard {
    /// - Returns: nil for a function that had no worker since the start, or whose instances the pool starts.
    public func lastStart(of function: FunctionID) -> WorkerStart? { self.activities[function]?.lastStart }

    func noteStart(_ channel: WorkerChannel) {
        guard channel.instance == nil else { return }
        let activity = channel.activity
        activity.lastStart = WorkerStart(
            at: channel.startedAt, others: Int(max(0, activity.meter.workers - 1)), isFetched: channel.isWaitingForFiles,
            before: activity.lastEnding)
    }

    func noteReady(_ channel: WorkerChannel, now: Timestamp) {
        guard channel.instance == nil, channel.activity.lastStart?.at == channel.startedAt else { return }
        channel.activity.lastStart?.took = now - channel.startedAt
    }

    func noteEnd(_ channel: WorkerChannel, now: Timestamp) {
        guard channel.instance == nil else { return }
        let cause: WorkerStart.Ending.Cause =
            if channel.fatal != nil {
                .failure
            } else if channel.function.function.plan.reuse == .never {
                .spent
            } else if !self.isCurrent(channel) {
                .replaced
            } else if channel.isRetired {
                .idle
            } else {
                .failure
            }
        channel.activity.lastEnding = WorkerStart.Ending(cause: cause, at: now)
    }
}
