import ApusCore
import ApusEngine
import ApusHost
import ApusLoop
import ApusTestSupport
import Testing

/// Accepted invocations: their outcome is a state, written once, in one with the ledger.
@Suite struct InvocationTests {
    private typealias Rig = InvocationRig

    @Test func whatWasAcceptedBeforeAndAfterTheDeployEndsWithItsResult() async throws {
        let rig = try await Rig()
        try await rig.accept("häagen → 早上好")
        try await rig.deploy()
        try await rig.accept("second")
        let first = try await rig.ended(0)
        #expect(first.text == "häagen → 早上好")
        #expect(first.header("apus-state") == "succeeded")
        #expect(first["datacontenttype"] == "application/octet-stream")
        #expect(first.header("apus-principal") == "tester")
        #expect(first.header("apus-function") == "default/function-1")
        #expect(first.header("apus-attempts") == "1")
        #expect(first.header("apus-revision") == "revision-1")
        let moments = ["apus-queued", "apus-started", "apus-finished"].compactMap {
            first.header($0).flatMap(Int64.init)
        }
        #expect(moments.count == 3)
        #expect(moments == moments.sorted())
        #expect(try await rig.ended(1).text == "second")
        // Nothing else is written: no reply, no dead letter.
        #expect(rig.bed.log.topic(.dead) == nil)
        try await rig.bed.until("the queue gives up what is settled", seconds: 10) {
            (try? rig.bed.log.bounds(of: rig.trigger.place).start) ?? 0 > 0
        }
        await rig.bed.close()
    }

    /// Behaviour 68.
    @Test func oneThatKeepsFailingIsTriedAgainAndThenHasFailed() async throws {
        let rig = try await Rig(["fail"])
        try await rig.deploy()
        try await rig.accept("x")
        let state = try await rig.ended(0)
        #expect(state.header("apus-state") == "failed")
        #expect(state.header("apus-attempts") == "3")
        #expect(state.header("apus-code") == "function_failed")
        #expect(state.header("apus-message") == "it fails by design")
        #expect(await rig.bed.statistics().retried == 2)
        await rig.bed.close()
    }

    /// Behaviour 68.
    @Test func oneWhoseWorkerCrashesIsTriedAgain() async throws {
        let rig = try await Rig(["crash"])
        try await rig.deploy()
        try await rig.accept("bad")
        let state = try await rig.ended(0)
        #expect(state.header("apus-state") == "failed")
        #expect(state.header("apus-code") == "worker_crashed")
        #expect(state.header("apus-attempts") == "3")
        #expect(state.header("apus-started") != nil)
        await rig.bed.close()
    }

    @Test func aResultThatIsTooLargeToKeepSaysSo() async throws {
        let rig = try await Rig()
        try await rig.deploy()
        try await rig.accept(String(repeating: "x", count: Limits.eventBytes + 1))
        try await rig.accept(String(repeating: "x", count: Limits.eventBytes - 1_000))
        let state = try await rig.ended(0)
        #expect(state.header("apus-state") == "failed")
        #expect(state.header("apus-code") == "result_too_large")
        #expect(state.header("apus-attempts") == "1")
        #expect(state.data?.isEmpty == true)
        #expect(try await rig.ended(1).data?.count == Limits.eventBytes - 1_000)
        await rig.bed.close()
    }

    @Test func emittedEventsAreThereOnceAndWithTheState() async throws {
        let rig = try await Rig(["emit"], emits: true)
        try await rig.deploy()
        try await rig.accept("bad")
        #expect(try await rig.ended(0).header("apus-state") == "succeeded")
        #expect(rig.bed.events(of: try rig.bed.topic("alerts")).map(\.text) == ["first", "second"])
        await rig.bed.close()
    }

    /// Behaviour 68.
    @Test func aFailedWriteIsMadeAgainWithTheStateInIt() async throws {
        let clock = Bed.clock
        let log = FlakyLog { clock.now }
        let rig = try await Rig(log: log)
        try await rig.deploy()
        log.fail(next: 3)
        for index in 0..<20 { try await rig.accept("\(index)") }
        for index in 0..<20 { #expect(try await rig.ended(Offset(index)).text == "\(index)") }
        #expect(log.failuresLeft == 0)
        await rig.bed.close()
    }
}

extension InvocationTests {
    @Test func oneThatWaitsIsCancelledWithoutRunning() async throws {
        let rig = try await Rig(["hang"], timeout: .seconds(600))
        try await rig.deploy()
        try await rig.accept("bad, which hangs")
        try await rig.bed.until("the first to run") { rig.bed.shard.attemptsInFlight == 1 }
        try await rig.accept("waits")
        try await rig.cancel(1)
        let state = try await rig.ended(1)
        #expect(state.header("apus-state") == "cancelled")
        #expect(state.header("apus-attempts") == "0")
        #expect(state.header("apus-started") == nil)
        #expect(await rig.bed.statistics().dispatched == 1)
        #expect(try rig.openRequests() == 0)
        // Once more is harmless, and is answered too.
        try await rig.cancel(1)
        try await rig.bed.until("the second request to be answered") { (try? rig.openRequests()) == 0 }
        #expect(rig.state(1) == "cancelled")
        // One that is not there yet.
        try await rig.cancel(2)
        try await rig.accept("comes late")
        try await rig.cancel(0)
        #expect(try await rig.ended(0).header("apus-state") == "cancelled")
        #expect(try await rig.ended(2).header("apus-state") == "cancelled")
        #expect(await rig.bed.statistics().dispatched == 1)
        await rig.bed.close()
    }

    @Test func oneThatRunsIsCancelledWhenItsWorkerAnswersOrIsKilled() async throws {
        var engine = EngineConfiguration()
        engine.cancelGrace = .seconds(60)
        let rig = try await Rig(["slow", "8000"], engine: engine)
        try await rig.deploy()
        try await rig.accept("x")
        try await rig.bed.until("it to run") { rig.bed.shard.attemptsInFlight == 1 }
        try await rig.cancel(0)
        let state = try await rig.ended(0)
        // What the handler returned after that does not count.
        #expect(state.header("apus-state") == "cancelled")
        #expect(state.header("apus-attempts") == "1")
        #expect(state.data?.isEmpty == true)
        #expect(try rig.openRequests() == 0)
        try await rig.accept("y")
        #expect(try await rig.ended(1).text == "y")
        await rig.bed.close()
    }

    @Test func oneWhoseTimeIsOverDoesNotRun() async throws {
        let rig = try await Rig()
        try await rig.accept("old", expires: Bed.clock.now)
        try await rig.accept("young", expires: Bed.clock.now + .seconds(600))
        try await rig.deploy()
        let old = try await rig.ended(0)
        #expect(old.header("apus-state") == "expired")
        #expect(old.header("apus-code") == "expired")
        #expect(try await rig.ended(1).text == "young")
        #expect(await rig.bed.statistics().dispatched == 1)
        await rig.bed.close()
    }

    @Test func aCancellationOutlivesTheServer() async throws {
        let rig = try await Rig(["hang"], timeout: .seconds(600))
        try await rig.accept("bad")
        let mark = LogBatch.LedgerWrite(key: InvocationMark.cancel(0).key(prefix: rig.trigger.ledgerPrefix), value: [1])
        _ = try await withCheckedContinuation { continuation in
            rig.bed.log.submit(LogBatch(urgency: .settlement, ledger: [mark])) { continuation.resume(returning: $0) }
        }.get()
        try await rig.deploy()
        #expect(try await rig.ended(0).header("apus-state") == "cancelled")
        #expect(await rig.bed.statistics().dispatched == 0)
        #expect(try rig.openRequests() == 0)
        await rig.bed.close()
    }

    @Test func oneThatRunsForLongSaysSo() async throws {
        let rig = try await Rig(["slow", "1500"])
        try await rig.deploy()
        try await rig.accept("x")
        try await rig.bed.until("a state that says it runs") { rig.state(0) == "running" }
        #expect(rig.records(0).count == 1)
        #expect(try await rig.ended(0).header("apus-state") == "succeeded")
        await rig.bed.close()
    }

    @Test func aRemovedFunctionWritesNothingMore() async throws {
        let rig = try await Rig(["slow", "300"])
        try await rig.deploy()
        for index in 0..<5 { try await rig.accept("\(index)") }
        try await rig.bed.until("one to run") { rig.bed.shard.attemptsInFlight == 1 }
        await withCheckedContinuation { continuation in
            rig.bed.loop.post {
                rig.bed.shard.remove(FunctionID(rawValue: InvocationRig.id), forgettingPositions: true)
                rig.bed.shard.whenWritten { continuation.resume() }
            }
        }
        let ended = rig.endedCount(5)
        let entries = try rig.bed.log.ledger(prefix: rig.trigger.ledgerPrefix)
        // The ledger and the states agree on what is left to whoever deletes the queue.
        let settled = try entries.first.map { try LedgerKey.decode($0.value).watermark } ?? 0
        #expect(Int(settled) == ended)
        await rig.bed.close()
        #expect(rig.endedCount(5) == ended)
    }
}
