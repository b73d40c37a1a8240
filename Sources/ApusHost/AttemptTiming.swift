public import ApusCore

/// What an attempt found when its turn came.
public enum StartTier: String, Sendable, CaseIterable {
    /// A worker that was there already.
    case ready
    /// A worker that slept.
    case woken
    /// A worker that was started for it, or for others while it waited.
    case cold
}

/// How one attempt was run: where its time went, and behind what. The parts follow one another; together they are what its caller waited.
public struct AttemptTiming: Sendable, Equatable {
    /// From its arrival (the append of its record, the call) to its dispatch, without what counts as ``starting``. For a later
    /// attempt at the same delivery only the start of a worker counts: what it waited before is the trigger's backoff.
    public var queued: TimeSpan
    public var startTier: StartTier
    /// The part of its wait in which its worker was being started; zero unless ``startTier`` is `cold`.
    public var starting: TimeSpan
    /// From its dispatch to its outcome; of a streamed answer that is under way, to the answer's first part.
    public var running: TimeSpan
    /// From its outcome until that was durable; nil while it is not, and zero where nothing had to be written.
    public var committing: TimeSpan?
    /// Behind what it ran.
    public var isolation = WorkerIsolation()
    /// What it was denied there.
    public var denials: [Denial] = []

    public init(
        queued: TimeSpan = .zero, startTier: StartTier = .ready, starting: TimeSpan = .zero, running: TimeSpan = .zero,
        committing: TimeSpan? = nil
    ) {
        self.queued = queued
        self.startTier = startTier
        self.starting = starting
        self.running = running
        self.committing = committing
    }

    /// From its arrival to its outcome.
    public var total: TimeSpan {
        TimeSpan(
            microseconds: self.queued.microseconds &+ self.starting.microseconds &+ self.running.microseconds)
    }

    /// - Parameters:
    ///   - arrived: when what the attempt runs came to be.
    ///   - started: when its worker was ordered; `ready` when it was ready.
    ///   - ended: its outcome.
    @inline(__always)
    init(
        arrived: Timestamp, dispatched: Timestamp, ended: Timestamp, started: Timestamp, ready: Timestamp, isWoken: Bool
    ) {
        let isCold = ready > arrived
        let starting = isCold ? max(.zero, ready - max(arrived, started)) : .zero
        self.init(
            queued: max(.zero, dispatched - (arrived + starting)),
            startTier: isCold ? .cold : isWoken ? .woken : .ready,
            starting: starting, running: max(.zero, ended - dispatched))
    }
}
