import ApusCore
import ApusEngine
import ApusHost
import ApusJSON
import ApusLoop
import ApusTestSupport
import Testing

/// Accepted invocations that wait for an approval before they begin.
@Suite struct InvocationHoldTests {
    private static let question = #"{"apus-approval":{"method":"elicitation/create","params":{}}}"#

    private static func held(_ question: String = Self.question, revision: String? = nil) -> [Attribute] {
        [Attribute(InvocationHeader.hold, question, kind: .header)]
            + (revision.map { [Attribute(InvocationHeader.onlyRevision, $0, kind: .header)] } ?? [])
    }

    private static func held(by approval: String) -> [Attribute] {
        self.held(String(decoding: InvocationHold.json(approval: approval), as: UTF8.self))
    }

    private func isWaiting(_ rig: InvocationRig, _ offset: Offset) async throws {
        try await rig.bed.until("invocation \(offset) to wait") { rig.state(offset) == "waiting" }
    }

    /// As the server does: durable first.
    private func answer(_ rig: InvocationRig, _ offset: Offset, _ json: String) async throws {
        let member = JSONMember(name: InvocationHold.question, json: Array(json.utf8))
        let mark = rig.trigger.markEntry(.answer(offset, question: member.name), member.json)
        _ = try await withCheckedContinuation { continuation in
            rig.bed.log.submit(LogBatch(urgency: .settlement, ledger: [mark])) { continuation.resume(returning: $0) }
        }.get()
        await rig.bed.run {
            rig.bed.shard.answerInvocation(FunctionID(rawValue: InvocationRig.id), offset: offset, [member])
        }
    }

    @Test func nothingOfItBeginsBeforeTheAnswer() async throws {
        let rig = try await InvocationRig(approvals: KnownApprovals())
        try await rig.deploy()
        for data in ["yes", "no", "never"] { try await rig.accept(data, told: Self.held()) }
        for offset in 0..<3 { try await self.isWaiting(rig, Offset(offset)) }
        let asked = try #require(rig.records(0).first)
        #expect(asked.text == Self.question && asked.header("apus-attempts") == "0" && asked.header("apus-started") == nil)
        let instances = await rig.bed.run { rig.bed.shard.instances().count }
        #expect(instances == 0, "no worker is started for what may not begin")
        try await self.answer(rig, 1, #"{"action":"decline"}"#)
        let declined = try await rig.ended(1)
        #expect(declined.header("apus-state") == "failed" && declined.header("apus-code") == "function_rejected")
        #expect(declined.header("apus-message") == "declined" && declined.header("apus-started") == nil)
        try await rig.cancel(2)
        #expect(try await rig.ended(2).header("apus-state") == "cancelled")
        #expect(await rig.bed.statistics().dispatched == 0)
        #expect(await rig.bed.run { rig.bed.shard.instances().count } == 0)
        try await self.answer(rig, 0, #"{"action":"accept"}"#)
        let done = try await rig.ended(0)
        #expect(done.text == "yes" && done.header("apus-attempts") == "1" && done.header("apus-started") != nil)
        try await rig.bed.until("the ledger forgets what was asked") {
            let marks = (try? rig.bed.log.ledger(prefix: rig.trigger.ledgerPrefix)) ?? []
            return marks.allSatisfy { InvocationMark(key: $0.key, prefix: rig.trigger.ledgerPrefix) == nil }
        }
        await rig.bed.close()
    }

    @Test func somebodyElseDecides() async throws {
        let approvals = KnownApprovals()
        approvals.decide("early", .accepted)
        let rig = try await InvocationRig(approvals: approvals)
        try await rig.deploy()
        for name in ["yes", "no", "early"] { try await rig.accept(name, told: Self.held(by: name)) }
        #expect(try await rig.ended(2).text == "early", "what was decided before it was read")
        for offset in 0..<2 { try await self.isWaiting(rig, Offset(offset)) }
        // What its caller answers counts for nothing here.
        await rig.bed.run { rig.bed.shard.approvalChanged("yes") }
        #expect(rig.state(0) == "waiting")
        approvals.decide("yes", .accepted)
        approvals.decide("no", .refused(Failure(.functionRejected, "declined by bob")))
        await rig.bed.run { rig.bed.shard.approvalChanged("no") }
        #expect(try await rig.ended(1).header("apus-message") == "declined by bob")
        #expect(await rig.bed.statistics().dispatched == 1)
        await rig.bed.run { rig.bed.shard.approvalChanged("yes") }
        #expect(try await rig.ended(0).text == "yes")
        #expect(approvals.usedUp == ["early", "yes"])
        await rig.bed.close()
    }

    @Test func whatWaitsOutlivesTheServer() async throws {
        let approvals = KnownApprovals()
        let rig = try await InvocationRig(approvals: approvals)
        try await rig.deploy()
        try await rig.accept("asked", told: Self.held())
        try await rig.accept("decided", told: Self.held(by: "a"))
        try await rig.accept("said", told: Self.held())
        for offset in 0..<3 { try await self.isWaiting(rig, Offset(offset)) }
        await rig.bed.close()
        // Decided and answered while nobody ran.
        approvals.decide("a", .accepted)
        let mark = rig.trigger.markEntry(.answer(2, question: InvocationHold.question), Array(#"{"action":"accept"}"#.utf8))
        _ = try await withCheckedContinuation { continuation in
            rig.bed.log.submit(LogBatch(urgency: .settlement, ledger: [mark])) { continuation.resume(returning: $0) }
        }.get()
        let next = try await InvocationRig(log: rig.bed.log, approvals: approvals)
        try await next.deploy()
        #expect(try await next.ended(1).text == "decided")
        #expect(try await next.ended(2).text == "said")
        #expect(next.state(0) == "waiting")
        try await self.answer(next, 0, #"{"action":"accept"}"#)
        #expect(try await next.ended(0).text == "asked")
        await next.bed.close()
    }

    @Test func whatWasApprovedRunsAsThatRevisionAlone() async throws {
        let rig = try await InvocationRig(approvals: KnownApprovals())
        try await rig.deploy()
        let only = { (revision: String) in [Attribute(InvocationHeader.onlyRevision, revision, kind: .header)] }
        try await rig.accept("this", told: only("revision-1"))
        try await rig.accept("another", told: only("revision-0"))
        #expect(try await rig.ended(0).text == "this")
        let other = try await rig.ended(1)
        #expect(other.header("apus-code") == "function_rejected" && other.header("apus-message")?.contains("deployed anew") == true)
        await rig.bed.close()
    }

    @Test func nobodyHoldsUpEventsByAHeader() async throws {
        let bed = try await Bed(approvals: KnownApprovals())
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        try await bed.deploy(function(1, triggers: [trigger(1, on: input, replyTo: output)]))
        let once = Attribute(InvocationHeader.once, "1", kind: .header)
        try await bed.publish(input, [event("at once", Self.held() + [once])])
        try await bed.until("its reply") { bed.events(of: output).map(\.text) == ["at once"] }
        await bed.close()
    }

    @Test func noMoreWaitThanMay() async throws {
        let rig = try await InvocationRig(approvals: KnownApprovals())
        try await rig.deploy()
        let most = Limits.Invocations.waitingPerFunction
        for number in 0...most { try await rig.accept("\(number)", told: Self.held()) }
        let refused = try await rig.ended(Offset(most))
        #expect(refused.header("apus-code") == "queue_full", "\(refused)")
        for offset in 0..<most { try await self.isWaiting(rig, Offset(offset)) }
        // One that goes makes room.
        try await self.answer(rig, 0, #"{"action":"accept"}"#)
        #expect(try await rig.ended(0).text == "0")
        try await rig.accept("next", told: Self.held())
        try await self.isWaiting(rig, Offset(most + 1))
        #expect(await rig.bed.statistics().dispatched == 1)
        await rig.bed.close()
    }
}
