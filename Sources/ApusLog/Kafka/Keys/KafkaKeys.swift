internal import ApusCore
internal import CRDKafka

/// Idempotency and deduplication keys of a log on Kafka.
///
/// A batch that takes effect once writes its key and its answer to `apus.keys`, in its own transaction, on the partition of the share
/// that decided it: whoever takes the share over reads that partition first. Keys of settled events are in the log as it is, and their
/// owner finds them there again. ``KeyStore`` holds both for who decides.
final class KafkaKeys: Sendable {
    static let name = "apus.keys"

    let store: KeyStore
    private let partitions: [KafkaPartition]
    private let onKafka: String
    private let observer: KafkaObserver
    private let clock: @Sendable () -> Timestamp

    init(_ configuration: KafkaLogConfiguration, clock: @escaping @Sendable () -> Timestamp) throws(ApusError) {
        guard let folder = configuration.keysFolder, let name = TopicName(onLog: Self.name) else {
            throw ApusError(.internal, "no folder was given for the keys of the event log")
        }
        let onKafka = configuration.topicPrefix + Self.name
        self.store = try KeyStore(path: "\(folder)/kafka-keys.mdb", keysMax: configuration.keys, clock: clock)
        self.onKafka = onKafka
        self.observer = configuration.observer
        self.clock = clock
        self.partitions = (0..<Limits.Kafka.ledgerPartitions).map {
            KafkaPartition(name, onKafka, $0, isCompacted: false)
        }
    }

    static func partition(of share: Share?) -> Int { share?.number ?? KafkaLedger.ownPartition }

    // MARK: taking over

    /// Reads what took effect on a partition before, after its transactional id was taken over. What this node has read already stays.
    func load(_ number: Int, _ catchUp: CatchUp, _ admin: KafkaClient) throws(KafkaFailure) {
        let partition = self.partitions[number]
        let bounds = try admin.bounds(of: partition.onKafka, number)
        do throws(ApusError) {
            let known = try self.store.mark(Self.mark(number)) ?? 0
            // One beyond the end is of a topic that was deleted.
            var next = known > bounds.end ? bounds.start : max(known, bounds.start)
            let first = next
            while next < bounds.end {
                next = try self.loadSome(partition, from: next, to: bounds.end, catchUp)
            }
            if next > first {
                self.observer.log(6, Self.name, "partition \(number): read \(next - first) records of keys")
            }
        } catch {
            throw KafkaFailure(RD_KAFKA_RESP_ERR__FAIL, "read \(partition.place)", error.message)
        }
    }

    private func loadSome(
        _ partition: KafkaPartition, from start: Offset, to end: Offset, _ catchUp: CatchUp
    ) throws(ApusError) -> Offset {
        var found: [LogBatch.KeyWrite] = []
        let next: Offset
        do throws(KafkaFailure) {
            let chunk = try catchUp.with(partition, from: start) { (read) throws(KafkaFailure) in
                try read.chunk(
                    upTo: end, maxRecords: Limits.Kafka.messagesPerBatch, maxBytes: Limits.Kafka.catchUpBytes)
            }
            for index in 0..<chunk.count { chunk.lend(index) { if let key = Self.decode($0) { found.append(key) } } }
            next = chunk.next
        } catch { throw error.apusError("cannot read \(partition.place)") }
        try self.store.put(found, mark: (Self.mark(partition.number), next))
        return next
    }

    private static func mark(_ number: Int) -> String { "keys/\(number)" }

    private static func decode(_ block: UnsafeRawBufferPointer) -> LogBatch.KeyWrite? {
        guard let layout = try? EventLayout(parsing: block.bytes), let key = layout.key, !layout.isNull,
            key.count == Limits.logKeyBytes, layout.data.count >= KnownKey.headBytes
        else { return nil }
        let value = UnsafeRawBufferPointer(rebasing: block[layout.data])
        guard let keptUntil = KnownKey.keptUntil(value) else { return nil }
        return LogBatch.KeyWrite(
            key: Array(block[key]), value: Array(value[KnownKey.headBytes...]),
            keptUntil: Timestamp(microseconds: keptUntil))
    }

    // MARK: deciding

    /// Answers the batches of a group that took effect before.
    /// - Returns: what is to be written now, and repetitions that came with their first, for afterwards.
    func sift(_ group: [Submission]) -> (now: [Submission], later: [Submission]) {
        var keys: Set<[UInt8]> = []
        var (now, later): ([Submission], [Submission]) = ([], [])
        for submission in group {
            guard let once = submission.batch.once else {
                now.append(submission)
                continue
            }
            guard keys.insert(once.key).inserted else {
                later.append(submission)
                continue
            }
            do throws(ApusError) {
                let known = try self.store.values([once.key])[0].flatMap { OnceReceipt(decoding: $0) }
                if let known { submission.completion(known.answer(to: once)) } else { now.append(submission) }
            } catch { submission.completion(.failure(error)) }
        }
        return (now, later)
    }

    /// The keys of batches whose records have their offsets, for the same transaction.
    struct Writing {
        var keys: [LogBatch.KeyWrite] = []
        var first = 0
    }

    /// Queues the key and the answer of each batch that takes effect once.
    /// - Parameters:
    ///   - first: of the producer's numbers.
    ///   - places: where the records of each batch lie.
    func send(
        _ batches: [(once: LogBatch.Once?, places: [LogReceipt.Place])], _ first: Int, of share: Share?,
        by producer: KafkaProducer, _ time: Timestamp
    ) -> Writing {
        var writing = Writing(first: first)
        let most = self.clock() + Limits.Kafka.keysKept
        for (once, places) in batches {
            guard let once else { continue }
            let receipt = LogReceipt(places: places, timestamp: time)
            let value = OnceReceipt(fingerprint: once.fingerprint, receipt: receipt).encode()
            let keptUntil = min(once.keptUntil, most)
            producer.produce(
                first + writing.keys.count, key: once.key,
                value: KnownKey.encoded(value, keptUntil: keptUntil.microseconds), topic: self.onKafka,
                partition: Self.partition(of: share), time)
            writing.keys.append(LogBatch.KeyWrite(key: once.key, value: value, keptUntil: keptUntil))
        }
        return writing
    }

    /// What was written is durable: it is known here from now on. A failure is the store's state from then on.
    func remember(_ writing: Writing, of share: Share?, by producer: KafkaProducer) {
        guard !writing.keys.isEmpty else { return }
        let number = Self.partition(of: share)
        let end = producer.offset(writing.first + writing.keys.count - 1) + 1
        self.note { () throws(ApusError) in try self.store.put(writing.keys, mark: (Self.mark(number), end)) }
    }

    func remember(_ keys: [LogBatch.KeyWrite]) {
        self.note { () throws(ApusError) in try self.store.put(keys) }
    }

    private func note(_ body: () throws(ApusError) -> Void) {
        do throws(ApusError) { try body() } catch { self.observer.log(3, Self.name, error.message) }
    }
}
