import ApusCore
import ApusEngine
import ApusLog
import ApusLoop
import ApusTestSupport
import Synchronization
import Testing

@testable import ApusHost

/// Outputs that no write will ever hold, and more of them than one write may hold.
@Suite struct RefusedTests {
    /// Counts batches by their bytes, and takes as long as a test lets it.
    private final class SlowLog: ForwardingLog {
        private struct Content {
            var isHeld = false
            var waiting: [@Sendable () -> Void] = []
            var largest = 0
            var refused = 0
        }

        let forwarded: any EventLog = MemoryLog { Bed.clock.now }
        private let content = Mutex(Content())

        var largest: Int { self.content.withLock { $0.largest } }
        var refused: Int { self.content.withLock { $0.refused } }
        var waiting: Int { self.content.withLock { $0.waiting.count } }
        func hold() { self.content.withLock { $0.isHeld = true } }
        func letGo() {
            let waiting = self.content.withLock { content in
                content.isHeld = false
                defer { content.waiting = [] }
                return content.waiting
            }
            for body in waiting { body() }
        }

        func submit(_ batch: LogBatch, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void) {
            guard batch.urgency == .settlement else { return self.forwarded.submit(batch, completion) }
            let bytes = batch.appends.reduce(0) { $0 + $1.block.count }
            let isTooLarge = bytes > Limits.Log.batchBytes
            let mustWait = self.content.withLock { content in
                content.largest = max(content.largest, bytes)
                if isTooLarge { content.refused += 1 }
                guard content.isHeld, !isTooLarge else { return false }
                content.waiting.append { self.forwarded.submit(batch, completion) }
                return true
            }
            if isTooLarge { return completion(.failure(ApusError(.limitReached, "the batch is too large"))) }
            if !mustWait { self.forwarded.submit(batch, completion) }
        }
    }

    private func block(_ bed: Bed, _ function: String) async -> [DeliveryBlock] {
        await bed.run {
            bed.shard.subscriptions { name, _ in name.name == function }.flatMap { $0.partitions.flatMap(\.blocks) }
        }
    }

    /// Two functions whose ledgers are written together: the reply topic of one is deleted, and the other goes on.
    @Test func aMissingReplyTopicHoldsUpItsOwnTriggerAloneUntilItIsThere() async throws {
        let bed = try await Bed()
        let (input, gone, out) = (try bed.topic("in"), try bed.topic("gone"), try bed.topic("out"))
        try await bed.deploy(function(1, triggers: [trigger(1, on: input, replyTo: gone)]))
        try await bed.deploy(function(2, triggers: [trigger(2, on: input, replyTo: out)]))
        try await bed.publish(input, (0..<3).map { event("\($0)", key: "k") })
        try await bed.until("3 replies of each") { bed.events(of: out).count == 3 && bed.events(of: gone).count == 3 }

        try bed.log.deleteTopic(gone)
        try await bed.publish(input, (3..<40).map { event("\($0)", key: "k") })
        try await bed.until("40 replies of the other") { bed.events(of: out).count == 40 }
        try await bed.until("it is known why") { bed.shard.refusals[TriggerID(rawValue: 1)] == gone }
        let blocks = await self.block(bed, "function-1")
        #expect(blocks == [.outputRefused("the topic 'gone' does not exist: create it, or deploy without it")])
        #expect(await self.block(bed, "function-2").isEmpty)
        // Nothing of it was settled, and no more of it ran than had begun.
        #expect(await bed.run { bed.shard.engine.watermark(of: TriggerID(rawValue: 1), partition: 0) } == 3)
        try await bed.until("the other is settled") {
            bed.shard.engine.watermark(of: TriggerID(rawValue: 2), partition: 0) == 40
        }
        #expect(await bed.run { bed.shard.commits.groups.map { bed.shard.commits[$0].refused.count }.reduce(0, +) } < 37)

        _ = try bed.topic("gone")
        try await bed.until("the replies that waited, and the rest") { bed.events(of: gone).count == 37 }
        #expect(bed.events(of: gone).map(\.text) == (3..<40).map(String.init))
        try await bed.until("it is settled") {
            bed.shard.engine.watermark(of: TriggerID(rawValue: 1), partition: 0) == 40
        }
        #expect(await self.block(bed, "function-1").isEmpty)
        #expect(await bed.run { bed.shard.refusals.isEmpty })
        await bed.close()
    }

    @Test func aMissingDeadLetterTopicHoldsUpItsOwnTriggerAlone() async throws {
        let bed = try await Bed()
        let (input, letters, out) = (try bed.topic("in"), try bed.topic("letters"), try bed.topic("out"))
        try await bed.deploy(
            function(1, ["reject"], triggers: [trigger(1, on: input, deadLetter: letters)]))
        try await bed.deploy(function(2, triggers: [trigger(2, on: input, replyTo: out)]))
        try bed.log.deleteTopic(letters)
        try await bed.publish(input, (0..<5).map { event("\($0)") })
        try await bed.until("5 replies of the other") { bed.events(of: out).count == 5 }
        try await bed.until("it is known why") { !bed.shard.refusals.isEmpty }
        let blocks = await self.block(bed, "function-1")
        #expect(blocks == [.deadLetterRefused("the topic 'letters' does not exist: create it, or deploy without it")])
        _ = try bed.topic("letters")
        try await bed.until("the dead letters") { bed.events(of: letters).count == 5 }
        await bed.close()
    }

    /// One that is removed while it waits leaves nothing behind.
    @Test func whatWaitsForATopicGoesWithItsFunction() async throws {
        let bed = try await Bed()
        let (input, gone) = (try bed.topic("in"), try bed.topic("gone"))
        try await bed.deploy(function(1, triggers: [trigger(1, on: input, replyTo: gone)]))
        try bed.log.deleteTopic(gone)
        try await bed.publish(input, [event("a")])
        try await bed.until("it waits") { !bed.shard.refusals.isEmpty }
        await bed.run { bed.shard.remove(FunctionID(rawValue: 1), forgettingPositions: true) }
        _ = try bed.topic("gone")
        #expect(await bed.run { bed.shard.refusals.isEmpty && !bed.shard.commits.hasRefused })
        try await bed.until("nothing is left to write") { !bed.shard.commits.isWaiting }
        #expect(bed.events(of: gone).isEmpty)
        await bed.close()
    }

    /// While a write is under way more dead letters come up than the next may hold: it takes as many as it may, and the others follow.
    @Test func noWriteIsLargerThanALogTakes() async throws {
        let log = SlowLog()
        let bed = try await Bed(log: log)
        let (input, letters) = (try bed.topic("in", partitions: 4), try bed.topic("letters"))
        try await bed.deploy(
            function(
                1, ["reject"], concurrency: 16,
                triggers: [
                    trigger(
                        1, on: input, deadLetter: letters, order: .none,
                        retry: RetryPlan(attempts: 1, initial: .milliseconds(1), max: .milliseconds(1)))
                ]))
        log.hold()
        let count = 48
        let body = String(repeating: "x", count: 900 << 10)
        for start in stride(from: 0, to: count, by: 8) {
            try await bed.publish(input, (start..<start + 8).map { event("\($0) \(body)", key: "\($0)") })
        }
        try await bed.until("a write that waits") { log.waiting == 1 }
        try await bed.until("all have failed") { bed.shard.statistics.failed == count }
        log.letGo()
        try await bed.until("all dead letters") { bed.events(of: letters).count == count }
        #expect(log.refused == 0 && log.largest <= Limits.Log.batchBytes)
        #expect(log.largest > 8 << 20, "several were written together")
        await bed.close()
    }
}
