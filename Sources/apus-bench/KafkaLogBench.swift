internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusLog
internal import ApusLoop
internal import BenchFloors
internal import Glibc
internal import Synchronization

/// The log on Kafka beside librdkafka alone: `apus-bench log --kafka host:port`.
///
/// One topic of four partitions is filled through the log; then, in turn, librdkafka in C consumes it all, and the log reads it all as
/// a trigger that starts from the beginning would: a thread for each partition, records as event blocks, each looked at for its key and
/// settled in a ledger.
enum KafkaLogBench {
    private static let partitions = 4

    static func run(_ options: BenchOptions, bootstrap: String) throws -> BenchReport {
        let records = try options.number("records", default: 200_000)
        let bytes = try options.number("bytes", default: 1_024)
        let prefix = "bench-\(getpid())."
        guard let topic = TopicName(onLog: "events") else { throw BenchFailure("no topic") }
        var append = Figure("kafka_append_rate", unit: "1/s")
        var consume = Figure("kafka_consume_rate", unit: "1/s")
        let writer = try Self.open(bootstrap, prefix)
        defer { writer.close() }
        try writer.createTopic(topic, TopicConfiguration(partitions: partitions))
        try writer.createTopic(Self.warming(), TopicConfiguration())
        defer {
            for topic in writer.topics() where !topic.isControl { try? writer.deleteTopic(topic) }
        }
        try EndToEndBench.fill(writer, Self.warming(), bytes: 1, records: 500)
        append.add(try EndToEndBench.fill(writer, topic, bytes: bytes, records: records))
        for _ in 0..<options.rounds {
            let floor = kafka_floor_consume(bootstrap, prefix + topic.onLog, CInt(partitions), records)
            guard floor > 0 else { throw BenchFailure("the floor of librdkafka failed") }
            consume.add(try Self.consume(bootstrap, prefix, topic, records), floor: Double(records) / floor)
        }
        return BenchReport("log", [append, consume])
    }

    private static func warming() throws -> TopicName {
        guard let topic = TopicName(onLog: "warming") else { throw BenchFailure("no topic") }
        return topic
    }

    private static func open(_ bootstrap: String, _ prefix: String) throws -> KafkaLog {
        var configuration = KafkaLogConfiguration(bootstrap: bootstrap)
        configuration.cluster = "bench-\(getpid())"
        configuration.topicPrefix = prefix
        let clock = SystemClock()
        return try KafkaLog(configuration) { clock.now }
    }

    private static func consume(_ bootstrap: String, _ prefix: String, _ topic: TopicName, _ records: Int) throws
        -> Double
    {
        // A log that has nothing of it in memory yet.
        let log = try Self.open(bootstrap, prefix)
        defer { log.close() }
        let progress = Progress()
        // The consumer that catches up is made and connected, as the floor's is before its first message.
        _ = try log.read(TopicPartition(Self.warming(), 0), from: 0, maxRecords: 1, maxBytes: .max) { _, _ in true }
        let threads = (0..<partitions).map { _ in WorkThread() }
        defer { for thread in threads { thread.stop() } }
        let slots = threads.indices.map { partition in
            let slot = ResultSlot<String?>()
            threads[partition].run {
                do {
                    try Self.read(log, TopicPartition(topic, partition), progress)
                    slot.fill(nil)
                } catch { slot.fill("\(error)") }
            }
            return slot
        }
        for slot in slots {
            if let failure = slot.take() { throw BenchFailure(failure) }
        }
        let end = seconds()
        guard let start = progress.start.withLock({ $0 }), progress.found.load(ordering: .relaxed) == records else {
            throw BenchFailure("\(progress.found.load(ordering: .relaxed)) of \(records) records were read")
        }
        return Double(records) / (end - start)
    }

    private final class Progress: Sendable {
        let found = Atomic<Int>(0)
        /// When the first records were there.
        let start = Mutex<Double?>(nil)
    }

    private static func read(_ log: KafkaLog, _ place: TopicPartition, _ progress: Progress) throws {
        let end = try log.bounds(of: place).end
        var bench = EngineBench(order: .key) { from, maxRecords, records in
            let next = try log.read(place, from: from, maxRecords: maxRecords, maxBytes: .max) { offset, bytes in
                var record = RecordSummary(offset: offset, keyHash: 0, bytes: bytes.count)
                if let key = (try? EventLayout(parsing: bytes.bytes))?.key {
                    record.keyHash = KeyHash.hash(UnsafeRawBufferPointer(rebasing: bytes[key]))
                }
                records.append(record)
                return true
            }
            progress.start.withLock { $0 = $0 ?? seconds() }
            return next
        }
        _ = try bench.run(Int(end), end: end)
        progress.found.add(Int(end), ordering: .relaxed)
    }
}
