import ApusCore
import ApusTestSupport
import Glibc
import Synchronization
import Testing

@testable import ApusLog

@Suite struct LimitTests {
    @Test func aBatchOverItsBoundIsRefusedAndOneAtItIsWritten() throws {
        let scratch = ScratchDirectory("batch")
        let topic = try LogFixture.topic("a")
        let log = try LogFixture.open(scratch.path, smallConfiguration(mapBytes: 256 << 20))
        defer { log.close() }
        try log.createTopic(topic, TopicConfiguration())
        let small = LogFixture.append(topic, bytes: 1)
        let most = LogBatch(urgency: .producer, appends: Array(repeating: small, count: Limits.Log.batchRecords))
        #expect(try LogFixture.write(log, most).places.count == Limits.Log.batchRecords)
        let more = LogBatch(urgency: .producer, appends: most.appends + [small])
        #expect(LogFixture.code { _ = try LogFixture.write(log, more) } == .limitReached)
        let ledger = (0...Limits.Log.batchRecords).map { _ in LogBatch.LedgerWrite(key: [1], value: nil) }
        #expect(
            LogFixture.code { _ = try LogFixture.write(log, LogBatch(urgency: .settlement, ledger: ledger)) }
                == .limitReached)

        let half = LogFixture.append(topic, bytes: (1 << 20) - 24)
        try #require(half.block.count == 1 << 20)
        let largest = LogBatch(urgency: .producer, appends: Array(repeating: half, count: Limits.Log.batchBytes >> 20))
        #expect(try LogFixture.write(log, largest).places.count == Limits.Log.batchBytes >> 20)
        let larger = LogBatch(urgency: .producer, appends: largest.appends + [small])
        #expect(LogFixture.code { _ = try LogFixture.write(log, larger) } == .limitReached)
    }

    /// Batches that wait together are one commit up to its bound; the one that goes beyond it begins the next.
    @Test func aCommitTakesSoManyRecordsOfNeighboursAndNoMore() throws {
        let scratch = ScratchDirectory("group")
        let topic = try LogFixture.topic("a")
        let log = try EmbeddedLog(directory: scratch.path, configuration: smallConfiguration(mapBytes: 256 << 20), clock: LogFixture.ticking())
        defer { log.close() }
        try log.createTopic(topic, TopicConfiguration())
        let most = Limits.Log.groupRecords
        #expect(try LogFixture.timesTogether(log, topic, [most - 1, 1]) == 1)
        #expect(try LogFixture.timesTogether(log, topic, [most - 1, 1, 1]) == 2)
        #expect(try LogFixture.timesTogether(log, topic, [most - 1, 2]) == 2)
        #expect(try LogFixture.timesTogether(log, topic, [most, 1, 1]) == 2)
    }

    @Test func aGroupIsFullByItsBytesAndAnEmptyOneTakesAnyBatch() {
        func submission(_ bytes: Int) -> Submission {
            Submission(batch: LogBatch(urgency: .producer), bytes: bytes, completion: { _ in })
        }
        var fill = GroupFill()
        #expect(fill.hasRoom(for: submission(Limits.Log.groupBytes + 1)))
        fill.add(submission(Limits.Log.groupBytes - 1))
        #expect(fill.hasRoom(for: submission(1)))
        #expect(!fill.hasRoom(for: submission(2)))
        fill.add(submission(1))
        #expect(!fill.hasRoom(for: submission(1)))
    }

    @Test func ledgerEntriesAreBounded() throws {
        let scratch = ScratchDirectory("ledger")
        let log = try LogFixture.open(scratch.path, smallConfiguration())
        defer { log.close() }
        func write(_ count: Int) -> ErrorCode? {
            LogFixture.code {
                let entry = LogBatch.LedgerWrite(key: [1], value: Array(repeating: 1, count: count))
                _ = try LogFixture.write(log, LogBatch(urgency: .settlement, ledger: [entry]))
            }
        }
        #expect(write(Limits.Log.ledgerValueBytes) == nil)
        #expect(write(Limits.Log.ledgerValueBytes + 1) == .invalidArgument)
    }

    @Test func aLedgerKeyIsBoundedAndFailsNobodyElse() throws {
        let scratch = ScratchDirectory("keys")
        let log = try LogFixture.open(scratch.path, smallConfiguration())
        defer { log.close() }
        func write(_ count: Int) -> ErrorCode? {
            LogFixture.code {
                let entry = LogBatch.LedgerWrite(key: Array(repeating: 1, count: count), value: [1])
                _ = try LogFixture.write(log, LogBatch(urgency: .settlement, ledger: [entry]))
            }
        }
        #expect(write(Limits.Log.ledgerKeyBytes) == nil)
        #expect(write(Limits.Log.ledgerKeyBytes + 1) == .invalidArgument)
        #expect(write(0) == .invalidArgument)
        #expect(try log.ledger(prefix: []).map(\.key.count) == [Limits.Log.ledgerKeyBytes])
    }

    /// As it is where nobody configures another.
    @Test func theQueueHoldsSoManyBytes() throws {
        #expect(EmbeddedLogConfiguration().queueBytes == Limits.Log.queueBytes)
        #expect(KafkaLogConfiguration(bootstrap: "127.0.0.1:1").queueBytes == Limits.Log.queueBytes)
        var inbox = WriterInbox(bytesMax: Limits.Log.queueBytes, batchesMax: Limits.Log.queueBatches)
        func isRefused(bytes: Int) -> Bool {
            _ = inbox.add(
                Submission(batch: LogBatch(urgency: .producer), bytes: bytes, completion: { _ in }), refusal: nil)
            if case .refusal = inbox.requests.last { return true }
            return false
        }
        #expect(!isRefused(bytes: Limits.Log.queueBytes - 1))
        #expect(!isRefused(bytes: 1))
        #expect(isRefused(bytes: 1))
    }

    @Test func theQueueIsBoundedForProducersAndForSettling() throws {
        let topic = try LogFixture.topic("a")
        func submission(_ urgency: LogBatch.Urgency, bytes: Int) -> Submission {
            Submission(
                batch: LogBatch(urgency: urgency, appends: [LogFixture.append(topic, bytes: 1)]), bytes: bytes,
                completion: { _ in })
        }
        func isRefused(_ request: WriterRequest?) -> Bool { if case .refusal = request { true } else { false } }
        var inbox = WriterInbox(bytesMax: 100, batchesMax: 3)
        // An empty queue takes any batch.
        _ = inbox.add(submission(.producer, bytes: 500), refusal: nil)
        #expect(!isRefused(inbox.requests.last))
        _ = inbox.add(submission(.producer, bytes: 1), refusal: nil)
        #expect(isRefused(inbox.requests.last))
        _ = inbox.add(submission(.settlement, bytes: 99), refusal: nil)
        #expect(!isRefused(inbox.requests.last), "settling has a queue of its own")
        _ = inbox.add(submission(.settlement, bytes: 1), refusal: nil)
        #expect(!isRefused(inbox.requests.last))
        _ = inbox.add(submission(.settlement, bytes: 1), refusal: nil)
        #expect(isRefused(inbox.requests.last))

        inbox.finished([submission(.producer, bytes: 500)])
        for _ in 0..<3 {
            _ = inbox.add(submission(.producer, bytes: 0), refusal: nil)
            #expect(!isRefused(inbox.requests.last))
        }
        _ = inbox.add(submission(.producer, bytes: 0), refusal: nil)
        #expect(isRefused(inbox.requests.last), "as many batches as may wait")
    }

    @Test func refusalsThatWaitAreBounded() {
        var inbox = WriterInbox(bytesMax: 1, batchesMax: 1)
        let submission = Submission(batch: LogBatch(urgency: .producer), bytes: 1, completion: { _ in })
        let refusal = ApusError(.limitReached, "too large")
        for _ in 0..<Limits.Log.refusalsWaiting { #expect(inbox.add(submission, refusal: refusal) == .queued) }
        #expect(inbox.add(submission, refusal: refusal) == .refusedHere(.limitReached))
        #expect(inbox.takeAll().count == Limits.Log.refusalsWaiting)
        #expect(inbox.add(submission, refusal: refusal) == .queued)
    }

    @Test func aFloodOfProducersIsRefusedAndNothingIsLost() throws {
        let scratch = ScratchDirectory("flood")
        let topic = try LogFixture.topic("a")
        var configuration = smallConfiguration()
        configuration.queueBatches = 4
        let log = try LogFixture.open(scratch.path, configuration)
        defer { log.close() }
        try log.createTopic(topic, TopicConfiguration())
        let answers = Mutex<(written: Int, refused: Int, other: Int)>((0, 0, 0))
        for _ in 0..<500 {
            log.submit(LogBatch(urgency: .producer, appends: [LogFixture.append(topic, bytes: 10)])) { result in
                answers.withLock { answers in
                    switch result {
                    case .success: answers.written += 1
                    case .failure(let error) where error.code == .overloaded: answers.refused += 1
                    case .failure: answers.other += 1
                    }
                }
            }
        }
        try LogFixture.eventually("every answer") { answers.withLock { $0.written + $0.refused + $0.other } == 500 }
        #expect(answers.withLock { $0.other } == 0)
        #expect(answers.withLock { $0.written } >= 4)
        #expect(try LogFixture.count(log, topic) == answers.withLock { $0.written })
    }

    @Test func readersAreBounded() throws {
        let scratch = ScratchDirectory("readers")
        let topic = try LogFixture.topic("a")
        var configuration = smallConfiguration()
        configuration.readers = 3
        let log = try LogFixture.open(scratch.path, configuration)
        defer { log.close() }
        try log.createTopic(topic, TopicConfiguration())
        _ = try LogFixture.write(log, LogBatch(urgency: .producer, appends: [LogFixture.append(topic, bytes: 1)]))
        /// Reads inside a read, `depth` deep.
        func nest(_ depth: Int) throws {
            if depth == 0 { return }
            var failure: (any Error)?
            _ = try log.read(TopicPartition(topic, 0), from: 0, maxRecords: 1, maxBytes: 1) { _, _ in
                do { try nest(depth - 1) } catch { failure = error }
                return true
            }
            if let failure { throw failure }
        }
        for _ in 0..<3 {
            #expect(LogFixture.code { try nest(3) } == nil)
            #expect(LogFixture.code { try nest(4) } == .limitReached)
        }
    }

    /// A read that hangs holds up the end for its bound and no longer; the environment stays for it.
    @Test func closingWaitsForAReadOnlySoLong() throws {
        let scratch = ScratchDirectory("hanging")
        let topic = try LogFixture.topic("a")
        let log = try LogFixture.open(scratch.path, smallConfiguration())
        try log.createTopic(topic, TopicConfiguration())
        _ = try LogFixture.write(log, LogBatch(urgency: .producer, appends: [LogFixture.append(topic, bytes: 1)]))
        let start = LogWriter.monotonicMilliseconds()
        var read: [UInt8] = []
        _ = try log.read(TopicPartition(topic, 0), from: 0, maxRecords: 1, maxBytes: 1_000) { _, block in
            // The read itself is what hangs: the end comes back all the same.
            log.close()
            read = Array(block)
            return true
        }
        #expect(LogWriter.monotonicMilliseconds() - start >= Int64(Limits.Log.closeWaitMilliseconds))
        #expect(!read.isEmpty, "its pages are still there")
    }

    @Test func tablesAreBounded() throws {
        let scratch = ScratchDirectory("tables")
        var configuration = smallConfiguration()
        configuration.tables = 6
        let log = try LogFixture.open(scratch.path, configuration)
        defer { log.close() }
        try log.createTopic(try LogFixture.topic("a"), TopicConfiguration(partitions: 2))
        try log.createTopic(try LogFixture.topic("c"), TopicConfiguration(partitions: 1, isCompacted: true))
        #expect(
            LogFixture.code { try log.createTopic(try LogFixture.topic("d"), TopicConfiguration(partitions: 3)) }
                == .limitReached)
        #expect(
            LogFixture.code { try log.alterTopic(try LogFixture.topic("a"), TopicConfiguration(partitions: 5)) }
                == .limitReached)
        try log.alterTopic(try LogFixture.topic("a"), TopicConfiguration(partitions: 4))
        #expect(
            LogFixture.code { try log.createTopic(try LogFixture.topic("e"), TopicConfiguration()) } == .limitReached)
        _ = try LogFixture.write(
            log,
            LogBatch(
                urgency: .producer, appends: [LogFixture.append(try LogFixture.topic("a"), bytes: 1, partition: 3)]))
    }

    @Test func manyTablesOpenAgain() throws {
        let scratch = ScratchDirectory("many")
        let topic = try LogFixture.topic("a")
        var log = try LogFixture.open(scratch.path, smallConfiguration())
        try log.createTopic(topic, TopicConfiguration(partitions: Limits.partitionsPerTopic, isCompacted: true))
        let appends = (0..<Limits.partitionsPerTopic).map {
            LogFixture.append(topic, bytes: 1, key: "k", partition: $0)
        }
        for _ in 0..<2 { _ = try LogFixture.write(log, LogBatch(urgency: .producer, appends: appends)) }
        // More partitions at once than one reader keeps cursors.
        let places = (0..<Limits.partitionsPerTopic).map { RecordPlace(TopicPartition(topic, $0), 1) }
        for _ in 0..<3 {
            var found = 0
            try log.records(at: places) { _, bytes in if bytes != nil { found += 1 } }
            #expect(found == Limits.partitionsPerTopic)
        }
        log.close()
        log = try LogFixture.open(scratch.path, smallConfiguration())
        defer { log.close() }
        #expect(try log.bounds(of: TopicPartition(topic, 255)).end == 2)
    }

    @Test func aMapThatIsTooSmallIsRefused() throws {
        let scratch = ScratchDirectory("map")
        #expect(
            LogFixture.code {
                _ = try LogFixture.open(scratch.path, smallConfiguration(mapBytes: Limits.Log.mapBytesMin - 1))
            } == .invalidArgument)
        let log = try LogFixture.open(scratch.path, smallConfiguration(mapBytes: Limits.Log.mapBytesMin))
        defer { log.close() }
        let topic = try LogFixture.topic("a")
        try log.createTopic(topic, TopicConfiguration())
        _ = try LogFixture.write(log, LogBatch(urgency: .producer, appends: [LogFixture.append(topic, bytes: 1_000)]))
    }

    @Test func aClosedLogRefusesBatches() throws {
        let scratch = ScratchDirectory("closed")
        let log = try LogFixture.open(scratch.path, smallConfiguration())
        log.close()
        log.close()
        #expect(LogFixture.code { _ = try LogFixture.write(log, LogBatch(urgency: .producer)) } == .shuttingDown)
        #expect(
            LogFixture.code { try log.createTopic(try LogFixture.topic("a"), TopicConfiguration()) } == .shuttingDown)
    }

    @Test func closingWaitsForWhatIsQueued() throws {
        let scratch = ScratchDirectory("closing")
        let topic = try LogFixture.topic("a")
        let log = try LogFixture.open(scratch.path, smallConfiguration())
        try log.createTopic(topic, TopicConfiguration())
        let written = Atomic<Int>(0)
        for _ in 0..<200 {
            log.submit(LogBatch(urgency: .producer, appends: [LogFixture.append(topic, bytes: 1)])) { result in
                if case .success = result { written.add(1, ordering: .sequentiallyConsistent) }
            }
        }
        log.close()
        #expect(written.load(ordering: .sequentiallyConsistent) == 200)
    }
}
