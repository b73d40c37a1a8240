import ApusCore
import ApusTestSupport
import Glibc
import Testing

@testable import ApusLog

@Suite struct RoomTests {
    @Test func roomIsFreePagesAndWhatMapAndDiskStillAllow() {
        let account = RoomAccount(
            pageBytes: 4_096, mapBytes: 1_000 * 4_096, usedPages: 400, freePages: 50, diskAvailable: 1 << 40, diskFloor: 0
        )
        #expect(account.room == (50 + 600) * 4_096)
        #expect(account.capacity == 1_000 * 4_096)
        #expect(!account.isDiskBound)
        let onSmallDisk = RoomAccount(
            pageBytes: 4_096, mapBytes: 1_000 * 4_096, usedPages: 400, freePages: 50, diskAvailable: 30 * 4_096, diskFloor: 20 * 4_096
        )
        #expect(onSmallDisk.room == (50 + 10) * 4_096)
        #expect(onSmallDisk.isDiskBound)
        #expect(onSmallDisk.refusal.code == .diskFull)
    }

    @Test func producersAreRefusedUnderFivePercentAndSettlementUnderOne() {
        func account(freePages: Int) -> RoomAccount {
            RoomAccount(
                pageBytes: 4_096, mapBytes: 10_000 * 4_096, usedPages: 10_000, freePages: freePages, diskAvailable: 1 << 40, diskFloor: 0
            )
        }
        #expect(!account(freePages: 500).isShort)
        #expect(account(freePages: 499).isShort)
        #expect(account(freePages: 500).allows(.producer, cost: 0, hasAppends: true))
        #expect(!account(freePages: 500).allows(.producer, cost: 4_096, hasAppends: true))
        #expect(account(freePages: 499).allows(.settlement, cost: 0, hasAppends: true))
        #expect(account(freePages: 100).allows(.settlement, cost: 0, hasAppends: true))
        #expect(!account(freePages: 99).allows(.settlement, cost: 0, hasAppends: true))
        #expect(account(freePages: 99).allows(.settlement, cost: 0, hasAppends: false))
    }

    @Test(arguments: [200, 3_000, 100_000])
    func aFullMapRefusesProducersWhileSettlingGoesOn(bytes: Int) throws {
        let scratch = ScratchDirectory("full")
        let topic = try LogFixture.topic("a")
        let log = try LogFixture.open(scratch.path, smallConfiguration(.process, mapBytes: 8 << 20))
        defer { log.close() }
        try log.createTopic(topic, TopicConfiguration())
        let perBatch = max(1, 10_000 / bytes)
        let append = LogFixture.append(topic, bytes: bytes)
        let (batches, error) = try LogFixture.fill(
            log, LogBatch(urgency: .producer, appends: Array(repeating: append, count: perBatch))
        )
        let written = batches * perBatch
        #expect(error.code == .logFull)
        #expect(written * bytes > 4 << 20, "most of the map was used before it was called full: \(written) records")
        try #require(log.status.roomBytes < log.status.capacityBytes / 10)

        let settlement = LogBatch(
            urgency: .settlement, appends: [LogFixture.append(topic, bytes: 100)], ledger: [LogBatch.LedgerWrite(key: [1], value: [2])]
        )
        for _ in 0..<20 { _ = try LogFixture.write(log, settlement) }
        let (_, last) = try LogFixture.fill(
            log, LogBatch(urgency: .settlement, appends: [LogFixture.append(topic, bytes: bytes)])
        )
        #expect(last.code == .logFull)
        _ = try LogFixture.write(log, LogBatch(urgency: .settlement, ledger: [LogBatch.LedgerWrite(key: [1], value: [3])]))
        #expect(try log.ledger(prefix: [1]).map(\.value) == [[3]])
        #expect(try LogFixture.count(log, topic) > written)
    }

    @Test func retentionMakesRoomOnAFullLog() throws {
        let scratch = ScratchDirectory("full")
        let topic = try LogFixture.topic("a")
        let clock = ManualClock()
        let log = try LogFixture.open(scratch.path, smallConfiguration(.process, mapBytes: 4 << 20), clock: clock)
        defer { log.close() }
        try log.createTopic(topic, TopicConfiguration(retentionTime: .seconds(10)))
        let batch = LogBatch(urgency: .producer, appends: [LogFixture.append(topic, bytes: 1_000)])
        for _ in 0..<3 {
            let (written, error) = try LogFixture.fill(log, batch)
            #expect(error.code == .logFull)
            #expect(written > 1_000)
            clock.advance(by: .seconds(20))
            try LogFixture.eventually("room") {
                try log.bounds(of: TopicPartition(topic, 0)).start == log.bounds(of: TopicPartition(topic, 0)).end && !log.status.isShort
            }
        }
    }

    @Test func deletingATopicGivesItsRoomAndTablesBack() throws {
        let scratch = ScratchDirectory("deleted")
        let topic = try LogFixture.topic("a")
        var configuration = smallConfiguration(mapBytes: 8 << 20)
        configuration.maintenanceStepRecords = 100
        configuration.tables = 2
        let log = try LogFixture.open(scratch.path, configuration)
        defer { log.close() }
        for _ in 0..<3 {
            // The two tables of the deleted topic are all there are: the next one waits for them to be empty.
            try LogFixture.eventually("tables") {
                LogFixture.code { try log.createTopic(topic, TopicConfiguration(isCompacted: true)) } == nil
            }
            #expect(try log.bounds(of: TopicPartition(topic, 0)) == OffsetBounds(start: 0, end: 0))
            for round in 0..<40 {
                let appends = (0..<100).map { LogFixture.append(topic, bytes: 400, key: "\(round) \($0)") }
                _ = try LogFixture.write(log, LogBatch(urgency: .producer, appends: appends))
            }
            #expect(try LogFixture.count(log, topic) == 4_000)
            try log.deleteTopic(topic)
            try LogFixture.eventually("room") { log.status.roomBytes > log.status.capacityBytes * 8 / 10 }
        }
    }

    @Test func aFullDiskIsAnErrorAndTheLogLives() throws {
        let scratch = ScratchDirectory("disk")
        guard mount("tmpfs", scratch.path, "tmpfs", 0, "size=6m") == 0 else {
            print("skipped: mounting a small file system needs root (\(String(cString: strerror(errno))))")
            return
        }
        defer { umount2(scratch.path, CInt(MNT_DETACH)) }
        let topic = try LogFixture.topic("a")
        let data = scratch.path + "/data"
        let log = try LogFixture.open(data, smallConfiguration(mapBytes: 256 << 20))
        try log.createTopic(topic, TopicConfiguration())
        let batch = LogBatch(urgency: .producer, appends: [LogFixture.append(topic, bytes: 10_000)])
        for _ in 0..<50 { _ = try LogFixture.write(log, batch) }

        // Someone else fills the disk: the log meets it in the middle of a commit.
        let filler = try #require(fopen(scratch.path + "/filler", "w"))
        let junk = [UInt8](repeating: 1, count: 65_536)
        while fwrite(junk, 1, junk.count, filler) == junk.count {}
        fclose(filler)
        let (_, error) = try LogFixture.fill(log, LogBatch(urgency: .settlement, appends: [LogFixture.append(topic, bytes: 500_000)]))
        #expect(error.code == .diskFull)
        let written = try LogFixture.count(log, topic)
        #expect(written >= 50)

        unlink(scratch.path + "/filler")
        try LogFixture.eventually("room") { LogFixture.code { _ = try LogFixture.write(log, batch) } == nil }
        #expect(log.status.failure == nil)
        log.close()
        let reopened = try LogFixture.open(data, smallConfiguration(mapBytes: 256 << 20))
        #expect(try LogFixture.count(reopened, topic) > written)
        reopened.close()
    }

    @Test func theDiskFloorIsLeftToOthers() throws {
        let scratch = ScratchDirectory("floor")
        let topic = try LogFixture.topic("a")
        var configuration = smallConfiguration()
        configuration.diskFloorBytes = .max / 2
        let log = try LogFixture.open(scratch.path, configuration)
        defer { log.close() }
        try log.createTopic(topic, TopicConfiguration())
        let (_, error) = try LogFixture.fill(log, LogBatch(urgency: .producer, appends: [LogFixture.append(topic, bytes: 4_000)]))
        #expect(error.code == .diskFull)
    }
}
