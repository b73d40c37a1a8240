internal import ApusCore
internal import CRDKafka
internal import Synchronization

/// The thread that changes topics, one change at a time, and between the changes looks after them: discards, retention, topics that
/// others made.
final class KafkaKeeper: @unchecked Sendable {
    // SAFETY: what changes is the thread's alone, or behind a mutex.

    private struct Inbox {
        var works: Deque<@Sendable () -> Void> = Deque()
        var discards: [TopicPartition: Offset] = [:]
        var isClosing = false
    }

    private let inbox = Monitor(Inbox())
    private let thread = Mutex<LogThread?>(nil)
    private let topics: KafkaTopics
    private let admin: KafkaAdmin
    private let catchUp: CatchUp
    private let keys: KeyStore?
    private let interval: TimeSpan
    private let clock: @Sendable () -> Timestamp
    private let refresh: @Sendable () -> Void
    private var nextTick: Int64 = 0
    private var nextRefresh: Int64 = 0

    /// - Parameter refresh: looks for topics that others made; called on the thread.
    init(
        _ configuration: KafkaLogConfiguration, topics: KafkaTopics, admin: KafkaAdmin, catchUp: CatchUp,
        keys: KeyStore?,
        clock: @escaping @Sendable () -> Timestamp, refresh: @escaping @Sendable () -> Void
    ) {
        self.topics = topics
        self.admin = admin
        self.catchUp = catchUp
        self.keys = keys
        self.interval = configuration.maintenanceInterval
        self.clock = clock
        self.refresh = refresh
    }

    func start() throws(ApusError) {
        self.nextRefresh = LogWriter.monotonicMilliseconds() + Limits.Kafka.maintenanceInterval.milliseconds
        let thread = try LogThread { [unowned self] in self.run() }
        self.thread.withLock { $0 = thread }
    }

    func close() {
        self.inbox.withLock { $0.isClosing = true }
        self.inbox.signal()
        self.thread.join()
    }

    /// Runs `work` on the thread and waits for it. Not from the log's own callbacks.
    func perform(_ work: @escaping @Sendable () -> Result<Void, ApusError>) throws(ApusError) {
        let reply = Monitor<Result<Void, ApusError>?>(nil)
        let isQueued = self.inbox.withLock { inbox in
            if inbox.isClosing { return false }
            inbox.works.append {
                let answer = work()
                reply.withLock { $0 = answer }
                reply.signal()
            }
            return true
        }
        guard isQueued else { throw ApusError(.shuttingDown, "the event log is closing") }
        self.inbox.signal()
        // The thread answers everything that it takes, also while closing.
        guard let answer = reply.take(within: nil, { $0 }) else { return }
        try answer.get()
    }

    func discard(_ place: TopicPartition, before offset: Offset) {
        self.inbox.withLock { inbox in
            guard !inbox.isClosing else { return }
            inbox.discards[place] = max(offset, inbox.discards[place] ?? 0)
        }
        self.inbox.signal()
    }

    // MARK: the thread

    private enum Order {
        case work(@Sendable () -> Void)
        case discard([TopicPartition: Offset])
        case end
    }

    private func run() {
        while true {
            let wait = max(0, self.nextTick - LogWriter.monotonicMilliseconds())
            let order = self.inbox.take(within: Int(clamping: wait)) { inbox -> Order? in
                if let work = inbox.works.popFirst() { return .work(work) }
                if !inbox.discards.isEmpty {
                    defer { inbox.discards = [:] }
                    return .discard(inbox.discards)
                }
                return inbox.isClosing ? .end : nil
            }
            switch order {
            case .work(let work): work()
            case .discard(let discards): self.discard(discards)
            case .end: return
            case nil: break
            }
            guard LogWriter.monotonicMilliseconds() >= self.nextTick else { continue }
            self.admin.client.serve()
            self.catchUp.look()
            self.keys?.forget()
            for topic in self.topics.all where topic.isOwn && !self.inbox.withLock({ $0.isClosing }) { self.retain(topic) }
            if LogWriter.monotonicMilliseconds() >= self.nextRefresh {
                self.nextRefresh = LogWriter.monotonicMilliseconds() + Limits.Kafka.maintenanceInterval.milliseconds
                self.refresh()
            }
            self.nextTick = LogWriter.monotonicMilliseconds() + max(1, self.interval.milliseconds)
        }
    }

    private func discard(_ discards: [TopicPartition: Offset]) {
        var known: [(KafkaPartition, Offset)] = []
        for (place, offset) in discards {
            // What is not there is no error.
            guard let partition = try? self.topics.partition(place) else { continue }
            known.append((partition, offset))
        }
        for (partition, offset) in known { self.delete(partition, before: offset) }
    }

    /// What cannot be deleted now is tried again with the next discard or look: nothing depends on when it goes.
    private func delete(_ partition: KafkaPartition, before offset: Offset) {
        do throws(KafkaFailure) {
            let bounds = try self.catchUp.client().bounds(of: partition.onKafka, partition.number)
            let offset = min(offset, bounds.end)
            guard offset > bounds.start else { return }
            try self.admin.deleteRecords(before: [(partition.onKafka, partition.number, offset)])
            partition.starts(at: offset)
            partition.dropSpans(before: offset)
        } catch {
            self.note(error, "delete records of \(partition.place)")
        }
    }

    // MARK: retention

    private func retain(_ topic: KafkaTopic) {
        if let time = topic.configuration.retentionTime {
            let cutoff = Timestamp(microseconds: self.clock().microseconds - time.microseconds)
            if cutoff > .zero { for partition in topic.partitions { self.retain(partition, since: cutoff) } }
        }
        guard let bound = topic.configuration.retentionBytes else { return }
        var goes: [Int: Offset] = [:]
        while topic.partitions.reduce(0, { $0 + $1.knownBytes }) > bound {
            let oldest = topic.partitions.compactMap { partition in partition.oldestSpan.map { (partition, $0.time) } }
                .min { $0.1 < $1.1 }?.0
            guard let oldest, let next = oldest.dropOldestSpan() else { break }
            goes[oldest.number] = next
        }
        for (number, offset) in goes { self.delete(topic.partitions[number], before: offset) }
    }

    /// Kafka deletes whole segments, when it comes to it; here what is too old goes by the record.
    private func retain(_ partition: KafkaPartition, since cutoff: Timestamp) {
        do throws(KafkaFailure) {
            let client = try self.catchUp.client()
            let bounds = partition.heard(try client.bounds(of: partition.onKafka, partition.number))
            guard bounds.start < bounds.end else { return }
            let keeps = try client.offset(of: partition.onKafka, partition.number, at: cutoff.milliseconds)
            let offset = keeps ?? bounds.end
            if offset > bounds.start { self.delete(partition, before: offset) }
        } catch {
            self.note(error, "see to the retention of \(partition.place)")
        }
    }

    private func note(_ failure: KafkaFailure, _ what: String) {
        let context = self.admin.client.context
        context.observer.log(4, context.name, "cannot \(what): \(failure)")
    }
}
