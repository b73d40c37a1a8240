import ApusCore
import ApusLoop
import ApusTestSupport
import Synchronization
import Testing

@testable import ApusServer

@Suite struct BlobStoreTests {
    private let log = MemoryLog { Timestamp(milliseconds: 1_000) }
    private let topic: TopicName
    private let other: TopicName
    private let compacted: TopicName
    private let store: BlobStore

    init() throws {
        self.topic = try #require(TopicName(.default, "orders"))
        self.other = try #require(TopicName(.default, "others"))
        self.compacted = try #require(TopicName(.default, "settings"))
        try self.log.createTopic(self.topic, TopicConfiguration(partitions: 2))
        try self.log.createTopic(self.other, TopicConfiguration())
        try self.log.createTopic(self.compacted, TopicConfiguration(isCompacted: true))
        try BlobStore.keepTopic(self.log)
        self.store = BlobStore(log: self.log)
    }

    private static func block(_ bytes: Int, _ fill: UInt8 = 7) -> [UInt8] {
        var event = Event(key: [1], data: [UInt8](repeating: fill, count: bytes))
        event["id"] = "1"
        event["source"] = "/test"
        event["type"] = "t"
        return EventBlock.encode(event)
    }

    private func claim(_ block: [UInt8], for topic: TopicName) throws -> [UInt8] {
        let slot = ResultSlot<Result<[UInt8], ApusError>>()
        self.store.claim(block, for: topic) { slot.fill($0) }
        return try slot.take().get()
    }

    @Test func whatWasClaimedIsThereForItsTopicAndForNoOther() throws {
        let block = Self.block(3 << 20)
        let claimed = try self.claim(block, for: self.topic)
        #expect(claimed.count < 1_024)
        let reference = try #require(claimed.withUnsafeBytes { BlobReference($0) })
        let event = try EventBlock.decode(claimed.span.bytes)
        let data = try self.store.data(reference, of: self.topic)
        #expect(EventBlock.encode(BlobReference.whole(event, data)) == block)
        #expect(
            #expect(throws: ApusError.self) { try self.store.data(reference, of: self.other) }?.code == .recordExpired)
        // Written again it takes the place of what was there.
        let place = TopicPartition(.blobs, reference.partition)
        let before = try self.log.newest(of: reference.key(0, topic: self.topic), in: place)
        _ = try self.claim(block, for: self.topic)
        #expect(try self.log.newest(of: reference.key(0, topic: self.topic), in: place) != before)
        #expect(try self.store.data(reference, of: self.topic) == data)
    }

    @Test func whatIsTooLargeOrForACompactedTopicIsRefused() throws {
        for (block, topic) in [
            (Self.block(Limits.Blob.bytes + 1), self.topic), (Self.block(2 << 20), self.compacted),
        ] {
            #expect(
                #expect(throws: ApusError.self) { try self.claim(block, for: topic) }?.code == .eventTooLarge)
        }
        #expect(throws: Never.self) { try self.claim(Self.block(Limits.Blob.bytes), for: self.topic) }
    }

    @Test func dataThatIsNotWhatItsHashSaysIsNotGivenToAnybody() throws {
        let claimed = try self.claim(Self.block(2 << 20), for: self.topic)
        let reference = try #require(claimed.withUnsafeBytes { BlobReference($0) })
        let forged = reference.appends([UInt8](repeating: 8, count: 2 << 20), topic: self.topic)
        let slot = ResultSlot<Result<LogReceipt, ApusError>>()
        self.log.submit(LogBatch(urgency: .producer, appends: forged)) { slot.fill($0) }
        _ = try slot.take().get()
        #expect(
            #expect(throws: ApusError.self) { try self.store.data(reference, of: self.topic) }?.code == .logDamaged)
    }

    @Test func largeAndSmallEventsOfOneRequestGoToTheTopicTogether() throws {
        let large = LargeEvents(log: self.log, topic: self.topic)
        let slot = ResultSlot<Result<LogReceipt, ApusError>>()
        let blocks = [Self.block(10), Self.block(2 << 20), Self.block(3 << 20, 9)]
        large.publish(blocks.map { LogBatch.Append(topic: self.topic, block: $0) }) { slot.fill($0) }
        let receipt = try slot.take().get()
        #expect(receipt.places.count == 3)
        var references: [BlobReference?] = []
        let places = receipt.places.map { RecordPlace(TopicPartition(self.topic, $0.partition), $0.offset) }
        try self.log.records(at: places) { _, block in references.append(block.flatMap { BlobReference($0) }) }
        #expect(references.map { $0?.size } == [nil, 2 << 20, 3 << 20])
        for reference in references.compactMap({ $0 }) {
            #expect(try self.store.data(reference, of: self.topic).count == reference.size)
        }
    }

    @Test func blobsStayAsLongAsARecordMayNameThem() throws {
        #expect(BlobStore.retention(self.log) == nil, "topics that keep their events for ever keep their data")
        let week = TimeSpan.seconds(7 * 86_400)
        for topic in [self.topic, self.other] {
            var configuration = try #require(self.log.topic(topic))
            configuration.retentionTime = topic == self.topic ? week : .seconds(60)
            try self.log.alterTopic(topic, configuration)
        }
        // A compacted topic takes no claim check. On its topic, as a dead letter, on its topic again, and a day.
        #expect(BlobStore.retention(self.log) == .seconds(22 * 86_400))
        try BlobStore.keepTopic(self.log)
        #expect(self.log.topic(.blobs)?.retentionTime == .seconds(22 * 86_400))
        try self.log.createTopic(.dead, TopicConfiguration(retentionTime: .seconds(30 * 86_400)))
        #expect(BlobStore.retention(self.log) == .seconds(91 * 86_400))
    }
}
