import ApusCore
import ApusCrypto
import ApusTestSupport
import Testing

@testable import ApusLog

/// The parts of the log on Kafka that need no Kafka.
@Suite struct KafkaPartsTests {
    private static func topic() throws -> TopicName { try #require(TopicName(.default, "a")) }
    private static func partition(isCompacted: Bool = false) throws -> KafkaPartition {
        KafkaPartition(try Self.topic(), "a", 0, isCompacted: isCompacted)
    }

    private static func chunk(_ first: Offset, _ offsets: [Offset], next: Offset, bytes: Int = 10) -> RecordChunk {
        var chunk = ChunkBuilder(first: first)
        for offset in offsets {
            chunk.append(offset) { memory in
                [UInt8](repeating: UInt8(offset & 255), count: bytes).withUnsafeBytes { memory.append($0) }
            }
        }
        chunk.pass(to: next)
        return chunk.finish()
    }

    // MARK: chunks

    @Test func aChunkKnowsWhatLiesInItsGaps() {
        let chunk = Self.chunk(3, [3, 5, 8], next: 12)
        #expect(chunk.index(of: 5) == 1)
        #expect(chunk.index(of: 4) == nil)
        #expect(chunk.index(from: 6) == 2)
        #expect(chunk.index(from: 9) == 3)
        #expect(chunk.rest(from: 5).records == 2)
        #expect(chunk.rest(from: 5).bytes == 20)
        #expect(chunk.lend(2) { Array($0) } == [UInt8](repeating: 8, count: 10))
    }

    @Test func neighboursBecomeOneChunkUpToTheBound() {
        var map = ChunkMap()
        #expect(map.insert(Self.chunk(0, [0], next: 1)).removed.isEmpty)
        let joined = map.insert(Self.chunk(1, [1], next: 2))
        #expect(joined.removed.count == 1)
        #expect(joined.added?.count == 2)
        let large = Self.chunk(2, [2], next: 3, bytes: Limits.Kafka.chunkBytes)
        #expect(map.insert(large).removed.isEmpty)
        #expect(map[covering: 2] === large)
        #expect(map[covering: 3] == nil)
    }

    @Test func whatIsInMemoryAlreadyIsNotTakenTwice() {
        var map = ChunkMap()
        _ = map.insert(Self.chunk(10, [10, 11], next: 12))
        #expect(map.insert(Self.chunk(8, [8, 10], next: 11)).added == nil)
        #expect(map.insert(Self.chunk(11, [11], next: 14)).added == nil)
        #expect(map.start(after: 5) == 10)
        #expect(map.insert(Self.chunk(8, [8], next: 10)).added != nil)
        #expect(map[covering: 9] != nil)
    }

    @Test func memoryIsBoundedOverAllPartitions() throws {
        let cache = RecordCache(bytesMax: 1_000_000)
        let partitions = [try Self.partition(), try Self.partition()]
        for index in 0..<40 {
            let partition = partitions[index % 2]
            let first = Offset(index)
            let chunk = Self.chunk(first, [first], next: first + 1, bytes: 70_000)
            cache.note(partition.insert(chunk), of: partition)
            #expect(cache.bytes <= 1_000_000)
        }
        #expect(partitions[0].chunk(at: 0).chunk == nil)
        #expect(partitions[1].chunk(at: 39).chunk != nil)
    }

    // MARK: reading

    @Test func followersHearOfACommitOnceWhateverTheConsumerGetsItIn() throws {
        let partition = try Self.partition()
        partition.begin(at: OffsetBounds(start: 0, end: 0))
        #expect(partition.growth() == nil)
        partition.takesOff(3)
        _ = partition.took(Self.chunk(0, [0], next: 1))
        #expect(partition.growth() == nil)
        #expect(!partition.landed(3, end: 3))
        _ = partition.took(Self.chunk(1, [1], next: 2))
        #expect(partition.growth() == nil)
        _ = partition.took(Self.chunk(2, [2], next: 3))
        #expect(partition.growth() == 3)
        #expect(partition.growth() == nil)
    }

    @Test func aCommitThatTheConsumerSawFirstIsToldWhenItLands() throws {
        let partition = try Self.partition()
        partition.begin(at: OffsetBounds(start: 0, end: 0))
        partition.takesOff(1)
        _ = partition.took(Self.chunk(0, [0], next: 1))
        #expect(partition.landed(1, end: 1))
        #expect(partition.growth() == 1)
    }

    @Test func oneCommitAfterTheOtherNeverKeepsFollowersWaiting() throws {
        let partition = try Self.partition()
        partition.begin(at: OffsetBounds(start: 0, end: 0))
        for offset in 0..<5 as Range<Offset> {
            partition.takesOff(1)
            _ = partition.landed(1, end: offset + 1)
            partition.takesOff(1)
            _ = partition.took(Self.chunk(offset, [offset], next: offset + 1))
            #expect(partition.growth() == offset + 1)
            _ = partition.landed(1, end: nil)
        }
    }

    @Test func whatComesOutOfOrderIsNotTaken() throws {
        let partition = try Self.partition()
        partition.begin(at: OffsetBounds(start: 0, end: 5))
        #expect(partition.took(Self.chunk(7, [7], next: 8)).change.added == nil)
        #expect(partition.took(Self.chunk(5, [5], next: 6)).change.added != nil)
        partition.hold()
        #expect(partition.readingNext == nil)
        #expect(partition.followedBounds == nil)
        #expect(partition.goOn() == 6)
    }

    // MARK: keys

    @Test func theNewestOfAKeyIsFoundHoweverItsRecordsCome() throws {
        let index = CompactionIndex()
        let event = { (key: String, time: Int64) in
            EventBlock.encode(Event(key: Array(key.utf8), data: nil, timestamp: Timestamp(microseconds: time)))
        }
        let (x, y) = (event("x", 10), event("y", 20))
        let digest = { (block: [UInt8]) in try #require(block.withUnsafeBytes { CompactionIndex.digest($0) }) }
        index.note([(try digest(x), 7), (try digest(y), 8)], upTo: 9)
        index.note([(try digest(x), 3)], upTo: 4)
        #expect(index.next == 9)
        let shows = { (block: [UInt8], offset: Offset, buried: Int64) in
            block.withUnsafeBytes { index.shows(offset, $0, buried: Timestamp(microseconds: buried)) }
        }
        #expect(!shows(x, 3, 0))
        #expect(shows(x, 7, 0))
        #expect(!shows(x, 7, 11))
        #expect(shows(y, 8, 11))
        // Not known to the index yet, and no older than what is.
        #expect(shows(y, 9, 0))
    }

    // MARK: retention by size

    @Test func spansAreJoinedAtTheBoundAndKeepTheirSum() {
        var spans = SizeSpans()
        let count = Limits.Kafka.sizeSpans + 1
        for index in 0..<count {
            spans.add(next: Offset(index + 1), bytes: 10, time: Timestamp(microseconds: Int64(index)))
        }
        #expect(spans.spans.count == (count + 1) / 2)
        #expect(spans.bytes == Int64(count * 10))
        #expect(spans.dropFirst()?.next == 2)
        #expect(spans.bytes == Int64((count - 2) * 10))
        spans.drop(before: Offset(count))
        #expect(spans.bytes == 0)
    }

    // MARK: settings

    @Test(arguments: [
        TopicConfiguration(), TopicConfiguration(partitions: 3, retentionTime: .seconds(60), retentionBytes: 1 << 20),
        TopicConfiguration(partitions: 2, isCompacted: true),
        TopicConfiguration(partitions: 7, retentionTime: .seconds(9), isCompacted: true),
    ])
    func aTopicsSettingsSayWhatItIs(_ configuration: TopicConfiguration) {
        let settings = Dictionary(
            uniqueKeysWithValues: KafkaSettings.of(configuration, tombstones: .seconds(60)))
        let noted = KafkaSettings.decode(KafkaSettings.encode(configuration))
        #expect(noted == configuration)
        #expect(
            KafkaSettings.configuration(settings, partitions: configuration.partitions, noted: noted) == configuration)
        // Somebody changed it on the cluster: what is there holds.
        var changed = settings
        changed["retention.ms"] = "5000"
        let found = KafkaSettings.configuration(changed, partitions: configuration.partitions, noted: noted)
        if settings["cleanup.policy"] != "compact" { #expect(found.retentionTime == .seconds(5)) }
    }

    @Test func propertiesThatPromisesRestOnAreRefused() {
        for name in ["acks", "isolation.level", "transactional.id", "enable.idempotence", "plugin.library.paths"] {
            let configuration = KafkaLogConfiguration(bootstrap: "localhost:1", properties: [name: "x"])
            #expect(LogFixture.code { try KafkaProperties.check(configuration) } == .configurationInvalid)
        }
        #expect(
            LogFixture.code { try KafkaProperties.check(KafkaLogConfiguration(bootstrap: "")) } == .configurationInvalid
        )
    }

    @Test func secretsAreWrittenNowhere() throws {
        let secrets = [
            "sasl.password": "hunter2", "ssl.key.password": "hunter2", "ssl.key.pem": "hunter2",
            "sasl.oauthbearer.client.secret": "hunter2",
        ]
        let configuration = KafkaLogConfiguration(bootstrap: "localhost:1", properties: secrets)
        let properties = KafkaProperties(configuration, .catchingUp, client: "x")
        #expect(!properties.description.contains("hunter2"))
        #expect(properties.entries.contains { $0.name == "sasl.password" && $0.value == "hunter2" })
        let wrong = KafkaLogConfiguration(bootstrap: "localhost:1", properties: ["security.protocol": "sasl_nothing"])
        do {
            try KafkaProperties.check(wrong)
            Issue.record("an unknown protocol was accepted")
        } catch { #expect(error.message.contains("security.protocol")) }
    }

    @Test func base64IsReadAsItWasWritten() {
        for count in 0..<10 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 77 + 3) }
            #expect(Base64.decode(Base64.encode(bytes)) == bytes)
        }
        #expect(Base64.decode("QQ=") == nil)
        #expect(Base64.decode("Q?==") == nil)
    }
}
