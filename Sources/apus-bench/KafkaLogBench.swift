internal import ApusCore
internal import ApusLog
internal import ApusLoop
internal import BenchFloors
internal import Glibc
internal import Synchronization

/// The log on Kafka beside librdkafka alone: `apus-bench log --kafka host:port`.
///
/// One topic of four partitions is filled through the log; then, in turn, librdkafka in C consumes it all, and the log reads it all as
/// a trigger that starts from the beginning would: a thread for each partition, records as event blocks.
enum KafkaLogBench {
    private static let partitions = 4
    private static let batch = 500

    static func run(_ options: BenchOptions, bootstrap: String) throws -> BenchReport {
        let records = try options.number("records", default: 200_000)
        let block = EventBlock.encode(LogBench.event(bytes: try options.number("bytes", default: 1_024)))
        let prefix = "bench-\(getpid())."
        guard let topic = TopicName(onLog: "events") else { throw BenchFailure("no topic") }
        var append = Figure("kafka_append_rate", unit: "1/s")
        var consume = Figure("kafka_consume_rate", unit: "1/s")
        let writer = try Self.open(bootstrap, prefix)
        defer { writer.close() }
        try writer.createTopic(topic, TopicConfiguration(partitions: partitions))
        defer { try? writer.deleteTopic(topic) }
        append.add(try Self.fill(writer, topic, block, records))
        for _ in 0..<options.rounds {
            let floor = kafka_floor_consume(bootstrap, prefix + topic.onLog, CInt(partitions), records)
            guard floor > 0 else { throw BenchFailure("the floor of librdkafka failed") }
            consume.add(try Self.consume(bootstrap, prefix, topic, records), floor: Double(records) / floor)
        }
        return BenchReport("log", [append, consume])
    }

    private static func open(_ bootstrap: String, _ prefix: String) throws -> KafkaLog {
        var configuration = KafkaLogConfiguration(bootstrap: bootstrap)
        configuration.cluster = "bench-\(getpid())"
        configuration.topicPrefix = prefix
        let clock = SystemClock()
        return try KafkaLog(configuration) { clock.now }
    }

    private static func fill(_ log: KafkaLog, _ topic: TopicName, _ block: [UInt8], _ records: Int) throws -> Double {
        let appends = (0..<batch).map { LogBatch.Append(topic: topic, partition: $0 % partitions, block: block) }
        let rate = try LogBench.flood(
            log, [LogBatch(urgency: .producer, appends: appends)], count: records / batch, window: 8)
        return rate * Double(batch)
    }

    private static func consume(_ bootstrap: String, _ prefix: String, _ topic: TopicName, _ records: Int) throws
        -> Double
    {
        // A log that has nothing of it in memory yet.
        let log = try Self.open(bootstrap, prefix)
        defer { log.close() }
        let progress = Progress()
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
        var next: Offset = 0
        var sum: UInt64 = 0
        while next < end {
            var count = 0
            next = try log.read(place, from: next, maxRecords: batch, maxBytes: .max) { _, bytes in
                sum &+= bytes.loadUnaligned(as: UInt64.self)
                count += 1
                return true
            }
            progress.found.add(count, ordering: .relaxed)
            progress.start.withLock { $0 = $0 ?? seconds() }
        }
        withExtendedLifetime(sum) {}
    }
}
