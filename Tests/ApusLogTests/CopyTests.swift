import ApusCore
import ApusTestSupport
import CLMDB
import Glibc
import Testing

@testable import ApusLog

@Suite struct CopyTests {
    private struct Copied: Equatable {
        var records: [String: [Offset: [UInt8]]] = [:]
        var ledger: [[UInt8]: [UInt8]] = [:]
    }

    /// Walks the rest of a copy.
    private static func walk(_ copy: any LogCopy, maxBytes: Int = 200) throws -> Copied {
        var copied = Copied()
        for (topic, noted) in copy.topics.enumerated() {
            for number in noted.partitions.indices {
                var next: Offset = 0
                var records: [Offset: [UInt8]] = [:]
                while next < noted.partitions[number].bounds.end {
                    next = try copy.read(topic: topic, partition: number, from: next, maxBytes: maxBytes) {
                        records[$0] = Array($1)
                    }
                }
                copied.records["\(noted.name)/\(number)"] = records
                copy.release(topic: topic, partition: number)
            }
        }
        for entries in copy.entries { for entry in entries.entries { copied.ledger[entry.key] = entry.value } }
        return copied
    }

    /// Every record that is there now, by partition.
    private static func contents(_ log: EmbeddedLog) throws -> [String: [Offset: [UInt8]]] {
        var all: [String: [Offset: [UInt8]]] = [:]
        for name in log.topics() {
            for number in 0..<(log.topic(name)?.partitions ?? 0) {
                let place = TopicPartition(name, number)
                let end = try log.bounds(of: place).end
                var records: [Offset: [UInt8]] = [:]
                _ = try log.read(place, from: 0, maxRecords: .max, maxBytes: .max) {
                    records[$0] = Array($1)
                    return $0 < end
                }
                all["\(name)/\(number)"] = records
            }
        }
        return all
    }

    private static func put(_ log: EmbeddedLog, _ topic: TopicName, key: String, _ text: String) throws {
        let block = EventBlock.encode(Event(key: Array(key.utf8), data: Array(text.utf8)))
        let entry = LogBatch.LedgerWrite(key: Array("l-\(key)".utf8), value: Array(text.utf8))
        _ = try LogFixture.write(
            log,
            LogBatch(
                urgency: .producer, appends: [LogBatch.Append(topic: topic, partition: 0, block: block)],
                ledger: [entry]))
    }

    @Test func aCopyHoldsTheMomentItBeganWhateverIsWrittenMeanwhile() throws {
        let scratch = ScratchDirectory("copy")
        let log = try LogFixture.open(scratch.path, smallConfiguration())
        defer { log.close() }
        let table = try LogFixture.topic("table")
        let plain = try LogFixture.topic("plain")
        try log.createTopic(table, TopicConfiguration(isCompacted: true))
        try log.createTopic(plain, TopicConfiguration(retentionBytes: 2_000))
        for index in 0..<20 { try Self.put(log, table, key: "\(index % 10)", "first \(index)") }
        for index in 0..<5 { try Self.put(log, plain, key: "p", "plain \(index)") }
        let before = try Self.contents(log)
        let ledger = try log.ledger(prefix: [])

        let copy = try log.beginCopy()
        // Every key is replaced, one is deleted, old records are over their size, a topic goes and one comes.
        for index in 0..<10 { try Self.put(log, table, key: "\(index)", "second") }
        for _ in 0..<50 { try Self.put(log, plain, key: "q", String(repeating: "x", count: 200)) }
        try log.createTopic(try LogFixture.topic("new"), TopicConfiguration())
        try log.deleteTopic(plain)
        try log.createTopic(plain, TopicConfiguration())
        try Self.put(log, plain, key: "other", "another topic of this name")
        let copied = try Self.walk(copy)
        #expect(copied.records == before)
        #expect(copied.ledger.count == ledger.count && ledger.allSatisfy { copied.ledger[$0.key] == $0.value })

        copy.end()
        try LogFixture.eventually("what the copy kept goes") { try LogFixture.count(log, table) == 10 }
    }

    @Test func whatACopyKeptGoesAlsoAfterAnEndInTheMiddle() throws {
        let scratch = ScratchDirectory("kept")
        let table = try LogFixture.topic("table")
        do {
            let log = try LogFixture.open(scratch.path, smallConfiguration())
            try log.createTopic(table, TopicConfiguration(isCompacted: true))
            for index in 0..<30 { try Self.put(log, table, key: "\(index)", "first") }
            let copy = try log.beginCopy()
            for index in 0..<30 { try Self.put(log, table, key: "\(index)", "second") }
            #expect(try LogFixture.count(log, table) == 60)
            log.close()
            withExtendedLifetime(copy) {}
        }
        let log = try LogFixture.open(scratch.path, smallConfiguration())
        defer { log.close() }
        try LogFixture.eventually("what was superseded goes") { try LogFixture.count(log, table) == 30 }
        #expect(try Self.contents(log)["table/0"]?.keys.min() == 30)
    }

    @Test func retentionWaitsForACopyAndGoesOnAfterIt() throws {
        let scratch = ScratchDirectory("retention")
        let clock = ManualClock()
        let log = try LogFixture.open(scratch.path, smallConfiguration(), clock: clock)
        defer { log.close() }
        let topic = try LogFixture.topic("a")
        let other = try LogFixture.topic("b")
        let configuration = TopicConfiguration(retentionTime: .seconds(10))
        for name in [topic, other] {
            try log.createTopic(name, configuration)
            try Self.put(log, name, key: "k", "v")
        }
        let copy = try log.beginCopy()
        clock.advance(by: .seconds(60))
        // The first topic is walked: retention may have it, and the other not.
        _ = try copy.read(topic: 0, partition: 0, from: 0, maxBytes: 1) { _, _ in }
        copy.release(topic: 0, partition: 0)
        try LogFixture.eventually("the walked topic is swept") { try LogFixture.count(log, topic) == 0 }
        #expect(try LogFixture.count(log, other) == 1)
        copy.end()
        try LogFixture.eventually("the other is swept") { try LogFixture.count(log, other) == 0 }
    }

    @Test func oneCopyIsUnderWayAtATime() throws {
        let scratch = ScratchDirectory("one")
        let log = try LogFixture.open(scratch.path, smallConfiguration())
        defer { log.close() }
        let first = try log.beginCopy()
        #expect(LogFixture.code { _ = try log.beginCopy() } == .conflict)
        first.end()
        let second = try log.beginCopy()
        second.end()
    }

    @Test func aCopyMayStandStillForItsBoundAndTakeItsTimeAndNoLonger() {
        let stall = EmbeddedLogConfiguration().copyStall.milliseconds
        #expect(stall == Limits.Log.copyStallMilliseconds)
        let idle = CopyHold(ends: [1: 5], stallMilliseconds: stall, now: 100)
        idle.check(now: 100 + stall, isShort: false)
        #expect(!idle.isOver && idle.keeps(1, 4))
        idle.check(now: 101 + stall, isShort: false)
        #expect(idle.failure?.code == .deadlineExceeded && !idle.keeps(1, 4))

        let long = CopyHold(ends: [1: 5], stallMilliseconds: stall, now: 100)
        long.progressed(now: 100 + Limits.Log.copyMilliseconds)
        long.check(now: 100 + Limits.Log.copyMilliseconds, isShort: false)
        #expect(!long.isOver)
        long.check(now: 101 + Limits.Log.copyMilliseconds, isShort: false)
        #expect(long.failure?.code == .deadlineExceeded)
    }

    @Test func aCopyThatStallsIsEndedAndSaysSo() throws {
        let scratch = ScratchDirectory("stall")
        var configuration = smallConfiguration()
        configuration.copyStall = .milliseconds(50)
        let log = try LogFixture.open(scratch.path, configuration)
        defer { log.close() }
        let topic = try LogFixture.topic("a")
        try log.createTopic(topic, TopicConfiguration())
        try Self.put(log, topic, key: "k", "v")
        let copy = try log.beginCopy()
        try LogFixture.eventually("the copy is ended") { copy.failure?.code == .deadlineExceeded }
        #expect(LogFixture.code { _ = try Self.walk(copy) } == .deadlineExceeded)
        #expect(LogFixture.code { try log.beginCopy().end() } == nil, "another may begin")
    }

    @Test func aCopyGivesWayWhenTheLogNeedsTheRoom() throws {
        let scratch = ScratchDirectory("room")
        let log = try LogFixture.open(scratch.path, smallConfiguration(mapBytes: 2 << 20))
        defer { log.close() }
        let topic = try LogFixture.topic("a")
        try log.createTopic(topic, TopicConfiguration(retentionBytes: 300_000))
        let batch = LogBatch(urgency: .producer, appends: [LogFixture.append(topic, bytes: 60_000)])
        _ = try LogFixture.write(log, batch)
        let copy = try log.beginCopy()
        for _ in 0..<2_000 where copy.failure == nil {
            // A refused producer is no failure: the room is what is waited for.
            _ = LogFixture.code { _ = try LogFixture.write(log, batch) }
        }
        #expect(copy.failure?.code == .logFull)
        try LogFixture.eventually("the log takes records again") {
            LogFixture.code { _ = try LogFixture.write(log, batch) } == nil
        }
    }

    // MARK: restore

    private static func restore(_ copy: any LogCopy, _ copied: Copied, into path: String) throws {
        let restore = try LogRestore(directory: path, configuration: smallConfiguration(), identity: copy.identity)
        for topic in copy.topics { try restore.add(topic) }
        for entries in copy.entries { try restore.add(entries) }
        for (index, topic) in copy.topics.enumerated() {
            for number in topic.partitions.indices {
                for (offset, block) in (copied.records["\(topic.name)/\(number)"] ?? [:]).sorted(by: { $0.key < $1.key }
                ) { try restore.add(topic: index, partition: number, offset, block) }
            }
        }
        try restore.finish()
    }

    @Test func aRestoredLogGoesOnWhereTheCopyWasTaken() throws {
        let (source, target) = (ScratchDirectory("source"), ScratchDirectory("target"))
        let clock = ManualClock()
        let log = try LogFixture.open(source.path, smallConfiguration(), clock: clock)
        let table = try LogFixture.topic("table")
        let plain = try LogFixture.topic("plain")
        try log.createTopic(table, TopicConfiguration(isCompacted: true))
        try log.createTopic(plain, TopicConfiguration(partitions: 3, retentionTime: .seconds(50)))
        for index in 0..<12 { try Self.put(log, table, key: "\(index % 5)", "\(index)") }
        let tombstone = EventBlock.encode(Event(key: Array("4".utf8), data: nil))
        _ = try LogFixture.write(
            log, LogBatch(urgency: .producer, appends: [LogBatch.Append(topic: table, partition: 0, block: tombstone)]))
        for index in 0..<9 {
            _ = try LogFixture.write(
                log, LogBatch(urgency: .producer, appends: [LogFixture.append(plain, bytes: 100, partition: index % 3)])
            )
        }
        let copy = try log.beginCopy()
        let copied = try Self.walk(copy)
        try Self.restore(copy, copied, into: target.path)
        copy.end()

        var whole = smallConfiguration()
        whole.checksWholeFile = true
        let restored = try LogFixture.open(target.path, whole, clock: clock)
        defer { restored.close() }
        #expect(restored.identity != log.identity)
        #expect(try Self.contents(restored) == Self.contents(log))
        #expect(try restored.ledger(prefix: []).map(\.value) == log.ledger(prefix: []).map(\.value))
        #expect(restored.topic(plain) == log.topic(plain) && restored.topic(table) == log.topic(table))
        for number in 0..<3 {
            let place = TopicPartition(plain, number)
            #expect(try restored.bounds(of: place) == log.bounds(of: place))
        }
        // The index of the compacted topic is there: a new record takes the place of its predecessor.
        try Self.put(restored, table, key: "1", "new")
        #expect(try LogFixture.count(restored, table) == 5)
        // So are the notes of tombstones and the ages of records.
        clock.advance(by: .seconds(4_000))
        try LogFixture.eventually("tombstone and old records go") {
            try LogFixture.count(restored, table) == 4 && LogFixture.count(restored, plain) == 0
        }
        log.close()
    }

    @Test func aDeadLetterKeepsItsIdThroughRestores() throws {
        let dead = Event(
            data: [1], timestamp: .zero
        ).adding(Attribute(DeadLetterHeader.code, "function_failed", kind: .header))
        let block = EventBlock.encode(dead)
        let once = RestoredRecord(block, try EventLayout(parsing: block.span.bytes)).marked("first")
        let twice = RestoredRecord(once, try EventLayout(parsing: once.span.bytes)).marked("second")
        #expect(once == twice)
        let ids = try EventBlock.decode(once.span.bytes).attributes.filter { $0.name == DeadLetterHeader.restoredID }
        #expect(ids.map(\.text) == ["first"])
        let ordinary = EventBlock.encode(Event(data: [1]).adding(Attribute("id", "x")))
        #expect(RestoredRecord(ordinary, try EventLayout(parsing: ordinary.span.bytes)).marked("x") == ordinary)
    }

    @Test func aDeadLetterWithoutRoomForItsIdLosesItsStackTraceFirst() throws {
        var dead = Event(data: [1]).adding(Attribute(DeadLetterHeader.code, "c", kind: .header))
        dead.attributes.append(
            Attribute(DeadLetterHeader.detail, String(repeating: "d", count: 60_000), kind: .header))
        dead.attributes.append(Attribute("more", String(repeating: "m", count: 5_400), kind: .header))
        let block = EventBlock.encode(dead)
        let marked = RestoredRecord(block, try EventLayout(parsing: block.span.bytes)).marked(
            String(repeating: "i", count: 200))
        let names = try EventBlock.decode(marked.span.bytes).attributes.map(\.name)
        #expect(names == [DeadLetterHeader.code, "more", DeadLetterHeader.restoredID])
    }

    @Test func whatNoLogCouldHoldIsNotRestored() throws {
        let scratch = ScratchDirectory("bad")
        let restore = try LogRestore(directory: scratch.path, configuration: smallConfiguration(), identity: 1)
        defer { restore.close() }
        let name = try LogFixture.topic("a")
        let partition = LogCopyTopic.Partition(
            bounds: OffsetBounds(start: 2, end: 4), lastTimestamp: Timestamp(microseconds: 1))
        let topic = LogCopyTopic(name: name, configuration: TopicConfiguration(), partitions: [partition])
        var uneven = topic
        uneven.configuration.partitions = 2
        #expect(LogFixture.code { try restore.add(uneven) } == .backupInvalid)
        try restore.add(topic)
        #expect(LogFixture.code { try restore.add(topic) } == .backupInvalid, "twice")
        let block = EventBlock.encode(Event(data: [1]))
        for (topic, partition, offset) in [(1, 0, 2), (0, 1, 2), (0, 0, 1), (0, 0, 4), (0, 0, -1)]
            as [(Int, Int, Offset)]
        {
            #expect(
                LogFixture.code { try restore.add(topic: topic, partition: partition, offset, block) } == .backupInvalid
            )
        }
        try restore.add(topic: 0, partition: 0, 3, block)
        #expect(
            LogFixture.code { try restore.add(topic: 0, partition: 0, 3, block) } == .backupInvalid, "not ascending")
        #expect(LogFixture.code { try restore.add(topic: 0, partition: 0, 3, [1, 2]) } == .backupInvalid, "no event")
        let entries = LogCopyEntries(table: "secrets", entries: [])
        #expect(LogFixture.code { try restore.add(entries) } == .backupInvalid)
    }

    // MARK: formats

    /// Makes of a log of the present format one of format 1: it had no notes of superseded records.
    private static func makeVersion1(_ path: String) throws {
        var environment: OpaquePointer?
        var transaction: OpaquePointer?
        var (superseded, meta) = (MDB_dbi(), MDB_dbi())
        try #require(mdb_env_create(&environment) == 0)
        mdb_env_set_maxdbs(environment, 4)
        try #require(mdb_env_open(environment, "\(path)/log.mdb", UInt32(MDB_NOSUBDIR), 0o600) == 0)
        try #require(mdb_txn_begin(environment, nil, 0, &transaction) == 0)
        try #require(mdb_dbi_open(transaction, "superseded", 0, &superseded) == 0)
        try #require(mdb_drop(transaction, superseded, 1) == 0)
        try #require(mdb_dbi_open(transaction, "meta", 0, &meta) == 0)
        var (name, one) = (Array("format".utf8), [UInt8]([1, 0, 0, 0]))
        let rc = name.withUnsafeMutableBytes { name in
            one.withUnsafeMutableBytes { one in
                var key = MDB_val(mv_size: name.count, mv_data: name.baseAddress)
                var value = MDB_val(mv_size: one.count, mv_data: one.baseAddress)
                return mdb_put(transaction, meta, &key, &value, 0)
            }
        }
        try #require(rc == 0 && mdb_txn_commit(transaction) == 0)
        mdb_env_close(environment)
    }

    @Test func aLogOfFormat1IsMigratedWithEverythingInIt() throws {
        let scratch = ScratchDirectory("format1")
        let table = try LogFixture.topic("table")
        var log = try LogFixture.open(scratch.path, smallConfiguration())
        let identity = log.identity
        try log.createTopic(table, TopicConfiguration(isCompacted: true))
        for index in 0..<10 { try Self.put(log, table, key: "\(index)", "v") }
        let before = try Self.contents(log)
        log.close()
        try Self.makeVersion1(scratch.path)

        log = try LogFixture.open(scratch.path, smallConfiguration())
        #expect(log.identity == identity)
        #expect(try Self.contents(log) == before)
        // What the new format is for works, and stays.
        let copy = try log.beginCopy()
        try Self.put(log, table, key: "1", "newer")
        #expect(try Self.walk(copy).records == before)
        copy.end()
        log.close()
        log = try LogFixture.open(scratch.path, smallConfiguration())
        #expect(try LogFixture.count(log, table) >= 10)
        log.close()
    }
}

extension Event {
    fileprivate func adding(_ attribute: Attribute) -> Event {
        var event = self
        event.attributes.append(attribute)
        return event
    }
}
