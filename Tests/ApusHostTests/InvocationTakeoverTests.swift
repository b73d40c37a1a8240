import ApusCore
import ApusEngine
import ApusHost
import ApusJSON
import ApusLoop
import ApusTestSupport
import Testing

/// What is said of an invocation between the moment its next owner has read the ledger and the moment its queue opens there.
@Suite struct InvocationTakeoverTests {
    private static let question = #"{"apus-approval":{"method":"elicitation/create","params":{}}}"#
    private static let accepted = JSONMember(name: InvocationHold.question, json: Array(#"{"action":"accept"}"#.utf8))

    private let cluster = ShareCluster()
    private let rig: InvocationRig

    init() async throws {
        let clock = Bed.clock
        let log = SharedLog(MemoryLog { clock.now }, self.cluster, node: 0)
        self.rig = try await InvocationRig(log: log, approvals: KnownApprovals())
        try await self.rig.deploy()
    }

    private func open() {
        self.cluster.give(to: 0)
        self.cluster.start(0)
    }

    /// Lets the queue go once what it holds waits for its answer.
    private func waitAndClose(_ count: Int) async throws {
        for _ in 0..<count {
            try await self.rig.accept("it ran", told: [Attribute(InvocationHeader.hold, Self.question, kind: .header)])
        }
        self.open()
        try await self.rig.bed.until("all to wait") {
            (0..<count).allSatisfy { self.rig.state(Offset($0)) == "waiting" }
        }
        self.cluster.tell(0) { .draining($0) }
        try await self.rig.bed.until("the drain") { self.cluster.drainedCount == Share.count }
        self.cluster.tell(0) { .stopped($0) }
    }

    /// What the ledger did not say when it was read is what the shard heard.
    private func hear(_ body: @escaping (FunctionID) -> Void) async {
        await self.rig.bed.run { body(FunctionID(rawValue: InvocationRig.id)) }
    }

    @Test func anAnswerThatCameWhileTheQueueOpenedIsNotLost() async throws {
        try await self.waitAndClose(1)
        await self.hear { self.rig.bed.shard.answerInvocation($0, offset: 0, [Self.accepted]) }
        self.open()
        #expect(try await self.rig.ended(0).text == "it ran")
        await self.rig.bed.close()
    }

    /// As another node writes it.
    private func write(_ answer: JSONMember, to offset: Offset) async throws {
        let mark = self.rig.trigger.markEntry(.answer(offset, question: answer.name), answer.json)
        let request = InvocationReport.answerRequest(
            self.rig.trigger.invocation(offset), question: answer.name, answer.json)
        _ = try await withCheckedContinuation { continuation in
            self.rig.bed.log.submit(LogBatch(urgency: .settlement, appends: [request], ledger: [mark])) {
                continuation.resume(returning: $0)
            }
        }.get()
    }

    private var requests: Int {
        (0..<Limits.Invocations.partitions).flatMap { self.rig.bed.events(of: .invocations, partition: $0) }
            .count { $0.data != nil && String(decoding: $0.key ?? [], as: UTF8.self).contains("/answer/") }
    }

    /// What came too late is taken away by who owns the queue.
    @Test func anAnswerToWhatIsOverIsForgotten() async throws {
        try await self.waitAndClose(1)
        self.open()
        await self.hear { self.rig.bed.shard.cancelInvocation($0, offset: 0) }
        _ = try await self.rig.ended(0)
        try await self.write(Self.accepted, to: 0)
        #expect(self.requests == 1)
        await self.hear { self.rig.bed.shard.answerInvocation($0, offset: 0, [Self.accepted]) }
        try await self.rig.bed.until("the request to go") { self.requests == 0 }
        await self.rig.bed.close()
    }

    @Test func oneThatTheLedgerSaysTooIsTakenOnce() async throws {
        try await self.waitAndClose(1)
        try await self.write(Self.accepted, to: 0)
        await self.hear { self.rig.bed.shard.answerInvocation($0, offset: 0, [Self.accepted]) }
        self.open()
        #expect(try await self.rig.ended(0).text == "it ran")
        try await self.rig.bed.until("the ledger forgets what was said") {
            let marks = (try? self.rig.bed.log.ledger(prefix: self.rig.trigger.ledgerPrefix)) ?? []
            return marks.allSatisfy { InvocationMark(key: $0.key, prefix: self.rig.trigger.ledgerPrefix) == nil }
        }
        try await self.rig.bed.until("the request to go") { self.requests == 0 }
        await self.rig.bed.close()
    }

    @Test func aCancellationThatCameWhileTheQueueOpenedIsNotLost() async throws {
        try await self.waitAndClose(1)
        await self.hear { self.rig.bed.shard.cancelInvocation($0, offset: 0) }
        self.open()
        #expect(try await self.rig.ended(0).header("apus-state") == "cancelled")
        await self.rig.bed.close()
    }

    /// At the bound the oldest go: those are in the ledger.
    @Test func noMoreIsKeptThanTheBound() async throws {
        try await self.waitAndClose(2)
        await self.hear { function in
            for offset in 0...Limits.Invocations.heardMarks {
                self.rig.bed.shard.answerInvocation(function, offset: offset == 0 ? 0 : 1, [Self.accepted])
            }
        }
        self.open()
        #expect(try await self.rig.ended(1).text == "it ran")
        #expect(self.rig.state(0) == "waiting")
        await self.rig.bed.close()
    }
}
