import ApusCore
import ApusLoop
import ApusStore
import ApusTestSupport
import ApusTools
import Synchronization
import Testing

@testable import ApusServer

@Suite struct AuditJournalTests {
    static func masterKeys() throws -> MasterKeys {
        let folder = ScratchDirectory("audit-keys")
        return try withExtendedLifetime(folder) { try Server.keys(nil, run: folder.path) }
    }

    static func keys() throws -> AuditKeys { AuditKeys(try Self.masterKeys().derived(for: "apus audit 1")) }

    /// A journal on a log whose writes wait.
    private final class Rig: Sendable {
        let log = HeldLog()
        let journal: AuditJournal
        /// What became of each entry, in the order in which that was told.
        let outcomes = Mutex<[String]>([])

        init() throws {
            try self.log.createTopic(.audit, TopicConfiguration(partitions: Limits.Audit.partitions))
            self.journal = try AuditJournal(self.log, try AuditJournalTests.masterKeys(), server: "node")
            self.log.set(.held)
        }

        func note(_ subject: String) {
            let entry = AuditEntry(.call, .allowed, namespace: .default, principal: "p", subject: subject)
            self.journal.note(entry, now: Timestamp(milliseconds: 1)) { result in
                let isKept: Bool
                do throws(ApusError) {
                    try result.get()
                    isKept = true
                } catch { isKept = false }
                self.outcomes.withLock { $0.append(isKept ? subject : "\(subject) lost") }
            }
        }

        /// How many records lie on the log; those that do not follow each other are an issue.
        func check() throws -> Int {
            var check = AuditCheck(self.journal.keys)
            let place = TopicPartition(.audit, self.journal.partition)
            let end = try self.log.bounds(of: place).end
            try self.log.readAll(place, from: 0, to: end, maxRecords: 100, maxBytes: 1 << 20) { _, block in
                if let data = (try? EventBlock.decode(block.bytes))?.data { check.take(data) }
                return true
            }
            check.end()
            #expect(check.findings.isEmpty)
            return check.records
        }
    }

    @Test func entriesThatComeDuringAWriteAreWrittenTogether() throws {
        let rig = try Rig()
        for index in 0..<5 { rig.note("\(index)") }
        #expect(rig.log.waitingCount == 1, "one group at a time")
        rig.log.releaseOne()
        #expect(rig.outcomes.withLock { $0 } == ["0"])
        rig.log.releaseOne()
        #expect(rig.outcomes.withLock { $0 } == ["0", "1", "2", "3", "4"])
        // The first with the start of the chain.
        #expect(rig.log.batches == [2, 4])
        #expect(try rig.check() == 6)
    }

    /// What the log did not take is told as lost; what comes behind it begins another chain, bound to the last record that is there.
    @Test func aFailedWriteBreaksNoChain() throws {
        let rig = try Rig()
        for index in 0..<3 { rig.note("\(index)") }
        rig.log.releaseOne()
        rig.note("3")
        rig.log.releaseOne(failing: ApusError(.logFailed, "the disk is full"))
        #expect(rig.outcomes.withLock { $0 } == ["0", "1 lost", "2 lost"])
        rig.log.releaseOne()
        #expect(rig.outcomes.withLock { $0 } == ["0", "1 lost", "2 lost", "3"])
        #expect(try rig.check() == 4, "the start and one entry of each chain")
    }

    @Test func aStopWaitsForWhatGathered() throws {
        let rig = try Rig()
        rig.note("0")
        rig.note("1")
        let thread = WorkThread()
        let stopped = ResultSlot<[String]>()
        thread.run {
            rig.journal.stop()
            stopped.fill(rig.outcomes.withLock { $0 })
        }
        rig.log.releaseOne()
        rig.log.releaseOne()
        #expect(stopped.take() == ["0", "1"])
        thread.stop()
        // Nothing waits: nor does it.
        rig.journal.stop()
    }

    @Test func aLogThatRefusesAtOnceIsAskedForEachGroupOnce() throws {
        let rig = try Rig()
        rig.note("0")
        for index in 1...3 { rig.note("\(index)") }
        rig.log.set(.failing)
        rig.log.releaseOne(failing: ApusError(.logFailed, "closing"))
        #expect(rig.outcomes.withLock { $0 } == ["0 lost", "1 lost", "2 lost", "3 lost"])
        #expect(rig.log.batches.count == 2)
    }
}
