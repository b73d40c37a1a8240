import ApusCore
import ApusEngine
import ApusLoop
import ApusTestSupport
import Synchronization
import Testing

@testable import ApusHost

/// A log that remembers keys for one node only, which may forget them at any time.
private final class ForgetfulLog: ForwardingLog {
    let forwarded: any EventLog
    private let keys = Mutex<[[UInt8]: [UInt8]]>([:])
    /// Records that were read of each topic.
    private let offsetsRead = Mutex<[TopicName: [Offset]]>([:])

    init(_ log: any EventLog) { self.forwarded = log }

    func forget() { self.keys.withLock { $0 = [:] } }
    var count: Int { self.keys.withLock { $0.count } }
    func takeRead(_ topic: TopicName) -> [Offset] {
        self.offsetsRead.withLock { $0.removeValue(forKey: topic) ?? [] }
    }

    func submit(_ batch: LogBatch, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void) {
        var bare = batch
        bare.keys = []
        self.forwarded.submit(bare) { result in
            if case .success = result { try? self.remember(batch.keys) }
            completion(result)
        }
    }

    func read(
        _ partition: TopicPartition, from start: Offset, maxRecords: Int, maxBytes: Int,
        _ body: (Offset, UnsafeRawBufferPointer) -> Bool
    ) throws(ApusError) -> Offset {
        try self.forwarded.read(partition, from: start, maxRecords: maxRecords, maxBytes: maxBytes) { offset, block in
            self.offsetsRead.withLock { $0[partition.topic, default: []].append(offset) }
            return body(offset, block)
        }
    }

    var remembersKeys: Bool { true }
    var rebuildsKeys: Bool { true }
    func remembered(_ keys: [[UInt8]]) throws(ApusError) -> [[UInt8]?] {
        self.keys.withLock { known in keys.map { known[$0] } }
    }
    func remember(_ writes: [LogBatch.KeyWrite]) throws(ApusError) {
        self.keys.withLock { known in for write in writes { known[write.key] = write.value } }
    }
}

/// What a lane has seen, where the node that takes it over has to find that on the log.
@Suite struct KeyReadingTests {
    private static func numbered(_ id: Int, _ data: String) -> Event {
        event(data, key: "k", [Attribute("id", "\(id)"), Attribute("source", "/test", kind: .uriReference)])
    }

    /// Deploys, publishes, waits for all of it, and ends as one that is gone.
    private func round(
        _ log: ForgetfulLog, _ ids: [Int], of data: String, settled: Int, replies: [String],
        window: TimeSpan = .seconds(600)
    ) async throws {
        let bed = try await Bed(log: log)
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        try await bed.deploy(function(1, triggers: [trigger(1, on: input, replyTo: output, dedupWindow: window)]))
        try await bed.publish(input, ids.map { Self.numbered($0, "\(data)\($0)") })
        try await bed.until("all of \(data) is settled") {
            bed.shard.engine.watermark(of: TriggerID(rawValue: 1), partition: 0) == Offset(settled)
        }
        #expect(bed.events(of: output).map(\.text) == replies)
        await bed.close()
    }

    /// Behaviour 52.
    @Test func whoeverTakesOverKnowsWhatTheOneBeforeHadSeen() async throws {
        let log = ForgetfulLog(MemoryLog { Bed.clock.now })
        try await self.round(log, [1, 2, 1], of: "a", settled: 3, replies: ["a1", "a2"])
        log.forget()
        try await self.round(log, [1, 2, 3], of: "b", settled: 6, replies: ["a1", "a2", "b3"])
        log.forget()
        try await self.round(log, [3, 4], of: "c", settled: 8, replies: ["a1", "a2", "b3", "c4"])
    }

    @Test func whatThisNodeKnowsIsNotReadAgain() async throws {
        let log = ForgetfulLog(MemoryLog { Bed.clock.now })
        try await self.round(log, [1, 2, 3], of: "a", settled: 3, replies: ["a1", "a2", "a3"])
        let input = try #require(TopicName(.default, "in"))
        _ = log.takeRead(input)
        try await self.round(log, [1, 4], of: "b", settled: 5, replies: ["a1", "a2", "a3", "b4"])
        #expect(log.takeRead(input).allSatisfy { $0 >= 3 })
    }

    @Test func onlyTheWindowIsRead() async throws {
        let clock = ManualClock()
        let memory = MemoryLog { clock.now }
        let (topic, names) = (try #require(TopicName(.default, "in")), 0..<10)
        try memory.createTopic(topic, TopicConfiguration())
        for id in names {
            memory.submit(
                LogBatch(
                    urgency: .producer,
                    appends: [LogBatch.Append(topic: topic, block: EventBlock.encode(Self.numbered(id, "x")))])
            ) { _ in }
            clock.advance(by: .seconds(100))
        }
        let log = ForgetfulLog(memory)
        let dedup = Deduplication(scope: [1], window: .seconds(250))
        var reading = KeyReading(
            log: log, place: TopicPartition(topic, 0), dedup: dedup, filter: SubscriptionFilter(), path: [],
            ledger: LedgerState(watermark: 8, settled: [9..<10]), now: clock.now)
        while !reading.isDone {
            let isRead = reading.step()
            #expect(isRead)
        }
        // The first that is still to run is 8, at 800 s: what came since 550 s may be repeated by it.
        #expect(log.takeRead(topic).filter { $0 != 8 }.min() == 6)
        #expect(log.count == 3 + 1, "6, 7 and 9, and how far it was read")
        // 9 is settled before 8 is: whoever comes again begins at the watermark.
        #expect(try log.remembered([dedup.markKey])[0].flatMap(Deduplication.offset) == 8)
    }

    @Test func stepsAreBounded() async throws {
        let memory = MemoryLog { Bed.clock.now }
        let topic = try #require(TopicName(.default, "in"))
        try memory.createTopic(topic, TopicConfiguration())
        let count = Limits.Host.keysPerStep + 10
        let block = EventBlock.encode(Self.numbered(1, "x"))
        memory.submit(
            LogBatch(
                urgency: .producer,
                appends: Array(repeating: LogBatch.Append(topic: topic, block: block), count: count))
        ) { _ in }
        let log = ForgetfulLog(memory)
        var reading = KeyReading(
            log: log, place: TopicPartition(topic, 0), dedup: Deduplication(scope: [1], window: .seconds(600)),
            filter: SubscriptionFilter(), path: [], ledger: LedgerState(watermark: Offset(count)), now: Bed.clock.now)
        let isRead = reading.step()
        #expect(isRead)
        #expect(reading.read <= Int64(Limits.Host.keysPerStep))
        #expect(!reading.isDone)
        while !reading.isDone {
            let isRead = reading.step()
            #expect(isRead)
        }
        #expect(reading.read == Int64(count))
    }
}
