import ApusCore
import ApusJSON
import ApusTestSupport
import Synchronization
import Testing

@testable import ApusServer

@Suite struct TopicReadingTests {
    private struct Place: Hashable, Comparable {
        var partition: Int
        var offset: Offset
        static func < (left: Place, right: Place) -> Bool {
            (left.partition, left.offset) < (right.partition, right.offset)
        }
    }

    private let topic: TopicName

    init() throws { self.topic = try #require(TopicName(.default, "events")) }

    private func append(_ log: MemoryLog, _ partition: Int, _ bytes: Int = 1) throws {
        let slot = Mutex<Result<LogReceipt, ApusError>?>(nil)
        let block = EventBlock.encode(Event(key: [UInt8(partition)], data: [UInt8](repeating: 0x31, count: bytes)))
        // The log in memory answers before `submit` returns.
        log.submit(
            LogBatch(
                urgency: .producer, appends: [LogBatch.Append(topic: self.topic, partition: partition, block: block)])
        ) { result in
            slot.withLock { $0 = result }
        }
        _ = try #require(slot.withLock { $0 }).get()
    }

    private func reading(_ partitions: Int, _ from: TopicReading.From = .position(.earliest), limit: Int)
        -> TopicReading
    {
        TopicReading(topic: self.topic, partitions: Array(0..<partitions), from: from, limit: limit, headers: false)
    }

    /// Pages from the start while records are appended: each record that was there comes exactly once, a partition's in order.
    @Test(arguments: 1...60 as ClosedRange<UInt64>) func pagingLosesNothingAndRepeatsNothing(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let now = Mutex(Timestamp(microseconds: 1))
        let log = MemoryLog { now.withLock { $0 } }
        let partitions = Int.random(in: 1...5, using: &random)
        try log.createTopic(self.topic, TopicConfiguration(partitions: partitions))
        func grow(_ count: Int) throws {
            for _ in 0..<count {
                // Many records share a time.
                if Bool.random(using: &random) { now.withLock { $0.microseconds += 1 } }
                try self.append(log, Int.random(in: 0..<partitions, using: &random))
            }
        }
        try grow(Int.random(in: 0..<200, using: &random))
        var reading = self.reading(partitions, limit: Int.random(in: 1...40, using: &random))
        var seen: [Place] = []
        var growths = 3
        for _ in 0..<2_000 {
            let page = try reading.read(log)
            #expect(page.events.count <= reading.limit)
            #expect(
                page.events.map(\.timestamp) == page.events.map(\.timestamp).sorted(), "a page is in the order of time")
            seen += page.events.map { Place(partition: $0.partition, offset: $0.offset) }
            reading.from = try Self.throughText(page.next)
            if page.isAtEnd, growths == 0 { break }
            if growths > 0, page.isAtEnd || Bool.random(using: &random) {
                growths -= 1
                try grow(Int.random(in: 0..<60, using: &random))
            }
        }
        var all: [Place] = []
        for partition in 0..<partitions {
            let end = try log.bounds(of: TopicPartition(self.topic, partition)).end
            all += (0..<end).map { Place(partition: partition, offset: $0) }
            #expect(
                seen.filter { $0.partition == partition }.map(\.offset) == Array(0..<end),
                "partition \(partition), seed \(seed)")
        }
        #expect(seen.sorted() == all)
    }

    /// As a client sends back what the header `Apus-Next` said.
    private static func throughText(_ next: [Int: Offset]) throws -> TopicReading.From {
        try TopicReading.From(next.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }.joined(separator: ","))
    }

    @Test func aRecordLargerThanAReadStillComes() throws {
        let log = MemoryLog { .zero }
        try log.createTopic(self.topic, TopicConfiguration(partitions: 2))
        let large = Limits.eventBytes - 100
        let count = Limits.Server.bytesPerRead / large + 2
        for _ in 0..<count { try self.append(log, 0, large) }
        var reading = self.reading(2, limit: 100)
        var offsets: [Offset] = []
        var pages = 0
        while offsets.count < count, pages < 10 {
            let page = try reading.read(log)
            offsets += page.events.map(\.offset)
            #expect(page.isAtEnd == (offsets.count == count))
            reading.from = .offsets(page.next)
            pages += 1
        }
        #expect(offsets == Array(0..<Offset(count)))
        #expect(pages > 1)
    }

    @Test func aPageHoldsNoMoreThanItsBudgetWhateverThePartitionsHold() throws {
        let log = MemoryLog { .zero }
        let partitions = 16
        try log.createTopic(self.topic, TopicConfiguration(partitions: partitions))
        let large = Limits.eventBytes - 100
        for partition in 0..<partitions { for _ in 0..<2 { try self.append(log, partition, large) } }
        var reading = self.reading(partitions, limit: Limits.Server.eventsPerRead)
        var seen: [Place] = []
        for _ in 0..<partitions * 2 {
            let page = try reading.read(log)
            #expect(page.events.reduce(0) { $0 + $1.json.count } <= Limits.Server.pageBytes)
            #expect(!page.events.isEmpty)
            seen += page.events.map { Place(partition: $0.partition, offset: $0.offset) }
            reading.from = try Self.throughText(page.next)
            if page.isAtEnd { break }
        }
        #expect(
            seen.sorted()
                == (0..<partitions).flatMap { partition in (0..<2).map { Place(partition: partition, offset: $0) } })
    }

    @Test func startsWhereItIsTold() throws {
        let now = Mutex(Timestamp(microseconds: 0))
        let log = MemoryLog { now.withLock { $0 } }
        try log.createTopic(self.topic, TopicConfiguration(partitions: 2))
        for second in 0..<6 {
            now.withLock { $0 = Timestamp(milliseconds: Int64(second) * 1_000) }
            try self.append(log, second % 2)
        }
        func offsets(_ from: String) throws -> [[Offset]] {
            let page = try self.reading(2, try TopicReading.From(from), limit: 100).read(log)
            return (0..<2).map { partition in page.events.filter { $0.partition == partition }.map(\.offset) }
        }
        #expect(try offsets("earliest") == [[0, 1, 2], [0, 1, 2]])
        #expect(try offsets("latest") == [[], []])
        #expect(try offsets("2") == [[2], [2]])
        #expect(try offsets("0:1,1:3") == [[1, 2], []])
        #expect(try offsets("1:2") == [[0, 1, 2], [2]])
        #expect(try offsets("1970-01-01T00:00:03Z") == [[2], [1, 2]])
    }

    @Test(arguments: [
        "now", "-1", "0:", ":1", "0:-1", "0:1:2", "a:1", "0;1", "1e3", "", ",", "0:1,", ",0:1", "0:1,0:2", "-1:0",
    ]) func refusesAPlaceItCannotRead(from: String) {
        expectRefusal(.invalidArgument, from) { () throws(ApusError) in try TopicReading.From(from) }
    }

    @Test func refusesAPartitionThatTheTopicDoesNotHave() throws {
        let from = try TopicReading.From("0:1,2:0")
        try from.check(partitions: 3)
        expectRefusal(.invalidArgument) { () throws(ApusError) in try from.check(partitions: 2) }
        try TopicReading.From("17").check(partitions: 1)
    }

    @Test func goesOnWhereRetentionLeftSomething() throws {
        let now = Mutex(Timestamp(microseconds: 0))
        let log = MemoryLog { now.withLock { $0 } }
        try log.createTopic(self.topic, TopicConfiguration(partitions: 1, retentionTime: .seconds(10)))
        try self.append(log, 0)
        now.withLock { $0 = Timestamp(milliseconds: 20_000) }
        try self.append(log, 0)
        let page = try self.reading(1, .offset(0), limit: 10).read(log)
        #expect(page.events.map(\.offset) == [1])
        #expect(page.next == [0: 2] && page.isAtEnd)
    }

    @Test func saysWhenATopicIsGone() throws {
        let log = MemoryLog { .zero }
        expectRefusal(.topicNotFound) { () throws(ApusError) in try self.reading(1, limit: 1).read(log).isAtEnd }
    }
}
