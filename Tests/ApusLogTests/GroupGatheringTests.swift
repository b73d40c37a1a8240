import ApusCore
import ApusTestSupport
import Glibc
import Testing

@testable import ApusLog

@Suite("What a commit waits for")
struct GroupGatheringTests {
    @Test("few callers are never waited for")
    func few() {
        var gathering = GroupGathering()
        #expect(gathering.wait == nil)
        gathering.committed(8, waiting: Limits.Log.gatheredFrom - 9, nanoseconds: 500_000)
        #expect(gathering.wait == nil)
        gathering.committed(8, waiting: Limits.Log.gatheredFrom - 8, nanoseconds: 500_000)
        #expect(gathering.wait?.count == Limits.Log.gatheredFrom)
    }

    @Test("both halves of the callers come into one commit, and none waits longer than that takes")
    func halves() throws {
        var gathering = GroupGathering()
        gathering.committed(25, waiting: 25, nanoseconds: 400_000)
        let first = try #require(gathering.wait)
        #expect(first.count == 50 && first.nanoseconds == 400_000)
        // All came, and nobody is left to ask meanwhile.
        gathering.committed(50, waiting: 0, nanoseconds: 600_000)
        let second = try #require(gathering.wait)
        #expect(second.count == 50)
        // They went away: what is left is waited for once, and then not any more.
        gathering.committed(3, waiting: 0, nanoseconds: 300_000)
        #expect(gathering.wait == nil)
    }

    @Test("a slow disk makes nobody wait twice as long")
    func bound() throws {
        var gathering = GroupGathering()
        gathering.committed(50, waiting: 0, nanoseconds: 10 * Limits.Log.gatherNanoseconds)
        #expect(try #require(gathering.wait).nanoseconds == Limits.Log.gatherNanoseconds)
    }

    @Test("the writer is woken by the one that it waits for, and by no other")
    func waking() {
        var inbox = WriterInbox(bytesMax: 1 << 20, batchesMax: 100)
        let submission = Submission(LogBatch(urgency: .settlement)) { _ in }
        _ = inbox.add(submission, refusal: nil)
        let sleeps = inbox.sleeps(until: 3)
        _ = inbox.add(submission, refusal: nil)
        let early = inbox.wakes()
        _ = inbox.add(submission, refusal: nil)
        let (due, again) = (inbox.wakes(), inbox.wakes())
        #expect(sleeps && !early && due && !again)
        let taken = inbox.takeAll().count
        let isEmpty = inbox.sleeps()
        inbox.isClosing = true
        let sleepsAtEnd = inbox.sleeps(until: 3)
        #expect(taken == 3 && isEmpty)
        #expect(!sleepsAtEnd, "one that closes waits for nobody")
    }
}
