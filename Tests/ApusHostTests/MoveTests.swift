import ApusCore
import ApusEngine
import ApusLoop
import ApusTestSupport
import Glibc
import Synchronization
import Testing

@testable import ApusHost

/// Subscriptions whose positions somebody moves with tools of the log's.
@Suite struct MoveTests {
    /// Positions as an operator sees and sets them.
    private final class Tool: GroupPositions {
        private struct Content {
            var moves: [TopicPartition: Offset] = [:]
            var isSilent = false
            var asked = 0
        }
        private let content = Mutex(Content())

        func move(_ place: TopicPartition, to offset: Offset) { self.content.withLock { $0.moves[place] = offset } }
        func answers(_ answers: Bool) { self.content.withLock { $0.isSilent = !answers } }
        var asked: Int { self.content.withLock { $0.asked } }

        func moves(of positions: [GroupPosition], in share: Share?) throws(ApusError) -> [Offset?] {
            let (isSilent, moves) = self.content.withLock { content in
                content.asked += 1
                return (content.isSilent, positions.map { content.moves[$0.place] })
            }
            if isSilent { throw ApusError(.logFailed, "nobody answers") }
            return moves
        }

        func followed(_ positions: [GroupPosition]) {
            self.content.withLock { content in for position in positions { content.moves[position.place] = nil } }
        }

        func leave(_ positions: [GroupPosition]) {}
        var waiting: [GroupPosition] {
            self.content.withLock { content in
                content.moves.map { GroupPosition(group: "", place: $0.key, offset: $0.value) }
            }
        }
    }

    private struct Site {
        let cluster = ShareCluster()
        let tool = Tool()
        let memory = MemoryLog { Bed.clock.now }
        let bed: Bed
        let (input, output): (TopicName, TopicName)
        let mode: [String]

        /// What ran may end for longer than any test takes on a busy machine: none of these is about the end of that.
        init(_ mode: [String] = []) async throws {
            self.mode = mode
            self.bed = try await Bed(
                log: SharedLog(self.memory, self.cluster, node: 0, positions: self.tool), classDrain: .seconds(600))
            (self.input, self.output) = (try self.bed.topic("in"), try self.bed.topic("out"))
        }

        func deploy(_ generation: UInt64, paused: Bool = false) async throws {
            var (host, plan) = trigger(1, on: self.input, replyTo: self.output)
            plan.isPaused = paused
            host.generation = 1
            try await self.bed.deploy(
                function(1, self.mode, generation: generation, concurrency: 4, triggers: [(host, plan)]))
        }

        func take() {
            self.cluster.give(to: 0)
            self.cluster.start(0)
        }

        func publish(_ numbers: Range<Int>) async throws {
            try await self.bed.publish(self.input, numbers.map { event("\($0)", key: "key \($0 % 3)") })
        }

        func move(to offset: Offset) { self.tool.move(TopicPartition(self.input, 0), to: offset) }

        var replies: [Int] { self.bed.events(of: self.output).compactMap { Int($0.text) } }

        func until(_ replies: [Int]) async throws {
            try await self.bed.until("the replies \(replies)") { self.replies.count >= replies.count }
            #expect(self.replies.sorted() == replies.sorted())
        }

        func watermark() async throws -> Offset? {
            try self.bed.log.ledger(prefix: Array("default/".utf8)).first.map { try LedgerKey.decode($0.value).watermark }
        }
    }

    /// Behaviour 9: whoever begins a subscription goes on where an operator moved it to, before and behind, and knows nothing any more of
    /// what it had settled.
    @Test func whoeverTakesOverGoesOnWhereAnOperatorMovedIt() async throws {
        let site = try await Site()
        try await site.deploy(1)
        site.take()
        try await site.publish(0..<10)
        try await site.until(Array(0..<10))
        try await site.bed.until("all is settled") { site.bed.shard.engine.watermark(of: TriggerID(rawValue: 1), partition: 0) == 10 }

        site.cluster.tell(0) { .stopped($0) }
        site.move(to: 4)
        site.take()
        try await site.until(Array(0..<10) + Array(4..<10))
        #expect(site.tool.waiting.isEmpty)

        try await site.bed.until("all is settled") { site.bed.shard.engine.watermark(of: TriggerID(rawValue: 1), partition: 0) == 10 }
        site.cluster.tell(0) { .stopped($0) }
        try await site.publish(10..<15)
        site.move(to: 13)
        site.take()
        try await site.until(Array(0..<10) + Array(4..<10) + [13, 14])
        // What lies nowhere is as near to it as there is.
        site.cluster.tell(0) { .stopped($0) }
        site.move(to: 1_000)
        site.take()
        try await site.bed.until("it is followed") { site.tool.waiting.isEmpty }
        #expect(try await site.watermark() == 15)
        try await site.publish(15..<16)
        try await site.until(Array(0..<10) + Array(4..<10) + [13, 14, 15])
        await site.bed.close()
    }

    /// Behaviour 9: nothing runs between the end of a pause and the look whether somebody moved it; while nobody answers it stays paused.
    @Test func aPausedSubscriptionGoesOnWhereAnOperatorMovedIt() async throws {
        let site = try await Site()
        try await site.deploy(1)
        site.take()
        try await site.publish(0..<10)
        try await site.until(Array(0..<10))
        try await site.deploy(2, paused: true)
        try await site.publish(10..<20)
        site.move(to: 17)
        site.tool.answers(false)
        try await site.deploy(3)
        let asked = site.tool.asked
        try await site.bed.until("it is asked again") { site.tool.asked >= asked + 2 }
        #expect(site.replies.count == 10)
        site.tool.answers(true)
        try await site.until(Array(0..<10) + [17, 18, 19])

        // Nobody moved it: it goes on where it was, and what is not deployed anew is not asked for.
        try await site.deploy(4, paused: true)
        try await site.publish(20..<22)
        try await site.deploy(5)
        try await site.until(Array(0..<10) + [17, 18, 19, 20, 21])
        await site.bed.close()
    }

    /// What ran when it was paused ends and counts, then the subscription begins where it was moved to.
    @Test func whatRanWhenItWasPausedEndsBeforeItIsMoved() async throws {
        let gate = "/tmp/apus-moves-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        defer { unlink(gate) }
        let site = try await Site(["gate", gate])
        try await site.deploy(1)
        site.take()
        try await site.publish(0..<2)
        try await site.bed.until("attempts that hang") { site.bed.shard.attemptsInFlight == 2 }
        try await site.deploy(2, paused: true)
        site.move(to: 0)
        try await site.deploy(3)
        try await site.bed.until("it is leaving") {
            if case .leaving = site.bed.shard.resumptions[TriggerID(rawValue: 1)] { true } else { false }
        }
        #expect(site.replies.isEmpty)
        try writeFile(gate, "")
        try await site.until([0, 1, 0, 1])
        await site.bed.close()
    }
}
