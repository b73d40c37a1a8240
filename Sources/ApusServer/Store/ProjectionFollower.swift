internal import ApusCore
internal import ApusLoop
internal import ApusStore
internal import ApusTelemetry
internal import Synchronization

/// Keeps the projection up to the log and answers queries from it, all on the store thread.
///
/// A commit tells which partitions grew; each is read until its end in bounded steps. A caller that must see what it wrote waits
/// for a place, within a bound that a timer on `loop` keeps.
final class ProjectionFollower: Sendable {
    private let log: any EventLog
    private let thread: WorkThread
    private let journal: Log
    private let loop: EventLoop
    private let clock = SystemClock()
    // SAFETY: touched on the store thread only.
    nonisolated(unsafe) private let projection: Projection
    // SAFETY: touched on the store thread only.
    nonisolated(unsafe) private var waiters: [Waiter] = []
    // SAFETY: touched on `loop` only.
    nonisolated(unsafe) private var timer: LoopTimer?
    /// Nobody may wait any more.
    private let isEnding = Atomic(false)
    /// Topics to be followed that the store thread has not looked at yet.
    private let wanted = Mutex<Set<TopicName>>([])
    /// Topics that are going, likewise.
    private let unwanted = Mutex<Set<TopicName>>([])
    /// Where the catalogue stands: queries show nothing of `apus.control` that it does not hold yet, so that whoever waits for the one
    /// has waited for the other.
    private let limit = Mutex<(@Sendable () -> Offset)?>(nil)
    /// Those who wait for invocations to end.
    let waits: InvocationWaits
    private let lastFailure = Mutex<String?>(nil)
    /// Told of requests to cancel, on the store thread; nil where whoever writes one tells the shard itself.
    let onCancelRequest = Mutex<(@Sendable (String) -> Void)?>(nil)
    /// Told of answers to questions, likewise.
    let onAnswers = Mutex<(@Sendable (QuestionAnswer) -> Void)?>(nil)
    // SAFETY: touched on the store thread only.
    nonisolated(unsafe) private var followed: [TopicName: FollowToken] = [:]
    /// Partitions with a catch-up already queued, so that a burst of commits queues one.
    private let queued = Mutex<Set<TopicPartition>>([])

    private struct Waiter {
        var place: RecordPlace
        var deadline: Timestamp
        var completion: @Sendable (ApusError?) -> Void
    }

    init(log: any EventLog, thread: WorkThread, projection: Projection, loop: EventLoop, journal: Log) {
        self.log = log
        self.loop = loop
        self.thread = thread
        self.journal = journal
        self.projection = projection
        self.waits = InvocationWaits(thread: thread, loop: loop)
    }

    /// Lets queries show no record of `apus.control` from that offset on. Before anything is followed.
    func limitControl(_ limit: @escaping @Sendable () -> Offset) { self.limit.withLock { $0 = limit } }

    /// The catalogue has come further. From any thread.
    func controlWasFollowed() { self.enqueue(TopicPartition(.control, 0)) }

    /// Why the projection does not come along; nil while it does. From any thread.
    var failure: String? { self.lastFailure.withLock { $0 } }

    /// Follows topics from where the projection stands, soon. From any thread; a full queue loses nothing, since whatever the store
    /// thread does for the follower next takes them up.
    func follow(_ topics: some Sequence<TopicName>) {
        self.wanted.withLock { $0.formUnion(topics) }
        self.thread.run { self.takeUp() }
    }

    /// Follows a topic no longer, and forgets how far it was followed: a topic that is deleted may come again as another one. From
    /// a thread that may wait for the store thread.
    func forget(_ topic: TopicName) {
        self.wanted.withLock { _ = $0.remove(topic) }
        self.unwanted.withLock { _ = $0.insert(topic) }
        let done = ResultSlot<Bool>()
        let isQueued = self.thread.run {
            self.takeUp()
            done.fill(true)
        }
        if isQueued { _ = done.take() }
    }

    private func drop(_ topic: TopicName) {
        if let token = self.followed.removeValue(forKey: topic) { self.log.unfollow(token) }
        do throws(ApusError) { try self.projection.forget(topic) } catch {
            self.journal.error("the projection cannot forget \(topic): \(error.message)")
        }
        self.answer(nil) { $0.place.partition.topic == topic }
    }

    /// On the store thread.
    private func takeUp() {
        let gone = self.unwanted.withLock { unwanted in
            defer { unwanted = [] }
            return unwanted
        }
        for topic in gone { self.drop(topic) }
        let topics = self.wanted.withLock { wanted in
            defer { wanted = [] }
            return wanted
        }
        for topic in topics.sorted() { self.follow(topic) }
    }

    private func follow(_ topic: TopicName) {
        guard self.followed[topic] == nil, let configuration = self.log.topic(topic) else { return }
        self.followed[topic] = self.log.follow(topic) { [weak self] partition, _ in
            self?.enqueue(TopicPartition(topic, partition))
        }
        for partition in 0..<configuration.partitions { self.catchUp(TopicPartition(topic, partition)) }
    }

    /// Runs a query. On the store thread.
    func query<Result>(_ body: (Projection) throws(ApusError) -> Result) throws(ApusError) -> Result {
        try body(self.projection)
    }

    /// Waits until the projection has passed a record.
    ///
    /// A topic that the projection does not follow is not waited for: nothing that queries show comes from it.
    /// - Parameter completion: called exactly once, on the store thread or before this method returns: with nil once it was passed,
    ///   `offset_out_of_range` when the log has no such record yet, `overloaded`, `shutting_down`, or `expired` after
    ///   ``Limits/Server/projectionWaitMilliseconds``.
    func whenPassed(_ place: RecordPlace, _ completion: @escaping @Sendable (ApusError?) -> Void) {
        let isQueued = self.thread.run {
            self.takeUp()
            guard self.followed[place.partition.topic] != nil else { return completion(nil) }
            self.wait(for: place, completion)
        }
        if !isQueued { completion(ApusError(.overloaded, "too many queries wait: try again in a moment")) }
    }

    /// What was decided about a dead letter, once the projection has passed a place. From a thread that may block, never from the
    /// store thread.
    func fate(of id: DeadLetterID, after place: RecordPlace?) throws(ApusError) -> ControlRecord.DeadLetterFate? {
        if let place {
            let passed = ResultSlot<ApusError?>()
            self.whenPassed(place) { passed.fill($0) }
            if let error = passed.take() { throw error }
        }
        return try self.queryAndWait { (projection) throws(ApusError) in try projection.fate(of: id) }
    }

    /// Runs a query on the store thread and waits for it. From a thread that may block, never from the store thread.
    func queryAndWait<Value: Sendable>(
        _ body: @escaping @Sendable (Projection) throws(ApusError) -> Value
    ) throws(ApusError) -> Value {
        let slot = ResultSlot<Result<Value, ApusError>>()
        let isQueued = self.thread.run {
            let result: Result<Value, ApusError>
            do throws(ApusError) { result = .success(try self.query(body)) } catch { result = .failure(error) }
            slot.fill(result)
        }
        guard isQueued else { throw ApusError(.overloaded, "too many queries wait: try again in a moment") }
        return try slot.take().get()
    }

    private func enqueue(_ place: TopicPartition) {
        let isNew = self.queued.withLock { $0.insert(place).inserted }
        guard isNew else { return }
        let isQueued = self.thread.run {
            _ = self.queued.withLock { $0.remove(place) }
            self.takeUp()
            self.catchUp(place)
        }
        // A full queue loses nothing: the next growth or query asks again.
        if !isQueued { _ = self.queued.withLock { $0.remove(place) } }
    }

    /// Takes in what a partition holds. On the store thread.
    func catchUp(_ place: TopicPartition) {
        guard self.followed[place.topic] != nil else { return }
        do {
            var isBehind = true
            while isBehind {
                var bounds = try self.log.bounds(of: place)
                if let limit = self.limit.withLock({ $0 }), place.topic == .control {
                    bounds.end = min(bounds.end, max(bounds.start, limit()))
                }
                let start = max(self.projection.position(of: place), bounds.start)
                guard start < bounds.end else { break }
                var records: [(offset: Offset, event: Event)] = []
                let reached = try self.log.read(
                    place, from: start, maxRecords: Limits.Server.recordsPerFollow, maxBytes: Limits.Server.bytesPerRead
                ) { offset, block in
                    // Every record was checked when it was appended; one that cannot be read is passed over and counted.
                    guard offset < bounds.end else { return false }
                    if let event = try? EventBlock.decode(block.bytes) { records.append((offset, event)) }
                    return true
                }
                let next = min(reached, bounds.end)
                // What is known to be there and has not come yet comes with the next news of it.
                guard next > start else { break }
                try self.projection.apply(place, records, next: next)
                isBehind = next < bounds.end
                let ended = self.projection.takeEndedInvocations()
                if !ended.isEmpty { self.waits.ended(ended) }
                let changed = self.projection.takeChangedInvocations()
                if !changed.isEmpty { self.waits.changed(changed) }
                let asked = self.projection.takeCancelRequests()
                let answers = self.projection.takeAnswerRequests()
                if !answers.isEmpty, let onAnswers = self.onAnswers.withLock({ $0 }) {
                    answers.forEach(onAnswers)
                }
                if !asked.isEmpty, let onCancel = self.onCancelRequest.withLock({ $0 }) { asked.forEach(onCancel) }
            }
            self.lastFailure.withLock { $0 = nil }
        } catch {
            let failure = "\(place): \(error)"
            let isNew = self.lastFailure.withLock { last in
                defer { last = failure }
                return last != failure
            }
            if isNew { self.journal.error("the projection cannot follow \(failure)") }
        }
        self.wake()
    }

    private func wake() {
        self.answer(nil) { self.projection.position(of: $0.place.partition) > $0.place.offset }
    }

    private func wait(for place: RecordPlace, _ completion: @escaping @Sendable (ApusError?) -> Void) {
        let bounds: OffsetBounds
        do throws(ApusError) {
            bounds = try self.log.bounds(of: place.partition)
            // On a log of several nodes it may be there and not have come to this one.
            guard place.offset < bounds.end || self.log.sharing != nil else {
                throw ApusError(
                    .offsetOutOfRange,
                    "\(place.partition) ends at \(bounds.end): there is no record \(place.offset) to wait for")
            }
        } catch { return completion(error) }
        self.catchUp(place.partition)
        // What is no longer on the log is not going to be shown either.
        if place.offset < bounds.start { return completion(nil) }
        if self.projection.position(of: place.partition) > place.offset { return completion(nil) }
        guard !self.isEnding.load(ordering: .acquiring) else { return completion(Self.stopping) }
        guard self.waiters.count < Limits.Server.projectionWaiters else {
            return completion(ApusError(.overloaded, "too many queries wait for the projection: try again in a moment"))
        }
        if self.waiters.isEmpty { self.loop.post { self.startTimer() } }
        let deadline = self.clock.now + .milliseconds(Limits.Server.projectionWaitMilliseconds)
        self.waiters.append(Waiter(place: place, deadline: deadline, completion: completion))
    }

    private static let stopping = ApusError(.shuttingDown, "the server is stopping: try again when it is back")

    /// Answers those of the waiting that are meant, and stops the timer when nobody waits any more. On the store thread.
    private func answer(_ error: ApusError?, _ isMeant: (Waiter) -> Bool) {
        guard !self.waiters.isEmpty else { return }
        let answered = self.waiters.filter(isMeant)
        self.waiters.removeAll(where: isMeant)
        if self.waiters.isEmpty { self.loop.post { self.stopTimer() } }
        for waiter in answered { waiter.completion(error) }
    }

    private func startTimer() {
        guard self.timer == nil else { return }
        let step = Limits.Server.projectionSweepMilliseconds
        // A full queue only puts the answer off to the next time.
        let timer = LoopTimer(self.loop) { [thread = self.thread, weak self] in
            thread.run { [weak self] in self?.expire() }
        }
        timer.start(milliseconds: step, repeating: step)
        self.timer = timer
    }

    private func stopTimer() {
        self.timer?.close()
        self.timer = nil
    }

    private func expire() {
        let now = self.clock.now
        // What can be shown by now is no failure.
        for partition in Set(self.waiters.filter { $0.deadline <= now }.map(\.place.partition)) {
            self.catchUp(partition)
        }
        let seconds = Limits.Server.projectionWaitMilliseconds / 1_000
        self.answer(
            ApusError(.expired, "the projection did not pass the position asked for within \(seconds) s: try again")
        ) { $0.deadline <= now }
    }

    /// Answers those who wait, now and from now on, with `shutting_down`. From any thread, while the store thread runs.
    func endWaiting() {
        self.isEnding.store(true, ordering: .releasing)
        self.thread.run {
            self.answer(Self.stopping) { _ in true }
            self.waits.stop()
        }
    }

    /// Ends following. On the store thread.
    func stop() {
        self.isEnding.store(true, ordering: .releasing)
        self.answer(Self.stopping) { _ in true }
        self.waits.stop()
        for token in self.followed.values { self.log.unfollow(token) }
        self.followed = [:]
    }
}
