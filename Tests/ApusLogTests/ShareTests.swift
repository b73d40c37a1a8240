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
        #expect((0..<40).map { Share.of(topic, partition: $0, .cpu).number } == (0..<40).map { (first.number + $0) % 16 })
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
}
