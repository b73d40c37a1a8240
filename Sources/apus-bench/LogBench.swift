internal import ApusCore
internal import ApusLog
internal import ApusLoop
internal import ApusTestSupport
internal import BenchFloors
internal import Glibc
internal import Synchronization

/// Appends, reads and ledger writes through the log protocol beside raw LMDB in C.
///
/// `ledger_rate` is what the engine settles with no log under it, `ledger_rate_gaps` the same where a thousand offsets lie between two
/// records; `ledger_write_rate` is entries of the ledger made durable.
///
/// `--kafka` does the same on Kafka (``KafkaLogBench``).
enum LogBench {
    private static let partitions = 4
    private static let batch = 500
    private static let ledgerBytes = 256
    private static let ledgerKeys = 64
    private static let ledgerInFlight = 256

    static func run(_ options: BenchOptions) throws -> BenchReport {
        if let bootstrap = options.others["kafka"] { return try KafkaLogBench.run(options, bootstrap: bootstrap) }
        let records = try options.number("records", default: 200_000)
        let window = try options.number("window", default: 8)
        let durability = EmbeddedLogConfiguration.Durability(rawValue: options.others["durability"] ?? "fsync")
        guard let durability else { throw BenchFailure("--durability is fsync or process") }
        let block = EventBlock.encode(LogBench.event(bytes: try options.number("bytes", default: 1_024)))
        let entries = records / 4

        var append = Figure("append_rate", unit: "1/s")
        var serial = Figure("append_rate_one_in_flight", unit: "1/s")
        var read = Figure("read_rate", unit: "1/s")
        var place = Figure("place_rate", unit: "1/s")
        var writes = Figure("ledger_write_rate", unit: "1/s")
        var ledger = Figure("ledger_rate", unit: "1/s")
        var gaps = Figure("ledger_rate_gaps", unit: "1/s")
        for _ in 0..<options.rounds {
            let floor = try LogBench.measureFloor(options, block, records, entries, isSynced: durability == .fsync)
            let scratch = ScratchDirectory("bench-log", in: options.directory)
            let log = try LogBench.open(scratch.path, durability)
            defer { log.close() }
            append.add(try LogBench.append(log, block, records, window: window), floor: floor.append)
            read.add(try LogBench.read(log, records), floor: floor.read)
            place.add(try LogBench.readPlaces(log), floor: floor.read)
            writes.add(try LogBench.writeLedger(log, entries), floor: floor.ledger)
            ledger.add(1e9 / (try EngineBench.nanosecondsPerDelivery(count: records)))
            gaps.add(1e9 / (try EngineBench.nanosecondsPerDelivery(count: records, step: 1_000)))
            serial.add(try LogBench.append(log, block, records / 4, window: 1), floor: floor.append)
        }
        return BenchReport("log", [append, read, ledger, gaps, writes, serial, place])
    }

    static func event(bytes: Int) -> Event {
        Event(
            key: Array("customer-4711".utf8),
            attributes: [
                Attribute("id", "0123456789"), Attribute("source", "/bench", kind: .uriReference),
                Attribute("type", "bench.event"),
            ],
            data: Array(repeating: UInt8(ascii: "x"), count: bytes)
        )
    }

    private static let topic = TopicName(onLog: "bench")

    private static func open(_ path: String, _ durability: EmbeddedLogConfiguration.Durability) throws -> EmbeddedLog {
        var configuration = EmbeddedLogConfiguration()
        configuration.durability = durability
        let clock = SystemClock()
        let log = try EmbeddedLog(directory: path, configuration: configuration) { clock.now }
        if let topic { try log.createTopic(topic, TopicConfiguration(partitions: partitions)) }
        return log
    }

    private static func measureFloor(
        _ options: BenchOptions, _ block: [UInt8], _ records: Int, _ entries: Int, isSynced: Bool
    ) throws -> (append: Double, read: Double, ledger: Double) {
        let scratch = ScratchDirectory("bench-log-floor", in: options.directory)
        guard let floor = log_floor_open(scratch.path + "/floor.mdb", CInt(partitions), isSynced ? 1 : 0) else {
            throw BenchFailure("LMDB cannot open a file in \(scratch.path)")
        }
        defer { log_floor_close(floor) }
        let appending = block.withUnsafeBytes {
            log_floor_append(floor, $0.baseAddress, $0.count, records, CInt(batch))
        }
        var found = 0
        let reading = log_floor_read(floor, CInt(batch), &found)
        let settling = log_floor_ledger(floor, ledgerBytes, CInt(ledgerKeys), entries, CInt(ledgerInFlight))
        guard appending > 0, reading > 0, settling > 0, found == records else {
            throw BenchFailure("the floor of LMDB failed")
        }
        return (Double(records) / appending, Double(records) / reading, Double(entries) / settling)
    }

    /// Batches of records with keyless round robin, at most `window` unanswered.
    private static func append(_ log: EmbeddedLog, _ block: [UInt8], _ records: Int, window: Int) throws -> Double {
        guard let topic else { return 0 }
        let appends = (0..<batch).map { LogBatch.Append(topic: topic, partition: $0 % partitions, block: block) }
        return try LogBench.flood(
            log, LogBatch(urgency: .producer, appends: appends), count: records / batch, window: window) * Double(batch)
    }

    private static func writeLedger(_ log: EmbeddedLog, _ entries: Int) throws -> Double {
        let batches = (0..<ledgerKeys).map { key in
            LogBatch(
                urgency: .settlement,
                ledger: [
                    LogBatch.LedgerWrite(
                        key: Array("ledger/\(10_000_000 + key)".utf8), value: Array(repeating: 7, count: ledgerBytes))
                ]
            )
        }
        return try LogBench.flood(log, batches, count: entries, window: ledgerInFlight)
    }

    private static func flood(_ log: EmbeddedLog, _ batch: LogBatch, count: Int, window: Int) throws -> Double {
        try LogBench.flood(log, [batch], count: count, window: window)
    }

    /// Batches a second.
    static func flood(_ log: any EventLog, _ batches: [LogBatch], count: Int, window: Int) throws -> Double {
        let gate = Gate(window)
        let start = seconds()
        for index in 0..<count {
            gate.enter()
            log.submit(batches[index % batches.count]) { gate.leave($0) }
        }
        for _ in 0..<window { gate.enter() }
        let took = seconds() - start
        if let failure = gate.failure { throw failure }
        return Double(count) / took
    }

    private static func read(_ log: EmbeddedLog, _ records: Int) throws -> Double {
        guard let topic else { return 0 }
        var found = 0
        var sum: UInt64 = 0
        let start = seconds()
        for partition in 0..<partitions {
            let place = TopicPartition(topic, partition)
            let end = try log.bounds(of: place).end
            var next: Offset = 0
            while next < end {
                next = try log.read(place, from: next, maxRecords: batch, maxBytes: .max) { _, bytes in
                    sum &+= bytes.loadUnaligned(as: UInt64.self)
                    found += 1
                    return true
                }
            }
        }
        let took = seconds() - start
        guard found == records, sum != 0 else { throw BenchFailure("\(found) of \(records) records were read") }
        return Double(found) / took
    }

    /// Single records by their places, 32 at a time, as dispatch reads them.
    private static func readPlaces(_ log: EmbeddedLog) throws -> Double {
        guard let topic else { return 0 }
        var found = 0
        var asked = 0
        let end = try log.bounds(of: TopicPartition(topic, 0)).end
        let start = seconds()
        for offset in stride(from: Offset(0), to: end - 8, by: 8) {
            let places = (0..<32).map { RecordPlace(TopicPartition(topic, $0 / 8), offset + Offset($0 % 8)) }
            try log.records(at: places) { _, bytes in if bytes != nil { found += 1 } }
            asked += places.count
        }
        let took = seconds() - start
        guard found == asked else { throw BenchFailure("\(found) of \(asked) records were found") }
        return Double(found) / took
    }
}

/// Lets a bounded number in.
private final class Gate: @unchecked Sendable {
    // SAFETY: a semaphore is made for use from many threads; its address is stable.
    private let semaphore: UnsafeMutablePointer<sem_t>
    private let failed = Mutex<ApusError?>(nil)

    init(_ count: Int) {
        self.semaphore = .allocate(capacity: 1)
        sem_init(self.semaphore, 0, UInt32(count))
    }

    deinit {
        sem_destroy(self.semaphore)
        self.semaphore.deallocate()
    }

    func enter() { while sem_wait(self.semaphore) != 0 {} }

    func leave(_ result: Result<LogReceipt, ApusError>) {
        if case .failure(let error) = result { self.failed.withLock { $0 = error } }
        sem_post(self.semaphore)
    }

    var failure: ApusError? { self.failed.withLock { $0 } }
}
