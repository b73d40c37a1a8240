import ApusCore
import ApusEngine
import ApusHost
import ApusLoop
import ApusTestSupport
import Testing

/// Replays beside the trigger that they are of.
@Suite struct ReplayTests {
    /// The trigger of `of`, given a stretch once more.
    private func replay(
        _ number: UInt64, of live: (HostTrigger, TriggerPlan), from starts: [Offset], to ends: [Offset],
        writesOutputs: Bool = true, perSecond: Int? = nil
    ) -> (HostTrigger, TriggerPlan) {
        var (trigger, plan) = live
        trigger.id = TriggerID(rawValue: UInt32(100 + number))
        trigger.kind = .replay(HostReplay(number: number, ends: ends, writesOutputs: writesOutputs))
        trigger.starts = starts
        plan.trigger = trigger.id
        plan.perSecond = perSecond
        plan.hasOutputs = plan.hasOutputs && writesOutputs
        return (trigger, plan)
    }

    private func position(_ bed: Bed, _ function: String, _ trigger: String, _ generation: UInt64) throws
        -> [LedgerState]
    {
        let name = try #require(ResourceName(.default, function))
        let prefix = LedgerKey.prefix(function: name, trigger: trigger, generation: generation)
        return try bed.log.ledger(prefix: prefix).map { try LedgerKey.decode($0.value) }
    }

    /// Behaviour 65: a group of its own, the live one untouched, an end.
    @Test func aStretchIsGivenOnceMoreAndTheLivePositionStays() async throws {
        let bed = try await Bed()
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        let live = trigger(1, on: input, replyTo: output)
        try await bed.deploy(function(1, triggers: [live]))
        try await bed.publish(input, (0..<20).map { event("\($0)", key: "key \($0 % 3)") })
        try await bed.until("20 replies") { bed.events(of: output).count == 20 }
        let before = try self.position(bed, "function-1", "trigger-1", 1)
        let again = self.replay(7, of: live, from: [5], to: [12])
        try await bed.deploy(function(1, triggers: [live, again]))
        try await bed.until("its end") { bed.replaysEnded.first == 7 }
        #expect(bed.events(of: output).dropFirst(20).map(\.text).sorted() == (5..<12).map { "\($0)" }.sorted())
        #expect(try self.position(bed, "function-1", "trigger-1", 1) == before)
        let name = try #require(ResourceName(.default, "function-1"))
        let prefix = LedgerKey.replayPrefix(function: name, trigger: "trigger-1", number: 7)
        #expect(try bed.log.ledger(prefix: prefix).map { try LedgerKey.decode($0.value).watermark } == [12])
        // Each key in its order.
        for key in 0..<3 {
            let given = bed.events(of: output).dropFirst(20).compactMap { Int($0.text) }.filter { $0 % 3 == key }
            #expect(given == given.sorted())
        }
        // It is gone once the catalogue no longer has it, and leaves nothing.
        try await bed.deploy(function(1, triggers: [live]))
        try await bed.until("its position is gone") { (try? bed.log.ledger(prefix: prefix).isEmpty) == true }
        try await bed.publish(input, [event("live")])
        try await bed.until("the live one goes on") { bed.events(of: output).count == 28 }
        await bed.close()
    }

    @Test func withoutOutputsNothingIsWritten() async throws {
        let bed = try await Bed()
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        let live = trigger(1, on: input, replyTo: output)
        try await bed.publish(input, (0..<10).map { event("\($0)") })
        try await bed.deploy(
            function(1, triggers: [live, self.replay(1, of: live, from: [0], to: [10], writesOutputs: false)]))
        try await bed.until("its end") { bed.replaysEnded.first == 1 }
        try await bed.until("the live ones") { bed.shard.statistics.succeeded == 20 }
        try await bed.until("their replies") { bed.events(of: output).count == 10 }
        await bed.close()
    }

    @Test func whatIsAppendedMeanwhileIsNoPartOfIt() async throws {
        let bed = try await Bed()
        let input = try bed.topic("in", partitions: 2)
        var live = trigger(1, on: input)
        live.1.isPaused = true
        for partition in 0..<2 { try await bed.publish(input, (0..<5).map { event("\($0)") }, partition: partition) }
        let again = self.replay(1, of: live, from: [2, 0], to: [5, 5], perSecond: 20)
        var plan = again.1
        plan.isPaused = false
        try await bed.deploy(function(1, triggers: [live, (again.0, plan)]))
        for partition in 0..<2 { try await bed.publish(input, (0..<50).map { event("\($0)") }, partition: partition) }
        try await bed.until("its end") { bed.replaysEnded.first == 1 }
        #expect(await bed.statistics().dispatched == 8)
        let snapshot = await bed.run { bed.shard.subscriptions { _, _ in true } }
        #expect(snapshot.first { $0.trigger.replay == nil }?.trigger.status.lag == 110)
        #expect(snapshot.first { $0.trigger.replay == 1 }?.trigger.status.lag == 0)
        await bed.close()
    }

    @Test func aRestartGoesOnWithIt() async throws {
        let first = try await Bed()
        let (input, dead) = (try first.topic("in"), try first.topic("dead"))
        try await first.publish(input, (0..<6).map { event("\($0)") })
        let patient = RetryPlan(attempts: 2, initial: .seconds(3_600), max: .seconds(3_600))
        var live = trigger(1, on: input, deadLetter: dead, retry: patient)
        live.1.isPaused = true
        var again = self.replay(3, of: live, from: [0], to: [6])
        again.1.isPaused = false
        try await first.deploy(function(1, ["fail"], triggers: [live, again]))
        try await first.until("all failed once, in the ledger") {
            first.shard.statistics.retried == 6 && first.shard.statistics.commits > 0
        }
        #expect(first.replaysEnded.isEmpty)
        await first.close()

        let second = try await Bed(log: first.log)
        again.1.retry = RetryPlan(attempts: 1, initial: .milliseconds(1), max: .milliseconds(1))
        try await second.deploy(function(1, triggers: [live, again]))
        let partitions = await second.run { second.shard.subscriptions { _, _ in true } }
        #expect(partitions.first { $0.trigger.replay == 3 }?.trigger.status.lag == 6)
        await second.close()
    }

    @Test func whatRetentionTookDoesNotHoldItUp() async throws {
        let bed = try await Bed()
        let input = try bed.topic("in")
        try await bed.publish(input, (0..<10).map { event("\($0)") })
        bed.log.discard(TopicPartition(input, 0), before: 6)
        var live = trigger(1, on: input)
        live.1.isPaused = true
        var (gone, some) = (
            self.replay(1, of: live, from: [0], to: [4]), self.replay(2, of: live, from: [0], to: [8])
        )
        (gone.1.isPaused, some.1.isPaused) = (false, false)
        try await bed.deploy(function(1, triggers: [live, gone, some]))
        try await bed.until("both end") { Set(bed.replaysEnded) == [1, 2] }
        #expect(await bed.statistics().dispatched == 2)
        await bed.close()
    }

    @Test func anEndIsToldAgainAfterAWhileAsLongAsTheReplayIsThere() async throws {
        let bed = try await Bed()
        let input = try bed.topic("in")
        let live = trigger(1, on: input)
        try await bed.deploy(function(1, triggers: [live, self.replay(1, of: live, from: [0], to: [0])]))
        try await bed.until("its end, and once more") { bed.replaysEnded.count >= 2 }
        #expect(Set(bed.replaysEnded) == [1])
        await bed.close()
    }

    /// A node that takes a replay over long after it began, when the topic has grown past its end: it ends where it should.
    @Test func whoeverTakesOverAReplayKnowsItsEnd() async throws {
        let cluster = ShareCluster()
        let memory = MemoryLog { Bed.clock.now }
        let bed = try await Bed(log: SharedLog(memory, cluster, node: 0))
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        try await bed.publish(input, (0..<10).map { event("\($0)") })
        var live = trigger(1, on: input, replyTo: output)
        live.0.starts = [10]
        try await bed.deploy(function(1, triggers: [live, self.replay(7, of: live, from: [2], to: [5])]))
        cluster.give(to: 0)
        cluster.start(0)
        try await bed.until("its end") { bed.replaysEnded.first == 7 }
        #expect(bed.events(of: output).map(\.text) == ["2", "3", "4"])
        await bed.close()
    }
}
