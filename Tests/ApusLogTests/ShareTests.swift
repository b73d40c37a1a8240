import ApusCore
import Synchronization
import Testing

@testable import ApusLog

struct ShareTests {
    /// Fixed for ever: another answer would give a partition to two nodes of different releases.
    @Test func aPartitionsShareIsTheHashOfItsTopicAndItsNumber() throws {
        let topic = try #require(TopicName(onLog: "orders"))
        let first = Share.of(topic, partition: 0, .cpu)
        #expect(first == Share(.cpu, Int(Array("orders".utf8).withUnsafeBytes { Murmur2.hash($0) } % 16)))
        #expect(
            (0..<40).map { Share.of(topic, partition: $0, .cpu).number } == (0..<40).map { (first.number + $0) % 16 })
        #expect(Share.of(topic, partition: 5, .gpu).number == Share.of(topic, partition: 5, .cpu).number)
    }

    @Test func aClassHasAPlainName() {
        #expect(WorkClass("gpu") == .gpu)
        #expect(WorkClass(String(repeating: "a", count: Limits.workClassBytes)) != nil)
        for name in ["", "GPU", "a.b", String(repeating: "a", count: Limits.workClassBytes + 1)] {
            #expect(WorkClass(name) == nil)
        }
    }

    @Test func whoWatchesLateHearsWhatIsWorkedAndTheLastToLetGoEndsTheDrain() {
        let board = ShareBoard()
        let heard = Mutex<[ShareChange]>([])
        let (kept, going) = (Share(.cpu, 1), Share(.cpu, 2))
        board.working(ShareTerm(kept, term: 4))
        let first = board.watch { change in heard.withLock { $0.append(change) } }
        #expect(heard.withLock { $0 } == [.working(ShareTerm(kept, term: 4))])
        board.working(ShareTerm(going, term: 1))
        let second = board.watch { _ in }
        #expect(!board.draining(going))
        #expect(!board.drained(going, first))
        #expect(!board.drained(going, first))
        #expect(board.drained(going, second))
        board.stopped(going)
        #expect(heard.withLock { $0.suffix(2) } == [.draining(going), .stopped(going)])
        // Nobody is left to wait for.
        #expect(board.unwatch(first).isEmpty && board.unwatch(second).isEmpty)
        #expect(board.draining(kept))
    }

    @Test func whoLeavesWhileItIsWaitedForLetsGo() {
        let board = ShareBoard()
        let share = Share(.cpu, 9)
        board.working(ShareTerm(share, term: 1))
        let watch = board.watch { _ in }
        #expect(!board.draining(share))
        #expect(board.unwatch(watch) == [share])
    }

    // MARK: what waits of a share

    private static func submission(_ bytes: Int) -> Submission {
        Submission(batch: LogBatch(urgency: .settlement), bytes: bytes) { _ in }
    }

    @Test func whatWasDecidedInAnotherTermIsRefusedAndWhatWaitsAtTheEndIsGivenBack() {
        let share = Share(.cpu, 5)
        var inbox = ShareInbox(bytesMax: 100, batchesMax: 10)
        #expect(inbox.add(Self.submission(1), ShareTerm(share, term: 1))?.code == .conflict)
        inbox.open(2)
        #expect(inbox.add(Self.submission(1), ShareTerm(share, term: 1))?.code == .conflict)
        #expect(inbox.add(Self.submission(1), ShareTerm(share, term: 2)) == nil)
        #expect(inbox.close().count == 1)
        #expect(inbox.add(Self.submission(1), ShareTerm(share, term: 2))?.code == .conflict)
        inbox.open(3)
        #expect(inbox.takeGroup().isEmpty)
    }

    @Test func aFullInboxRefusesAndAnEmptyOneTakesAnyBatch() {
        let owner = ShareTerm(Share(.cpu, 5), term: 1)
        var inbox = ShareInbox(bytesMax: 100, batchesMax: 3)
        inbox.open(1)
        #expect(inbox.add(Self.submission(1_000), owner) == nil)
        #expect(inbox.add(Self.submission(1), owner)?.code == .overloaded)
        #expect(inbox.takeGroup().count == 1)
        for _ in 0..<3 { #expect(inbox.add(Self.submission(10), owner) == nil) }
        #expect(inbox.add(Self.submission(10), owner)?.code == .overloaded)
        #expect(inbox.takeGroup().count == 3)
        for _ in 0..<2 { #expect(inbox.add(Self.submission(50), owner) == nil) }
        #expect(inbox.add(Self.submission(1), owner)?.code == .overloaded)
    }

    @Test func aTransactionTakesNoMoreThanItsBounds() {
        let owner = ShareTerm(Share(.cpu, 5), term: 1)
        var inbox = ShareInbox(bytesMax: .max, batchesMax: .max)
        inbox.open(1)
        for _ in 0..<3 { #expect(inbox.add(Self.submission(Limits.Log.groupBytes / 2), owner) == nil) }
        #expect(inbox.takeGroup().count == 2)
        #expect(inbox.takeGroup().count == 1)

        let entry = LogBatch.LedgerWrite(key: [1], value: nil)
        for entries in [Limits.Log.groupRecords - 1, 1, 1] {
            let batch = LogBatch(urgency: .settlement, ledger: Array(repeating: entry, count: entries))
            #expect(inbox.add(Submission(batch: batch, bytes: 1, completion: { _ in }), owner) == nil)
        }
        #expect(inbox.takeGroup().map(\.batch.ledger.count) == [Limits.Log.groupRecords - 1, 1])
        #expect(inbox.takeGroup().count == 1)
    }

    // MARK: the member of a group

    @Test func aMemberIsStaticAndSaysSeveralTimesASessionThatItLives() {
        func value(_ name: String, session: Int) -> String? {
            KafkaProperties(
                KafkaLogConfiguration(bootstrap: "localhost:1"),
                .member(group: "g", node: "n", sessionMilliseconds: session), client: "x"
            ).entries.last { $0.name == name }?.value
        }
        #expect(value("group.instance.id", session: 6_000) == "n")
        #expect(value("heartbeat.interval.ms", session: 6_000) == "1000")
        #expect(value("heartbeat.interval.ms", session: 1_800_000) == String(Limits.Kafka.heartbeatMilliseconds))
        #expect(value("max.poll.interval.ms", session: 6_000) == String(Limits.Kafka.groupPollMilliseconds))
        #expect(value("max.poll.interval.ms", session: 100_000) == "100000")
        #expect(Limits.Kafka.groupPollMilliseconds > Int(Limits.Kafka.drainMilliseconds))
        let mine = KafkaLogConfiguration(bootstrap: "localhost:1", properties: ["session.timeout.ms": "1"])
        #expect(throws: ApusError.self) { try KafkaProperties.check(mine) }
    }
}
