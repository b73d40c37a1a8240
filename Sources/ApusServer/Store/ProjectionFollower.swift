internal import ApusCore
internal import ApusLoop
internal import ApusStore
internal import ApusTelemetry
internal import Synchronization

/// Keeps the projection up to the log and answers queries from it, all on the store thread.
///
/// A commit tells which partitions grew; each is read until its end in bounded steps. A caller that must see what it wrote waits
/// for a place.
final class ProjectionFollower: Sendable {
    private let log: any EventLog
    private let thread: WorkThread
    private let journal: Log
    // SAFETY: touched on the store thread only.
    nonisolated(unsafe) private let projection: Projection
    // SAFETY: touched on the store thread only.
    nonisolated(unsafe) private var waiters: [(place: TopicPartition, offset: Offset, run: () -> Void)] = []
    // SAFETY: touched on the store thread only.
    nonisolated(unsafe) private var followed: [TopicName: FollowToken] = [:]
    /// Partitions with a catch-up already queued, so that a burst of commits queues one.
    private let queued = Mutex<Set<TopicPartition>>([])

    init(log: any EventLog, thread: WorkThread, projection: Projection, journal: Log) {
        self.log = log
        self.thread = thread
        self.journal = journal
        self.projection = projection
    }

    /// Follows a topic from where the projection stands. On the store thread.
    func follow(_ topic: TopicName) {
        guard self.followed[topic] == nil, let configuration = self.log.topic(topic) else { return }
        self.followed[topic] = self.log.follow(topic) { [weak self] partition, _ in
            self?.enqueue(TopicPartition(topic, partition))
        }
        for partition in 0..<configuration.partitions { self.catchUp(TopicPartition(topic, partition)) }
    }

    /// Runs a query. On the store thread.
    func query<Result>(_ body: (Projection) throws(ApusError) -> Result) throws(ApusError) -> Result { try body(self.projection) }

    /// Runs `work` on the store thread once the projection has passed `offset`.
    /// - Returns: false when the thread has too much to do.
    func whenPassed(_ place: TopicPartition, _ offset: Offset, _ work: @escaping @Sendable () -> Void) -> Bool {
        self.thread.run {
            self.catchUp(place)
            if self.projection.position(of: place) > offset { return work() }
            self.waiters.append((place, offset, work))
        }
    }

    private func enqueue(_ place: TopicPartition) {
        let isNew = self.queued.withLock { $0.insert(place).inserted }
        guard isNew else { return }
        let isQueued = self.thread.run {
            _ = self.queued.withLock { $0.remove(place) }
            self.catchUp(place)
        }
        // A full queue loses nothing: the next growth or query asks again.
        if !isQueued { _ = self.queued.withLock { $0.remove(place) } }
    }

    private func catchUp(_ place: TopicPartition) {
        do {
            var isBehind = true
            while isBehind {
                let bounds = try self.log.bounds(of: place)
                let start = max(self.projection.position(of: place), bounds.start)
                guard start < bounds.end else { break }
                var records: [(offset: Offset, event: Event)] = []
                let next = try self.log.read(
                    place, from: start, maxRecords: Limits.Server.recordsPerFollow, maxBytes: Limits.Server.bytesPerRead
                ) { offset, block in
                    // Every record was checked when it was appended; one that cannot be read is passed over and counted.
                    if let event = try? EventBlock.decode(block.bytes) { records.append((offset, event)) }
                    return true
                }
                try self.projection.apply(place, records, next: next)
                isBehind = next < bounds.end
            }
        } catch {
            self.journal.error("the projection could not follow \(place): \(error)")
        }
        self.wake()
    }

    private func wake() {
        guard !self.waiters.isEmpty else { return }
        let ready = self.waiters.filter { self.projection.position(of: $0.place) > $0.offset }
        self.waiters.removeAll { self.projection.position(of: $0.place) > $0.offset }
        for waiter in ready { waiter.run() }
    }

    /// Ends following. On the store thread.
    func stop() {
        for token in self.followed.values { self.log.unfollow(token) }
        self.followed = [:]
    }
}
