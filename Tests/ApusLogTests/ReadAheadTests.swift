import ApusCore
import ApusLog
import ApusTestSupport
import Synchronization
import Testing

@Suite struct ReadAheadTests {
    @Test func recordsAreSummarisedOnTheReaderThread() throws {
        let clock = ManualClock()
        let log = MemoryLog { clock.now }
        let topic = try LogFixture.topic("a")
        try log.createTopic(topic, TopicConfiguration())
        for size in 1...9 {
            _ = try LogFixture.write(
                log, LogBatch(urgency: .producer, appends: [LogFixture.append(topic, bytes: size * 1_000)]))
        }
        let reader = try ReadAhead(log)
        defer { reader.close() }
        let found = Mutex<Result<ReadAhead.Page<Int>, ApusError>?>(nil)
        try reader.prefetch(
            TopicPartition(topic, 0), from: 2, maxRecords: 4, maxBytes: .max,
            summarise: { offset, bytes in offset == 3 ? nil : bytes.count },
            completion: { result in found.withLock { $0 = result } }
        )
        try LogFixture.eventually("the summaries") { found.withLock { $0 != nil } }
        let page = try #require(found.withLock { $0 }).get()
        #expect(page.summaries == [3_024, 5_024, 6_024])
        #expect(page.next == 6)
    }

    @Test func aReadThatFailsIsAnswered() throws {
        let clock = ManualClock()
        let reader = try ReadAhead(MemoryLog { clock.now })
        defer { reader.close() }
        let code = Mutex<ErrorCode?>(nil)
        try reader.prefetch(
            TopicPartition(try LogFixture.topic("missing"), 0), from: 0, maxRecords: 1, maxBytes: 1,
            summarise: { offset, _ in offset },
            completion: { result in if case .failure(let error) = result { code.withLock { $0 = error.code } } }
        )
        try LogFixture.eventually("the answer") { code.withLock { $0 } == .topicNotFound }
    }

    @Test(arguments: [3, Limits.Log.readAheadWaiting])
    func waitingReadsAreBoundedAndFinishedBeforeTheEnd(_ most: Int) throws {
        let clock = ManualClock()
        let log = MemoryLog { clock.now }
        let reader = try most == 3 ? ReadAhead(log, waitingMax: 3) : ReadAhead(log)
        let mayGoOn = Atomic<Bool>(false)
        let hasStarted = Atomic<Bool>(false)
        let done = Atomic<Int>(0)
        try reader.run { _ in
            hasStarted.store(true, ordering: .sequentiallyConsistent)
            _ = try? LogFixture.eventually("leave to go on") { mayGoOn.load(ordering: .sequentiallyConsistent) }
        }
        try LogFixture.eventually("the start") { hasStarted.load(ordering: .sequentiallyConsistent) }
        for _ in 0..<most { try reader.run { _ in done.add(1, ordering: .sequentiallyConsistent) } }
        #expect(
            LogFixture.code { try reader.run { _ in done.add(100, ordering: .sequentiallyConsistent) } } == .overloaded)
        mayGoOn.store(true, ordering: .sequentiallyConsistent)
        reader.close()
        #expect(done.load(ordering: .sequentiallyConsistent) == most)
        #expect(LogFixture.code { try reader.run { _ in } } == .shuttingDown)
    }
}
