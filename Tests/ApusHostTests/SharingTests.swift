import ApusCore
import ApusEngine
import ApusHost
import ApusLoop
import ApusTestSupport
import Glibc
import Testing

/// Shards of two nodes on one log: lanes open while their share is held, and close when it is not.
@Suite struct SharingTests {
    private struct Site {
        let cluster = ShareCluster()
        let beds: [Bed]

        init(_ mode: [String] = []) async throws {
            let clock = Bed.clock
            let memory = MemoryLog { clock.now }
            let cluster = self.cluster
            var beds: [Bed] = []
            for node in 0..<2 { beds.append(try await Bed(log: SharedLog(memory, cluster, node: node))) }
            self.beds = beds
            let (input, output) = (try beds[0].topic("in", partitions: 4), try beds[0].topic("out"))
            for bed in beds {
                try await bed.deploy(
                    function(1, mode, concurrency: 4, triggers: [trigger(1, on: input, replyTo: output)]))
            }
        }

        func publish(_ numbers: Range<Int>) async throws {
            try await self.beds[0].publish(
                try self.beds[0].topic("in"), numbers.map { event("\($0)", key: "key \($0 % 11)") })
        }

        var replies: [String] {
            get throws { self.beds[0].events(of: try self.beds[0].topic("out")).map(\.text) }
        }

        func close() async { for bed in self.beds { await bed.close() } }
    }

    @Test func nothingRunsWhereNoShareIsHeldAndAllOfItWhereAllAre() async throws {
        let site = try await Site()
        try await site.publish(0..<50)
        site.cluster.give(to: 1)
        site.cluster.start(1)
        try await site.beds[1].until("50 replies") { (try? site.replies.count) == 50 }
        #expect(await site.beds[0].statistics().dispatched == 0)
        #expect(try Set(site.replies) == Set((0..<50).map { "\($0)" }))
        await site.close()
    }

    /// Behaviour 24: what runs may end and is committed, then the share is let go, and the next owner goes on behind it.
    @Test func aShareThatIsLetGoIsDrainedAndGoesOnElsewhereWithoutARepetition() async throws {
        let site = try await Site()
        site.cluster.give(to: 0)
        site.cluster.start(0)
        try await site.publish(0..<200)
        try await site.beds[0].until("some replies") { ((try? site.replies.count) ?? 0) > 20 }
        site.cluster.tell(0) { .draining($0) }
        try await site.beds[0].until("the drain") { site.cluster.drainedCount == Share.count }
        site.cluster.tell(0) { .stopped($0) }
        site.cluster.give(to: 1)
        site.cluster.start(1)
        try await site.publish(200..<300)
        try await site.beds[1].until("300 replies") { (try? site.replies.count) == 300 }
        #expect(try Set(site.replies) == Set((0..<300).map { "\($0)" }))
        #expect(site.cluster.refused == 0)
        await site.close()
    }

    /// A node that does not know yet that another has its shares: what it ran is refused and dropped; the other has run it.
    @Test func whatANodeStillRunsOfASharePastItsTermIsDecidedByTheOtherAlone() async throws {
        let gate = "/tmp/apus-sharing-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        defer { unlink(gate) }
        let site = try await Site(["gate", gate])
        site.cluster.give(to: 0)
        site.cluster.start(0)
        try await site.publish(0..<4)
        try await site.beds[0].until("attempts that hang") { site.beds[0].shard.attemptsInFlight > 0 }
        site.cluster.give(to: 1)
        // The old owner's attempts end, and their outcomes are refused.
        try writeFile(gate, "")
        try await site.beds[0].until("a refusal") { site.cluster.refused > 0 }
        #expect(try site.replies.isEmpty)
        site.cluster.start(1)
        site.cluster.tell(0) { .stopped($0) }
        try await site.beds[1].until("4 replies") { (try? site.replies.count) == 4 }
        #expect(try Set(site.replies) == ["0", "1", "2", "3"])
        // It comes back to the first, in another term.
        site.cluster.tell(1) { .draining($0) }
        try await site.beds[1].until("the drain") { site.cluster.drainedCount == Share.count }
        site.cluster.tell(1) { .stopped($0) }
        site.cluster.give(to: 0)
        site.cluster.start(0)
        try await site.publish(4..<8)
        try await site.beds[0].until("8 replies") { (try? site.replies.count) == 8 }
        #expect(try Set(site.replies).count == 8)
        await site.close()
    }

    /// Of partitions that other nodes work nothing is followed; of those of a new share it is before anything of it runs.
    @Test func onlyWhatIsWorkedHereIsFollowed() async throws {
        let site = try await Site()
        let log = try #require(site.beds[0].log as? SharedLog)
        let topic = try site.beds[0].topic("in")
        try await site.beds[0].until("nothing is followed") { log.ignored == [Set(0..<4)] }
        site.cluster.give(to: 0)
        let mine = Share.of(topic, partition: 2, .cpu)
        site.cluster.tell(0) { $0 == mine ? .working(ShareTerm($0, term: UInt64($0.number) + 1)) : .stopped($0) }
        try await site.beds[0].until("one is followed") { log.ignored == [[0, 1, 3]] }
        site.cluster.start(0)
        try await site.beds[0].until("all are followed") { log.ignored == [[]] }
        try await site.publish(0..<20)
        try await site.beds[0].until("20 replies") { (try? site.replies.count) == 20 }
        site.cluster.tell(0) { .stopped($0) }
        try await site.beds[0].until("nothing is followed any more") { log.ignored == [Set(0..<4)] }
        await site.close()
    }
}
