import ApusCore
import ApusEngine
@testable import ApusHost
import ApusLoop
import ApusTestSupport
import Synchronization
import Testing

/// Events that are not in memory when their turn comes: the reader's thread fetches them, and the loop waits for nothing.
@Suite struct AwaitedTests {
    /// A bed on a cold log with a reader's thread.
    private struct Cold {
        let log: ColdLog
        let bed: Bed
        let reader = WorkThread()

        init(isTaken: @escaping @Sendable () -> Bool = { true }) async throws {
            let log = ColdLog { Bed.clock.now }
            let reader = self.reader
            self.log = log
            let bed = try await Bed(log: log, readAhead: { work in isTaken() && reader.run(work) })
            self.bed = bed
            log.mustNotWait { [loop = bed.loop] in loop.isCurrent }
        }

        func close() async {
            self.log.letGo()
            await self.bed.close()
            self.reader.stop()
        }
    }

    private static func events(_ count: Int) -> [Event] {
        (0..<count).map { event("event-\($0)", key: "key-\($0 % 7)") }
    }

    @Test func eventsThatHaveToBeFetchedAreDispatchedAndTheLoopReadsNone() async throws {
        let cold = try await Cold()
        let topic = try cold.bed.topic("in")
        let replies = try cold.bed.topic("out")
        try await cold.bed.publish(topic, Self.events(60))
        try await cold.bed.deploy(function(1, concurrency: 8, triggers: [trigger(1, on: topic, replyTo: replies)]))
        try await cold.bed.until("the replies") { cold.bed.shard.statistics.replies == 60 }
        #expect(cold.log.waitedFor == 0)
        try await cold.bed.until("their writing") { !cold.bed.shard.commits.isWaiting }
        #expect(Set(cold.bed.events(of: replies).map(\.text)) == Set((0..<60).map { "event-\($0)" }))
        #expect(await cold.bed.statistics().recordsAwaited == 60)
        await cold.close()
    }

    @Test func theLoopNeverWaitsForAnEventThatIsSlowToCome() async throws {
        let cold = try await Cold()
        let topic = try cold.bed.topic("in")
        let replies = try cold.bed.topic("out")
        cold.log.hold()
        try await cold.bed.publish(topic, Self.events(1))
        try await cold.bed.deploy(function(1, triggers: [trigger(1, on: topic, replyTo: replies)]))
        try await cold.bed.deploy(function(2))
        try await cold.bed.until("the dispatch waits") { cold.bed.shard.awaited.count == 1 }
        #expect(await cold.bed.invoke(2, "meanwhile").text == "meanwhile")
        #expect(cold.log.waitedFor == 0)
        cold.log.letGo()
        try await cold.bed.until("the reply") { cold.bed.shard.statistics.replies == 1 }
        #expect(cold.log.waitedFor == 0)
        await cold.close()
    }

    @Test func aWorkerWhoseEventDoesNotComeInTimeIsNotToBlame() async throws {
        let cold = try await Cold()
        let topic = try cold.bed.topic("in")
        let replies = try cold.bed.topic("out")
        cold.log.hold()
        try await cold.bed.publish(topic, Self.events(1))
        let retry = RetryPlan(attempts: 0, initial: .milliseconds(1), max: .milliseconds(5))
        try await cold.bed.deploy(
            function(
                1, timeout: .milliseconds(50), triggers: [trigger(1, on: topic, replyTo: replies, retry: retry)]))
        try await cold.bed.until("further attempts") { cold.bed.shard.statistics.recordsAwaited >= 3 }
        cold.log.letGo()
        try await cold.bed.until("the reply") { cold.bed.shard.statistics.replies == 1 }
        #expect(await cold.bed.statistics().workersExited == 0)
        #expect(await cold.bed.run { cold.bed.shard.awaited.isEmpty })
        await cold.close()
    }

    @Test func aBatchThatHasToBeFetchedGoesWhole() async throws {
        let cold = try await Cold()
        let topic = try cold.bed.topic("in")
        let replies = try cold.bed.topic("out")
        try await cold.bed.publish(topic, (0..<32).map { event("event-\($0)", key: "key-\($0)") })
        let batch = BatchPlan(maxSize: 8, maxWait: .milliseconds(5))
        try await cold.bed.deploy(
            function(1, batch: batch, triggers: [trigger(1, on: topic, replyTo: replies)]))
        try await cold.bed.until("the replies") { cold.bed.shard.statistics.replies == 32 }
        #expect(await cold.bed.statistics().recordsAwaited == 32)
        #expect(cold.log.waitedFor == 0)
        await cold.close()
    }

    @Test func aDeadLetterHoldsAnEventThatHadToBeFetched() async throws {
        let cold = try await Cold()
        let topic = try cold.bed.topic("in")
        let dead = try cold.bed.topic("in.dead")
        try await cold.bed.publish(topic, Self.events(5))
        try await cold.bed.deploy(
            function(1, ["reject"], triggers: [trigger(1, on: topic, deadLetter: dead)]))
        try await cold.bed.until("the dead letters") { cold.bed.shard.statistics.deadLettered == 5 }
        #expect(cold.log.waitedFor == 0)
        try await cold.bed.until("their writing") { !cold.bed.shard.commits.isWaiting }
        let texts = cold.bed.events(of: dead).map(\.text)
        #expect(Set(texts) == Set((0..<5).map { "event-\($0)" }))
        await cold.close()
    }

    @Test func whatTheReaderHasNoRoomForIsReadLater() async throws {
        let asked = Atomic<Int>(0)
        let cold = try await Cold { asked.add(1, ordering: .relaxed).newValue % 3 != 0 }
        let topic = try cold.bed.topic("in")
        let replies = try cold.bed.topic("out")
        try await cold.bed.publish(topic, Self.events(20))
        let retry = RetryPlan(attempts: 0, initial: .milliseconds(1), max: .milliseconds(5))
        try await cold.bed.deploy(
            function(1, concurrency: 4, triggers: [trigger(1, on: topic, replyTo: replies, retry: retry)]))
        try await cold.bed.until("the replies") { cold.bed.shard.statistics.replies == 20 }
        #expect(cold.log.waitedFor == 0)
        await cold.close()
    }
}
