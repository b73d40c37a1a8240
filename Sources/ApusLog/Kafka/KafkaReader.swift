internal import ApusCore
internal import CRDKafka
internal import CKafkaShims
internal import CShims
internal import Glibc
internal import Synchronization

/// The one consumer of this node that reads what is appended to the topics somebody follows, on a thread of its own, which sleeps until
/// librdkafka or a caller writes to its descriptor.
///
/// A partition that holds too much unread is stopped and started again at the place this log knows, never paused: librdkafka 2.0.2
/// loses or repeats messages of a batch that meets a pause.
final class KafkaReader: @unchecked Sendable {
    // SAFETY: `reads` and `resting` are the thread's alone; the rest is constant or behind a mutex.

    private struct Inbox {
        var follow: [KafkaTopic] = []
        var unfollow: [KafkaTopic] = []
        var resume: [KafkaPartition] = []
        var told: [KafkaPartition] = []
        var isClosing = false
        /// The thread was woken and has not looked yet.
        var isWoken = false
    }

    private struct Key: Hashable {
        var topic: OpaquePointer
        var partition: Int32
    }

    private let client: KafkaClient
    private let queue: OpaquePointer
    private let descriptor: CInt
    private let cache: RecordCache
    private let catchUp: CatchUp
    private let followers: Followers
    private let unreadRecords: Int
    private let unreadBytes: Int
    private let inbox = Mutex(Inbox())
    private let thread = Mutex<LogThread?>(nil)
    private var reads: [Key: KafkaPartition] = [:]
    /// To be started again once the queue is empty: nothing of the time before may be left in it then.
    private var resting: [KafkaPartition] = []
    let counters = Counters()

    final class Counters: Sendable {
        let records = Atomic<Int64>(0)
        let bytes = Atomic<Int64>(0)
        let holds = Atomic<Int64>(0)
        let repeated = Atomic<Int64>(0)
    }

    init(
        _ configuration: KafkaLogConfiguration, _ cache: RecordCache, _ followers: Followers, _ catchUp: CatchUp
    ) throws(KafkaFailure) {
        self.client = try KafkaClient(
            configuration,
            .consumer(
                waitMilliseconds: Limits.Kafka.newsMilliseconds, aheadKibibytes: Limits.Kafka.newsAheadKibibytes),
            name: "reader")
        self.catchUp = catchUp
        guard let queue = rd_kafka_queue_new(self.client.pointer) else {
            throw KafkaFailure(RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "make a queue")
        }
        self.queue = queue
        self.descriptor = apus_kafka_event_descriptor()
        guard self.descriptor >= 0 else {
            throw KafkaFailure(RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "make an event descriptor")
        }
        self.cache = cache
        self.followers = followers
        self.unreadRecords = configuration.unreadRecords
        self.unreadBytes = configuration.unreadBytes
        var one: UInt64 = 1
        rd_kafka_queue_io_event_enable(self.queue, self.descriptor, &one, 8)
        let main = rd_kafka_queue_get_main(self.client.pointer)
        rd_kafka_queue_io_event_enable(main, self.descriptor, &one, 8)
        rd_kafka_queue_destroy(main)
    }

    deinit {
        // The client lives a little longer, and must not write to whoever gets the descriptor's number next.
        let main = rd_kafka_queue_get_main(self.client.pointer)
        rd_kafka_queue_io_event_enable(main, -1, nil, 0)
        rd_kafka_queue_destroy(main)
        rd_kafka_queue_io_event_enable(self.queue, -1, nil, 0)
        rd_kafka_queue_destroy(self.queue)
        Glibc.close(self.descriptor)
    }

    func start() throws(ApusError) {
        let thread = try LogThread { [unowned self] in self.run() }
        self.thread.withLock { $0 = thread }
    }

    func close() {
        self.ask { $0.isClosing = true }
        self.thread.join()
    }

    // MARK: from every thread

    func follow(_ topic: KafkaTopic) { self.ask { $0.follow.append(topic) } }
    func unfollow(_ topic: KafkaTopic) { self.ask { $0.unfollow.append(topic) } }
    /// Enough was read of a partition that was held.
    func resume(_ partition: KafkaPartition) { self.ask { $0.resume.append(partition) } }
    /// Followers may hear of what has been read already.
    func tell(_ partition: KafkaPartition) { self.ask { $0.told.append(partition) } }

    private func ask(_ change: (inout Inbox) -> Void) {
        let mustWake = self.inbox.withLock { inbox in
            change(&inbox)
            defer { inbox.isWoken = true }
            return !inbox.isWoken
        }
        if mustWake {
            var one: UInt64 = 1
            _ = Glibc.write(self.descriptor, &one, 8)
        }
    }

    // MARK: the thread

    private func run() {
        while true {
            var interest = pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)
            poll(&interest, 1, -1)
            var count: UInt64 = 0
            _ = Glibc.read(self.descriptor, &count, 8)
            var isEmpty = false
            while !isEmpty {
                let asked = self.inbox.withLock { inbox in
                    defer { inbox = Inbox(isClosing: inbox.isClosing) }
                    return inbox
                }
                if asked.isClosing { return self.end() }
                for topic in asked.unfollow { self.stop(topic) }
                for topic in asked.follow { self.begin(topic) }
                for partition in asked.told { self.notify(partition) }
                self.resting += asked.resume
                self.client.serve()
                isEmpty = self.takeRound()
                if isEmpty, !self.resting.isEmpty { self.goOn() }
            }
        }
    }

    /// - Returns: whether nothing is left in the queue.
    private func takeRound() -> Bool {
        for _ in 0..<Limits.Kafka.batchesPerRound {
            let count = withUnsafeTemporaryAllocation(
                of: UnsafeMutablePointer<rd_kafka_message_t>?.self, capacity: Limits.Kafka.messagesPerBatch
            ) { buffer in
                let count = max(0, rd_kafka_consume_batch_queue(self.queue, 0, buffer.baseAddress, buffer.count))
                self.take(UnsafeBufferPointer(rebasing: buffer[..<count]))
                return count
            }
            if count == 0 { return true }
        }
        return false
    }

    private func take(_ messages: UnsafeBufferPointer<UnsafeMutablePointer<rd_kafka_message_t>?>) {
        var builders: [(partition: KafkaPartition, chunk: ChunkBuilder)] = []
        var last: (key: Key, index: Int)?
        for case let message? in messages {
            defer { rd_kafka_message_destroy(message) }
            guard let topic = message.pointee.rkt else { continue }
            let key = Key(topic: topic, partition: message.pointee.partition)
            if last?.key != key {
                // What is no longer read, or was stopped, is dropped: it is read again from where this log stands.
                guard let partition = self.reads[key], let next = partition.readingNext else { continue }
                let known = builders.firstIndex { $0.partition === partition }
                if known == nil { builders.append((partition, ChunkBuilder(first: next, expected: messages.count))) }
                last = (key, known ?? builders.count - 1)
            }
            guard let index = last?.index else { continue }
            self.take(message, builders[index].partition, &builders[index].chunk)
        }
        for builder in builders { self.finish(builder.partition, builder.chunk) }
    }

    private func take(
        _ message: UnsafeMutablePointer<rd_kafka_message_t>, _ partition: KafkaPartition, _ chunk: inout ChunkBuilder
    ) {
        switch message.pointee.err {
        case RD_KAFKA_RESP_ERR_NO_ERROR:
            guard message.pointee.offset >= chunk.next else {
                self.counters.repeated.add(1, ordering: .relaxed)
                return
            }
            chunk.append(message.pointee.offset) {
                KafkaRecord.append(message, topic: partition.onKafka, self.client.structured, to: $0)
            }
        case RD_KAFKA_RESP_ERR__PARTITION_EOF: chunk.pass(to: message.pointee.offset)
        default:
            let text = "read \(partition.place): \(String(cString: rd_kafka_err2str(message.pointee.err)))"
            self.client.context.observer.log(4, self.client.context.name, text)
        }
    }

    private func finish(_ partition: KafkaPartition, _ builder: ChunkBuilder) {
        guard builder.next > builder.first else { return }
        let chunk = builder.finish()
        let (change, unread) = partition.took(chunk)
        self.cache.note(change, of: partition)
        self.counters.records.add(Int64(chunk.count), ordering: .relaxed)
        self.counters.bytes.add(Int64(chunk.byteCount), ordering: .relaxed)
        self.notify(partition)
        guard unread.records > self.unreadRecords || unread.bytes > self.unreadBytes else { return }
        partition.hold()
        self.counters.holds.add(1, ordering: .relaxed)
        self.stop(partition)
    }

    private func notify(_ partition: KafkaPartition) {
        guard let end = partition.growth() else { return }
        self.followers.notify(partition.topic, partition: partition.number, end: end)
    }

    // MARK: beginning and stopping

    private func begin(_ topic: KafkaTopic) {
        for partition in topic.partitions where partition.isFollowed && !partition.isWanted.load(ordering: .relaxed) {
            self.resting.removeAll { $0 === partition }
            partition.endReading()
            self.stop(partition)
        }
        for partition in topic.partitions where !partition.isFollowed && partition.isWanted.load(ordering: .relaxed) {
            do throws(KafkaFailure) {
                let bounds = try self.catchUp.client().bounds(of: topic.onKafka, partition.number)
                partition.begin(at: partition.heard(bounds))
                try self.start(partition)
                // What was appended between the call and the question is found by who hears of this.
                self.notify(partition)
            } catch {
                partition.endReading()
                self.client.context.observer.log(
                    3, self.client.context.name, "cannot follow \(partition.place): \(error)")
            }
        }
    }

    private func start(_ partition: KafkaPartition) throws(KafkaFailure) {
        guard let next = partition.goOn() else { return }
        let topic = try self.client.topic(partition.onKafka)
        guard rd_kafka_consume_start_queue(topic, Int32(partition.number), next, self.queue) == 0 else {
            throw KafkaFailure(rd_kafka_last_error(), "read \(partition.place) from \(next)")
        }
        self.reads[Key(topic: topic, partition: Int32(partition.number))] = partition
    }

    private func stop(_ partition: KafkaPartition) {
        guard let topic = try? self.client.topic(partition.onKafka) else { return }
        rd_kafka_consume_stop(topic, Int32(partition.number))
        self.reads[Key(topic: topic, partition: Int32(partition.number))] = nil
    }

    private func stop(_ topic: KafkaTopic) {
        self.resting.removeAll { resting in topic.partitions.contains { $0 === resting } }
        for partition in topic.partitions where partition.isFollowed {
            partition.endReading()
            self.stop(partition)
        }
    }

    /// The queue was seen empty: what was stopped may start again.
    private func goOn() {
        for partition in self.resting where partition.isFollowed {
            do throws(KafkaFailure) { try self.start(partition) } catch {
                partition.endReading()
                self.client.context.observer.log(
                    3, self.client.context.name, "cannot go on with \(partition.place): \(error)")
            }
        }
        self.resting = []
    }

    private func end() {
        for partition in self.reads.values { partition.endReading() }
        for key in self.reads.keys { rd_kafka_consume_stop(key.topic, key.partition) }
        self.reads = [:]
    }
}
