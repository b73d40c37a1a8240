import ApusCore
import ApusEngine
import ApusTestSupport
import Synchronization
import Testing

@testable import ApusServer

/// What is said of triggers whose class no server has.
@Suite struct UnservedClassesTests {
    /// A cluster whose nodes have one class.
    private final class Nodes: WorkSharing {
        let classes: [WorkClass] = [.cpu]
        let node = "node"
        let asked = Mutex<[WorkClass]>([])
        let read = Mutex<[Share]>([])
        let isReachable: Bool

        init(isReachable: Bool = true) { self.isReachable = isReachable }

        func hasNodes(_ workClass: WorkClass) throws(ApusError) -> Bool {
            self.asked.withLock { $0.append(workClass) }
            guard self.isReachable else { throw ApusError(.logFailed, "the test has no brokers") }
            return self.classes.contains(workClass)
        }
        func read(_ share: Share) throws(ApusError) { self.read.withLock { $0.append(share) } }
        func watch(_ change: @escaping @Sendable (ShareChange) -> Void) -> ShareWatch { ShareWatch(rawValue: 1) }
        func drained(_ share: Share, _ watch: ShareWatch) {}
        func unwatch(_ watch: ShareWatch) {}
        func readEntries(_ number: Int) {}
        func take(_ term: ShareTerm, from former: WorkClass, _ entry: LogBatch.LedgerWrite) {}
        var shares: [ShareStatus] { [] }
        var terms: [WorkClass: UInt64] { [:] }
    }

    private static let gpu = WorkClass("gpu") ?? .cpu

    private static func log(_ topic: TopicName, partitions: Int, records: Int = 0) throws -> MemoryLog {
        let log = MemoryLog { Timestamp(milliseconds: 1) }
        try log.createTopic(topic, TopicConfiguration(partitions: partitions))
        let block = EventBlock.encode(Event(data: [1]))
        for partition in 0..<(records > 0 ? partitions : 0) {
            let append = LogBatch.Append(topic: topic, partition: partition, block: block)
            let appends = Array(repeating: append, count: records)
            try Self.write(log, LogBatch(urgency: .producer, appends: appends))
        }
        return log
    }

    private static func write(_ log: MemoryLog, _ batch: LogBatch) throws {
        let slot = Mutex<Result<LogReceipt, ApusError>?>(nil)
        log.submit(batch) { result in slot.withLock { $0 = result } }
        #expect(waitUntil(seconds: 20) { slot.withLock { $0 } != nil })
        _ = try #require(slot.withLock { $0 }).get()
    }

    @Test func aClassIsAskedForOnceAndDoubtIsNotSaid() throws {
        let topic = try #require(TopicName(.default, "a"))
        let log = try Self.log(topic, partitions: 1)
        let nodes = Nodes()
        var unserved = UnservedClasses(log: log, sharing: nodes)
        let answers = [Self.gpu, Self.gpu, .cpu].map { unserved.contains($0) }
        #expect(answers == [true, true, false])
        #expect(nodes.asked.withLock { $0 } == [Self.gpu, .cpu])
        var unreachable = UnservedClasses(log: log, sharing: Nodes(isReachable: false))
        let doubted = unreachable.contains(Self.gpu)
        #expect(!doubted)
        var alone = UnservedClasses(log: log, sharing: nil)
        let isOfOthers = alone.contains(Self.gpu)
        #expect(!isOfOthers)
    }

    @Test func whatIsNotSettledIsCountedByTheLedgerOrFromTheStart() throws {
        let topic = try #require(TopicName(.default, "a"))
        let log = try Self.log(topic, partitions: 4, records: 10)
        let prefix = Array("f/".utf8)
        // Another trigger's, whose key begins alike.
        for (key, state) in [
            ("f/1", LedgerState(watermark: 4, settled: [6..<8])), ("f/12", LedgerState(watermark: 10)),
            ("f/3", LedgerState(watermark: 10)),
        ] {
            let entry = LogBatch.LedgerWrite(key: Array(key.utf8), value: state.encode())
            try Self.write(log, LogBatch(urgency: .settlement, ledger: [entry]))
        }
        let nodes = Nodes()
        var unserved = UnservedClasses(log: log, sharing: nodes)
        let live = unserved.partitions(topic, of: Self.gpu, ledger: prefix, starts: [0, 0, 7], ends: nil)
        #expect(live.map(\.lag) == [10, 4, 3, 0])
        #expect(live.map(\.watermark) == [0, 4, 7, 10])
        #expect(live.map(\.position) == [0, 8, 7, 10])
        let replay = unserved.partitions(topic, of: Self.gpu, ledger: Array("r/".utf8), starts: [0, 5], ends: [3, 5])
        #expect(replay.map(\.lag) == [3, 0])
        #expect(Set(nodes.read.withLock { $0 }).count == nodes.read.withLock { $0 }.count, "each ledger is read once")
    }

    @Test func whatRetentionTookIsNoLag() throws {
        let topic = try #require(TopicName(.default, "a"))
        let log = try Self.log(topic, partitions: 2, records: 10)
        let state = LedgerState(watermark: 4, settled: [6..<8])
        let entry = LogBatch.LedgerWrite(key: Array("f/1".utf8), value: state.encode())
        try Self.write(log, LogBatch(urgency: .settlement, ledger: [entry]))
        for (partition, offset) in [(0, 3), (1, 7)] as [(Int, Offset)] {
            let place = TopicPartition(topic, partition)
            log.discard(place, before: offset)
            #expect(waitUntil(seconds: 20) { (try? log.bounds(of: place).start) == offset })
        }
        var unserved = UnservedClasses(log: log, sharing: Nodes())
        let left = unserved.partitions(topic, of: Self.gpu, ledger: Array("f/".utf8), starts: [], ends: nil)
        #expect(left.map(\.lag) == [7, 2])
        #expect(left.map(\.watermark) == [3, 7])
    }

    /// Above its bound an answer asks for no more, and says nothing of the rest.
    @Test func anAnswerAsksForSoManyPartitionsAndNoMore() throws {
        let topic = try #require(TopicName(.default, "a"))
        let bound = Limits.Server.unservedPerRead
        let log = try Self.log(topic, partitions: 256)
        var unserved = UnservedClasses(log: log, sharing: Nodes())
        func count() -> Int { unserved.partitions(topic, of: Self.gpu, ledger: [1], starts: [], ends: nil).count }
        var counts: [Int] = []
        while counts.reduce(0, +) + 256 <= bound { counts.append(count()) }
        #expect(counts.allSatisfy { $0 == 256 })
        #expect(count() == bound - counts.reduce(0, +))
        #expect(count() == 0)
    }
}
