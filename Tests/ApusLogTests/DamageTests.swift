import ApusCore
import ApusTestSupport
import CLMDB
import Glibc
import Testing

@testable import ApusLog

@Suite struct DamageTests {
    /// A closed log with small and large records, a compacted topic and a ledger.
    private static func makeLog(_ path: String, durability: EmbeddedLogConfiguration.Durability = .fsync) throws {
        let log = try LogFixture.open(path, smallConfiguration(durability))
        let topic = try LogFixture.topic("a")
        let compacted = try LogFixture.topic("c")
        try log.createTopic(topic, TopicConfiguration(partitions: 2, retentionBytes: 300_000))
        try log.createTopic(compacted, TopicConfiguration(isCompacted: true))
        for index in 0..<40 {
            let appends = (0..<25).map { LogFixture.append(topic, bytes: $0 == 0 ? 9_000 : 300, partition: index % 2) }
            let newest = LogFixture.append(compacted, bytes: 50, key: "\(index % 7)")
            let entry = LogBatch.LedgerWrite(key: Array("key \(index)".utf8), value: [UInt8(index)])
            _ = try LogFixture.write(log, LogBatch(urgency: .producer, appends: appends + [newest], ledger: [entry]))
        }
        log.close()
    }

    private static func open(_ path: String, whole: Bool = false) -> ErrorCode? {
        LogFixture.code {
            var configuration = smallConfiguration()
            configuration.checksWholeFile = whole
            let log = try LogFixture.open(path, configuration)
            log.close()
        }
    }

    @Test func twoServersOnOneDirectoryAreRefused() throws {
        let scratch = ScratchDirectory("two")
        let first = try LogFixture.open(scratch.path, smallConfiguration())
        #expect(DamageTests.open(scratch.path) == .dataDirectoryInUse)
        first.close()
        #expect(DamageTests.open(scratch.path) == nil)
    }

    @Test func aDirectoryThatCannotBeIsAnError() throws {
        let scratch = ScratchDirectory("none")
        #expect(DamageTests.open(scratch.path + "/a/b") == .dataDirectoryInvalid)
        try LogFixture.writeFile(scratch.path + "/file", [1])
        #expect(DamageTests.open(scratch.path + "/file") == .dataDirectoryInvalid)
        #expect(DamageTests.open(scratch.path + "/new") == nil, "a missing directory is made")
    }

    @Test func aSoundFilePassesTheWholeCheck() throws {
        let scratch = ScratchDirectory("sound")
        try DamageTests.makeLog(scratch.path)
        #expect(DamageTests.open(scratch.path, whole: true) == nil)
    }

    @Test(arguments: [1, 100, 4_096, 5_000, 8_192, 20_000])
    func aCutFileIsDamaged(bytes: Int) throws {
        let scratch = ScratchDirectory("cut")
        try DamageTests.makeLog(scratch.path)
        let file = scratch.path + "/log.mdb"
        try LogFixture.writeFile(file, Array(try LogFixture.readFile(file).prefix(bytes)))
        #expect(DamageTests.open(scratch.path) == .logDamaged)
    }

    @Test func aFileWithoutItsLastPagesIsDamagedOrWhole() throws {
        let scratch = ScratchDirectory("tail")
        try DamageTests.makeLog(scratch.path)
        let file = scratch.path + "/log.mdb"
        let bytes = try LogFixture.readFile(file)
        try LogFixture.writeFile(file, Array(bytes.prefix(bytes.count / 2)))
        #expect(DamageTests.open(scratch.path) == .logDamaged)
    }

    @Test func anEmptyFileIsANewLog() throws {
        let scratch = ScratchDirectory("empty")
        try LogFixture.writeFile(scratch.path + "/log.mdb", [])
        #expect(DamageTests.open(scratch.path) == nil)
    }

    @Test func whatIsNoLogIsRefused() throws {
        let scratch = ScratchDirectory("alien")
        var generator = SeededGenerator(seed: 7)
        try LogFixture.writeFile(scratch.path + "/log.mdb", generator.bytes(100_000))
        #expect(DamageTests.open(scratch.path) == .logDamaged)
        try LogFixture.writeFile(scratch.path + "/log.mdb", Array(repeating: 0, count: 100_000))
        #expect(DamageTests.open(scratch.path) == .logDamaged)
    }

    /// Runs `change` on the tables of a closed log, with LMDB itself.
    private static func edit(_ path: String, _ table: String, _ key: String, _ value: [UInt8]) throws {
        let environment = try Environment(
            path: path + "/log.mdb", mapBytes: 64 << 20, tables: 8, readers: 8, syncsCommits: true)
        defer { environment.close() }
        let transaction = try WriteTransaction(environment)
        let table = try transaction.openTable(table, flags: MDB_CREATE)
        try transaction.put(table, Array(key.utf8), value)
        try transaction.commit()
    }

    @Test func aNewerFormatIsRefusedAndLeftAlone() throws {
        let scratch = ScratchDirectory("newer")
        try DamageTests.makeLog(scratch.path)
        try DamageTests.edit(scratch.path, "meta", "format", [UInt8(LogTables.format + 1), 0, 0, 0])
        let before = try LogFixture.readFile(scratch.path + "/log.mdb")
        #expect(DamageTests.open(scratch.path) == .logFormat)
        #expect(try LogFixture.readFile(scratch.path + "/log.mdb") == before)
    }

    @Test func anotherLMDBIsRefused() throws {
        let scratch = ScratchDirectory("lmdb")
        try DamageTests.makeLog(scratch.path)
        var bytes = try LogFixture.readFile(scratch.path + "/log.mdb")
        bytes[20] = 2
        bytes[4_096 + 20] = 2
        try LogFixture.writeFile(scratch.path + "/log.mdb", bytes)
        #expect(DamageTests.open(scratch.path) == .logFormat)
    }

    @Test func tablesThatContradictEachOtherAreDamage() throws {
        let scratch = ScratchDirectory("contradiction")
        try DamageTests.makeLog(scratch.path)
        try DamageTests.edit(scratch.path, "topics", "a", [1, 0, 0, 0])
        #expect(DamageTests.open(scratch.path) == .logDamaged)
        let other = ScratchDirectory("stranger")
        try DamageTests.edit(other.path, "somebody", "else", [1])
        #expect(DamageTests.open(other.path) == .logDamaged)
    }

    @Test func anUncleanStartOfTheMachineChecksTheWholeFile() throws {
        let scratch = ScratchDirectory("boot")
        try DamageTests.makeLog(scratch.path)
        let file = scratch.path + "/log.mdb"
        // A file that is larger than what each start checks.
        var bytes = try LogFixture.readFile(file)
        bytes += Array(repeating: 0, count: Limits.Log.checkedAtOpenBytes)
        // Damage that only a walk can see: pages with records that say to be others.
        let filling = Array(repeating: UInt8(7), count: 200)
        for start in stride(from: 2 * 4_096, to: bytes.count, by: 4_096) {
            let isLeaf = bytes[start + 10] == 2
            if isLeaf, Array(bytes[start + 3_850..<start + 4_050]) == filling { bytes[start] ^= 0xFF }
        }
        try LogFixture.writeFile(file, bytes)
        func open(boot: String, marker: String?) throws -> ErrorCode? {
            if let marker { try LogFixture.writeFile(file + "-boot", Array(marker.utf8)) }
            return LogFixture.code {
                var configuration = smallConfiguration(.process, mapBytes: 256 << 20)
                configuration.bootID = boot
                let log = try LogFixture.open(scratch.path, configuration)
                log.close()
            }
        }
        #expect(try open(boot: "one", marker: "one") == nil, "the same boot: the kernel kept everything")
        #expect(try open(boot: "two", marker: nil) == nil, "closed cleanly")
        #expect(try open(boot: "two", marker: "one") == .logDamaged, "the machine went down with the log open")
    }

    @Test func theBootMarkerIsThereWhileTheLogIsOpen() throws {
        let scratch = ScratchDirectory("marker")
        let marker = scratch.path + "/log.mdb-boot"
        let log = try LogFixture.open(scratch.path, smallConfiguration(.process))
        #expect(try LogFixture.readFile(marker) == Array("this boot".utf8))
        log.close()
        #expect(access(marker, F_OK) != 0)
        #expect(EmbeddedLogConfiguration.systemBootID().utf8.count == 36)
    }

    /// The check reads bytes that may say anything. It must answer, whatever they say; most changes of structure it
    /// must find.
    @Test func theCheckSurvivesEveryDamage() throws {
        let scratch = ScratchDirectory("fuzz")
        try DamageTests.makeLog(scratch.path)
        let sound = try LogFixture.readFile(scratch.path + "/log.mdb")
        let seed = UInt64(20_240_607)
        var generator = SeededGenerator(seed: seed)
        var found = 0
        let rounds = 3_000
        for round in 0..<rounds {
            var bytes = sound
            for _ in 0..<Int.random(in: 1...8, using: &generator) {
                let page = Int.random(in: 0..<bytes.count / 4_096, using: &generator) * 4_096
                // Heads of pages and their entries' places more often than data.
                let inside =
                    Bool.random(using: &generator)
                    ? Int.random(in: 0..<64, using: &generator) : Int.random(in: 0..<4_096, using: &generator)
                bytes[page + inside] = UInt8.random(in: 0...255, using: &generator)
            }
            let isFound = bytes.withUnsafeBytes { raw in
                do {
                    let meta = try FileMeta(parsing: raw)
                    var walk = TreeWalk(bytes: raw, meta: meta)
                    try walk.run()
                    return false
                } catch {
                    return true
                }
            }
            if isFound { found += 1 }
            try #require(round >= 0, "seed \(seed), round \(round)")
        }
        #expect(found > rounds / 4, "seed \(seed): \(found) of \(rounds)")
    }
}
