import ApusCore
import ApusEngine
import ApusLoop
import ApusTestSupport
import Glibc
import Testing

@testable import ApusHost

/// Functions that go from the nodes of one class to those of another.
@Suite struct ClassTests {
    /// Node 0 has the class cpu, node 1 has gpu.
    private struct Site {
        let memory: MemoryLog
        let cluster = ShareCluster()
        let beds: [Bed]
        let (input, output): (TopicName, TopicName)

        /// Both bounds are longer than any test takes on a busy machine, unless it is about what comes after.
        init(classWait: TimeSpan = .seconds(600)) async throws {
            let memory = MemoryLog { Bed.clock.now }
            var beds: [Bed] = []
            for (node, workClass) in [WorkClass.cpu, .gpu].enumerated() {
                let log = SharedLog(memory, self.cluster, node: node, classes: [workClass])
                beds.append(try await Bed(log: log, classWait: classWait, classDrain: .seconds(600)))
                self.cluster.give(to: node, workClass)
                self.cluster.start(node, workClass)
            }
            self.memory = memory
            self.beds = beds
            (self.input, self.output) = (try beds[0].topic("in", partitions: 3), try beds[0].topic("out"))
        }

        func deploy(_ node: Int, generation: UInt64, _ workClass: WorkClass, _ move: ClassMove? = nil) async throws {
            var function = function(
                1, generation: generation, triggers: [trigger(1, on: self.input, replyTo: self.output)])
            function.workClass = workClass
            function.move = move
            try await self.beds[node].deploy(function)
        }

        /// Publishes and waits until all that was ever published is answered.
        func publish(_ ids: Range<Int>, all: Int) async throws {
            try await self.beds[0].publish(self.input, ids.map { event("\($0)", key: "\($0)") })
            try await self.beds[0].until("\(all) answers") { self.beds[0].events(of: self.output).count >= all }
            #expect(self.beds[0].events(of: self.output).map(\.text).sorted() == (0..<all).map(String.init).sorted())
        }

        func isOpen(_ node: Int) async -> Bool {
            await self.beds[node].run {
                (0..<3).contains { self.beds[node].shard.engine.isOpen(TriggerID(rawValue: 1), partition: $0) }
            }
        }

        func close() async { for bed in self.beds { await bed.close() } }
    }

    @Test func itGoesOnWhereItWasAtTheNodesOfTheNewClassAndBack() async throws {
        let site = try await Site()
        for node in 0..<2 { try await site.deploy(node, generation: 1, .cpu) }
        try await site.publish(0..<6, all: 6)
        #expect(await site.isOpen(0))
        #expect(await !site.isOpen(1))
        for (generation, workClass) in [(2, WorkClass.gpu), (3, .cpu), (4, .gpu)] {
            let node = workClass == .gpu ? 1 : 0
            for node in 0..<2 {
                try await site.deploy(
                    node, generation: UInt64(generation), workClass,
                    ClassMove(first: .cpu, since: UInt64(generation)))
            }
            let count = generation * 6
            try await site.publish(count - 6..<count, all: count)
            #expect(await site.isOpen(node))
            #expect(await !site.isOpen(1 - node))
        }
        #expect(site.cluster.fenced.isEmpty, "each let go by itself")
        #expect(site.cluster.refused == 0)
        await site.close()
    }

    /// The node of the old class has not heard of it, or is gone: its work is taken, and what it decides takes no effect.
    @Test func whatNobodyLetsGoOfIsTakenAndDecidedOnce() async throws {
        let site = try await Site(classWait: .milliseconds(500))
        for node in 0..<2 { try await site.deploy(node, generation: 1, .cpu) }
        try await site.publish(0..<6, all: 6)
        let move = ClassMove(first: .cpu, since: 2)
        try await site.deploy(1, generation: 2, .gpu, move)
        try await site.beds[1].until("the take-over") { site.cluster.fenced.count == 3 }
        // The other hears that it was fenced, begins its shares anew, and finds that the work is not its own.
        site.cluster.tell(0) { .stopped($0) }
        site.cluster.start(0)
        try await site.publish(6..<12, all: 12)
        #expect(await !site.isOpen(0))
        try await site.deploy(0, generation: 2, .gpu, move)
        try await site.publish(12..<18, all: 18)
        #expect(await !site.isOpen(0))
        await site.close()
    }

    /// What runs of a function that moves may end for a bounded while; then it is let go, and runs again where it went.
    @Test func whatRunsTooLongWhenItsFunctionMovesIsLetGoAndRunsAgain() async throws {
        let gate = "/tmp/apus-class-\(getpid())-\(UInt32.random(in: 0 ... .max))"
        defer { unlink(gate) }
        let site = try await Site()
        func deploy(_ node: Int, _ generation: UInt64, _ mode: [String], _ workClass: WorkClass, _ move: ClassMove?)
            async throws
        {
            var function = function(
                1, mode, generation: generation, triggers: [trigger(1, on: site.input, replyTo: site.output)])
            function.workClass = workClass
            function.move = move
            try await site.beds[node].deploy(function)
        }
        for node in 0..<2 { try await deploy(node, 1, ["gate", gate], .cpu, nil) }
        try await site.beds[0].publish(site.input, [event("slow", key: "slow")])
        try await site.beds[0].until("it runs") { site.beds[0].shard.attemptsInFlight == 1 }
        let move = ClassMove(first: .cpu, since: 2)
        try await deploy(0, 2, [], .gpu, move)
        #expect(ShardConfiguration().classDrain == .milliseconds(Limits.Host.classDrainMilliseconds))
        let until = try #require(
            await site.beds[0].run { site.beds[0].shard.classChanges[FunctionID(rawValue: 1)]?.until })
        func look(at time: Timestamp) async { await site.beds[0].run { site.beds[0].shard.advanceClassChanges(now: time) } }
        await look(at: Timestamp(microseconds: until.microseconds - 1))
        #expect(await site.isOpen(0), "it may end still")
        await look(at: until)
        #expect(await !site.isOpen(0))
        try await deploy(1, 2, [], .gpu, move)
        try await site.beds[1].until("the other runs it") { site.beds[1].events(of: site.output).count == 1 }
        try writeFile(gate, "")
        try await site.beds[0].until("what ran ends in vain") { site.beds[0].shard.attemptsInFlight == 0 }
        #expect(site.beds[1].events(of: site.output).map(\.text) == ["slow"])
        await site.close()
    }

    /// A lane that another class has is looked at again after the bound, not before.
    @Test func aLaneThatIsAnothersIsLookedAtAgainAfterAWhile() async throws {
        let site = try await Site()
        try await site.deploy(1, generation: 2, .gpu, ClassMove(first: .cpu, since: 2))
        try await site.beds[1].until("its lanes are held back") { !site.beds[1].shard.heldBack.isEmpty }
        let bed = site.beds[1]
        await bed.run {
            let now = bed.shard.now
            let lane = Shard.LaneID(trigger: TriggerID(rawValue: 1), partition: 0)
            let share = Share.of(site.input, partition: 0, .gpu)
            bed.shard.holdBack(lane, ShareTerm(share, term: 7), now: now)
            let due = bed.shard.heldBack[share]?.due ?? .zero
            #expect(due == now + .milliseconds(Limits.Host.classLookMilliseconds))
            bed.shard.openWhatWasHeldBack(now: Timestamp(microseconds: due.microseconds - 1))
            #expect(bed.shard.heldBack[share]?.due == due)
            // Of another term than it holds: nothing is opened, and nothing is looked at any more.
            bed.shard.openWhatWasHeldBack(now: due)
            #expect(bed.shard.heldBack[share]?.due != due)
        }
        await site.close()
    }

    @Test func aNewTriggerOfAFunctionThatMovedWaitsForNobody() async throws {
        let site = try await Site()
        let (other, output) = (try site.beds[0].topic("other"), site.output)
        for node in 0..<2 {
            var function = function(
                1, generation: 3, triggers: [trigger(7, on: other, replyTo: output, generation: 3)])
            function.workClass = .gpu
            function.move = ClassMove(first: .cpu, since: 2)
            try await site.beds[node].deploy(function)
        }
        try await site.beds[0].publish(other, [event("x")])
        try await site.beds[0].until("a reply") { site.beds[0].events(of: output).count == 1 }
        #expect(site.cluster.fenced.isEmpty)
        await site.close()
    }

    @Test func theLedgerSaysWhoHoldsALane() throws {
        let moved = ClassMove(first: .cpu, since: 5)
        let cases: [(ClassMark?, WorkClass, ClassMove?, ClassMark.Holder)] = [
            (nil, .cpu, nil, .own), (nil, .gpu, nil, .own), (nil, .gpu, moved, .former(.cpu)),
            (nil, .cpu, moved, .own),
            (ClassMark(since: 5, workClass: .gpu), .gpu, moved, .own),
            (ClassMark(since: 3, workClass: .cpu), .gpu, moved, .former(.cpu)),
            (ClassMark(since: 3, workClass: .gpu), .gpu, moved, .own),
            (ClassMark(since: 7, workClass: .cpu), .gpu, moved, .later),
            (ClassMark(since: 5, workClass: .gpu), .cpu, nil, .later),
        ]
        for (mark, workClass, move, holder) in cases {
            #expect(ClassMark.holder(mark, of: workClass, move) == holder, "\(String(describing: mark)) \(workClass)")
        }
        let mark = ClassMark(since: 9, workClass: .gpu)
        #expect(ClassMark(decoding: mark.encoded) == mark)
        #expect(ClassMark(decoding: Array(mark.encoded.prefix(8))) == nil)
        #expect(ClassMark(decoding: mark.encoded + [0x20]) == nil)
        // It is no position.
        let key = ClassMark.key(prefix: [1], partition: 3)
        #expect(LedgerKey.partition(of: key, prefix: [1]) == nil)
    }
}
