import ApusCore
import ApusEngine
import ApusLog
import ApusLoop
import ApusTestSupport
import Glibc
import Testing

@testable import ApusHost

/// Workers of a node that shares the work of a real Kafka, and what its groups see of them: nothing.
@Suite(.serialized, .enabled(if: KafkaBroker.isThere, Comment(rawValue: KafkaBroker.skipReason)))
struct KafkaMemberTests {
    private struct Site {
        let log: KafkaLog
        let bed: Bed
        let (input, output): (TopicName, TopicName)

        init(partitions: Int, pollMilliseconds: Int = Limits.Kafka.groupPollMilliseconds) async throws {
            var configuration = KafkaLogConfiguration(bootstrap: try KafkaBroker.bootstrap())
            let name = "h\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
            configuration.cluster = name
            configuration.topicPrefix = "\(name)."
            // The shortest that a broker allows by default.
            var sharing = KafkaLogConfiguration.Sharing(node: "node", sessionMilliseconds: 6_000)
            sharing.pollMilliseconds = pollMilliseconds
            configuration.sharing = sharing
            let clock = SystemClock()
            let log = try KafkaLog(configuration) { clock.now }
            let reader = WorkThread()
            let bed = try await Bed(log: log, readAhead: { reader.run($0) })
            (self.log, self.bed) = (log, bed)
            (self.input, self.output) = (try bed.topic("in", partitions: partitions), try bed.topic("out"))
            try await bed.until("all shares are worked", seconds: 40) {
                log.sharing?.shares.count { $0.state == .working } == Share.count
            }
        }

        /// How often shares began to be worked: each rebalance that moves one, and each new beginning, adds to it.
        var terms: UInt64 { self.log.sharing?.terms[.cpu] ?? 0 }

        func replies() throws -> Int { try Int(self.log.bounds(of: TopicPartition(self.output, 0)).end) }

        func close() async {
            await self.bed.close()
            self.log.close()
        }
    }

    /// Behaviour 27.
    @Test func aHandlerLongerThanThePollIntervalCostsNoMembership() async throws {
        let site = try await Site(partitions: 1, pollMilliseconds: 6_000)
        let before = site.terms
        try await site.bed.deploy(
            function(1, ["slow", "8000"], triggers: [trigger(1, on: site.input, replyTo: site.output)]))
        try await site.bed.publish(site.input, [event("long")])
        try await site.bed.until("the reply", seconds: 40) { ((try? site.replies()) ?? 0) > 0 }
        #expect(site.terms == before)
        #expect(site.log.sharing?.shares.count { $0.state == .working } == Share.count)
        #expect(await site.bed.run { site.bed.shard.statistics.commitsFailed } == 0)
        await site.close()
    }

    /// Behaviour 30.
    @Test func scalingFromNoneToTheMostAndBackCausesNoRebalance() async throws {
        let site = try await Site(partitions: 4)
        let before = site.terms
        try await site.bed.deploy(
            function(
                1, ["slow", "50"], scale: ScalePlan(min: 0, max: 4, idle: .milliseconds(300)),
                triggers: [trigger(1, on: site.input, replyTo: site.output)]))
        for round in 1...2 {
            #expect(await site.bed.run { site.bed.shard.instances().isEmpty })
            try await site.bed.publish(site.input, (0..<60).map { event("\($0)", key: "\($0)") })
            // Not how many there are now: on a busy machine the work may be done between two looks.
            try await site.bed.until("as many workers as there may be", seconds: 40) {
                site.bed.shard.statistics.workersStarted >= 4 * UInt64(round)
            }
            try await site.bed.until("all replies", seconds: 40) { ((try? site.replies()) ?? 0) >= 60 * round }
            try await site.bed.until("no worker is left", seconds: 40) { site.bed.shard.instances().isEmpty }
        }
        #expect(site.terms == before)
        await site.close()
    }

    /// Behaviour 30. Neither new functions nor new topics, nor that some go again, move a share: nobody subscribes to what they read.
    @Test func deploysCauseNoRebalance() async throws {
        let site = try await Site(partitions: 2)
        let before = site.terms
        for round in 1...20 as ClosedRange<UInt32> {
            let topic = try site.bed.topic("more-\(round)")
            try await site.bed.deploy(
                function(round, triggers: [trigger(round, on: topic, replyTo: site.output)]))
            if round > 10 {
                // Another revision of an older one.
                try await site.bed.deploy(
                    function(round - 10, generation: 2, triggers: [trigger(round - 10, on: site.input)]))
            }
        }
        try await site.bed.publish(try site.bed.topic("more-20"), [event("last")])
        try await site.bed.until("the newest runs", seconds: 40) { ((try? site.replies()) ?? 0) > 0 }
        #expect(site.terms == before)
        #expect(site.log.sharing?.shares.count { $0.state == .working } == Share.count)
        await site.close()
    }
}
