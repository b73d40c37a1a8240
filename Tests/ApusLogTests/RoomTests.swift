import ApusCore
import ApusTestSupport
import Glibc
import Testing

@testable import ApusLog

@Suite struct RoomTests {
    @Test func roomIsFreePagesAndWhatMapAndDiskStillAllow() {
        let account = RoomAccount(
            pageBytes: 4_096, mapBytes: 1_000 * 4_096, usedPages: 400, freePages: 50, diskAvailable: 1 << 40,
            diskFloor: 0
        )
        #expect(account.room == (50 + 600) * 4_096)
        #expect(account.capacity == 1_000 * 4_096)
        #expect(!account.isDiskBound)
        let onSmallDisk = RoomAccount(
            pageBytes: 4_096, mapBytes: 1_000 * 4_096, usedPages: 400, freePages: 50, diskAvailable: 30 * 4_096,
            diskFloor: 20 * 4_096
        )
        #expect(onSmallDisk.room == (50 + 10) * 4_096)
        #expect(onSmallDisk.isDiskBound)
        #expect(onSmallDisk.refusal.code == .diskFull)
    }

    @Test func producersAreRefusedUnderFivePercentAndSettlementUnderOne() {
        func account(freePages: Int) -> RoomAccount {
            RoomAccount(
                pageBytes: 4_096, mapBytes: 10_000 * 4_096, usedPages: 10_000, freePages: freePages,
                diskAvailable: 1 << 40, diskFloor: 0
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
            urgency: .settlement, appends: [LogFixture.append(topic, bytes: 100)],
            ledger: [LogBatch.LedgerWrite(key: [1], value: [2])]
        )
        for _ in 0..<20 { _ = try LogFixture.write(log, settlement) }
        let (_, last) = try LogFixture.fill(
            log, LogBatch(urgency: .settlement, appends: [LogFixture.append(topic, bytes: bytes)])
        )
        #expect(last.code == .logFull)
        _ = try LogFixture.write(
            log, LogBatch(urgency: .settlement, ledger: [LogBatch.LedgerWrite(key: [1], value: [3])]))
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
                try log.bounds(of: TopicPartition(topic, 0)).start == log.bounds(of: TopicPartition(topic, 0)).end
                    && !log.status.isShort
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
        var configuration = smallConfiguration(mapBytes: 256 << 20)
        // Room is not measured between the steps of this test.
        configuration.maintenanceInterval = .seconds(3_600)
        let log = try LogFixture.open(data, configuration)
        try log.createTopic(topic, TopicConfiguration())
        let batch = LogBatch(urgency: .producer, appends: [LogFixture.append(topic, bytes: 10_000)])
        for _ in 0..<50 { _ = try LogFixture.write(log, batch) }

        // The writer is held up in a completion while someone else fills the disk and nine batches come: they are one
        // group, which meets the full disk in the middle of its transaction.
        let isHeld = Monitor(false)
        let mayGoOn = Monitor(false)
        log.submit(batch) { _ in
            isHeld.withLock { $0 = true }
            isHeld.signal()
            _ = mayGoOn.take(within: 20_000) { $0 ? true : nil }
        }
        try #require(isHeld.take(within: 20_000) { $0 ? true : nil } == true)
        let filler = try #require(fopen(scratch.path + "/filler", "w"))
        let junk = [UInt8](repeating: 1, count: 65_536)
        while fwrite(junk, 1, junk.count, filler) == junk.count {}
        fclose(filler)
        let answers = Monitor<[Int: ErrorCode?]>([:])
        for index in 0..<9 {
            let appends = index % 3 == 1 ? [LogFixture.append(topic, bytes: 500_000)] : []
            let entry = LogBatch.LedgerWrite(key: [UInt8(index)], value: [1])
            log.submit(LogBatch(urgency: .settlement, appends: appends, ledger: [entry])) { result in
                answers.withLock { $0[index] = .some(LogFixture.code { _ = try result.get() }) }
                answers.signal()
            }
        }
        mayGoOn.withLock { $0 = true }
        mayGoOn.signal()
        let codes = try #require(answers.take(within: 20_000) { $0.count == 9 ? $0 : nil })
        // What does not fit fails alone.
        for index in 0..<9 { #expect(codes[index] == .some(index % 3 == 1 ? .diskFull : nil), "batch \(index)") }
        #expect(try log.ledger(prefix: []).map(\.key) == [[0], [2], [3], [5], [6], [8]])
        #expect(log.status.failure == nil, "the last commit went well")
        #expect(LogFixture.code { _ = try LogFixture.write(log, batch) } == .diskFull)
        #expect(try LogFixture.count(log, topic) == 51)
        let written = 51

        unlink(scratch.path + "/filler")
        _ = try LogFixture.write(
            log, LogBatch(urgency: .settlement, ledger: [LogBatch.LedgerWrite(key: [1], value: [1])]))
        _ = try LogFixture.write(log, batch)
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
        let (_, error) = try LogFixture.fill(
            log, LogBatch(urgency: .producer, appends: [LogFixture.append(topic, bytes: 4_000)]))
        #expect(error.code == .diskFull)
    }
}
