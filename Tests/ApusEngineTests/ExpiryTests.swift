import ApusCore
import Testing

@testable import ApusEngine

/// Events that must not run any more, or never could.
@Suite struct ExpiryTests {
    private func event(_ offset: Offset, key: UInt64 = 0, expires: Timestamp) -> RecordSummary {
        RecordSummary(offset: offset, keyHash: key, bytes: 10, expires: expires)
    }

    private func letters(_ actions: [EngineAction]) -> [Offset: ErrorCode] {
        var letters: [Offset: ErrorCode] = [:]
        for case .deadLetter(let delivery, _, let failure) in actions { letters[delivery.offset] = failure.code }
        return letters
    }

    @Test func whatIsOverdueWhenItArrivesStartsNoWorker() {
        var rig = EngineRig(EngineRig.plan())
        rig.publish([self.event(0, expires: rig.now), self.event(1, key: 4, expires: .zero)])
        #expect(!rig.take().contains { if case .start = $0 { true } else { false } })
        #expect(rig.engine.status(of: EngineRig.trigger)?.counters.overdue == 2)
        rig.advance(.seconds(1))
        #expect(rig.commit().last?.state == LedgerState(watermark: 2))
    }

    @Test func whatBecomesOverdueWhileItWaitsMakesRoomForTheNextOfItsKey() {
        var rig = EngineRig(EngineRig.plan(scale: ScalePlan(max: 1), onExpired: .deadLetter))
        let soon = rig.now + .seconds(1)
        rig.publish([
            self.event(0, key: 1, expires: .distantFuture), self.event(1, key: 1, expires: soon),
            self.event(2, key: 1, expires: .distantFuture),
        ])
        _ = rig.startWorkers()
        let first = rig.dispatches()
        rig.advance(.seconds(2))
        rig.succeed(first[0])
        let actions = rig.take()
        #expect(self.letters(actions) == [1: .expired])
        #expect(actions.flatMap(\.dispatches).map(\.offset) == [2])
    }

    @Test func aRetryThatComesTooLateDoesNotRun() {
        var rig = EngineRig(
            EngineRig.plan(
                retry: RetryPlan(attempts: 5, initial: .seconds(10), max: .seconds(10)), scale: ScalePlan(max: 1),
                onExpired: .deadLetter))
        rig.publish([self.event(0, expires: rig.now + .seconds(2))])
        _ = rig.startWorkers()
        for dispatch in rig.dispatches() { _ = rig.fail(dispatch) }
        rig.advance(.seconds(11))
        #expect(self.letters(rig.take()) == [0: .expired])
    }

    @Test func manyOfOneKeyAreSettledWithoutOneCallingTheOther() {
        var configuration = EngineConfiguration()
        configuration.unsettledPerPartition = 100_000
        var rig = EngineRig(EngineRig.plan(scale: ScalePlan(max: 1)), configuration: configuration)
        let soon = rig.now + .seconds(1)
        rig.publish(
            [self.event(0, key: 1, expires: .distantFuture)]
                + (1..<90_000).map { self.event($0, key: 1, expires: soon) })
        _ = rig.startWorkers()
        let first = rig.dispatches()
        rig.advance(.seconds(2))
        rig.succeed(first[0])
        #expect(rig.engine.status(of: EngineRig.trigger)?.counters.overdue == 89_999)
    }

    /// Behaviour 40.
    @Test func poisonIsADeadLetterWithoutAnAttemptAndTheNextProceeds() {
        var rig = EngineRig(EngineRig.plan(order: .partition, onExhausted: .block, scale: ScalePlan(max: 1)))
        rig.publish([RecordSummary(offset: 0, keyHash: 0, bytes: 10, isPoison: true), record(1)])
        _ = rig.take()
        rig.engine.written(Delivery(trigger: EngineRig.trigger, partition: 0, offset: 0))
        #expect(rig.engine.status(of: EngineRig.trigger)?.counters.poison == 1)
        #expect(rig.commit().last?.state.watermark == 1)
    }

    /// Behaviour 35.
    @Test func anEventThatIsTooOldIsNotTriedAgain() {
        let retry = RetryPlan(attempts: 0, initial: .seconds(4), max: .seconds(4), maxAge: .seconds(10))
        var rig = EngineRig(EngineRig.plan(retry: retry, scale: ScalePlan(max: 1, idle: .seconds(600))))
        let delivery = Delivery(trigger: EngineRig.trigger, partition: 0, offset: 0)
        rig.publish([RecordSummary(offset: 0, keyHash: 1, bytes: 10, appended: rig.now)])
        _ = rig.startWorkers()
        var attempts = 0
        while let dispatch = rig.dispatches().first {
            attempts += 1
            guard case .retry(_, _, let due) = rig.fail(dispatch) else { break }
            #expect(due <= Timestamp(microseconds: 1_000_000) + .seconds(10))
            rig.advance(.seconds(4))
        }
        #expect((3...5).contains(attempts), "\(attempts) attempts fit in the time")
        rig.engine.written(delivery)
        #expect(rig.commit().last?.state == LedgerState(watermark: 1))
    }

    @Test func theAgeOfAnEventOfUnknownTimeDoesNotCount() {
        let schedule = RetrySchedule(plan: RetryPlan(attempts: 0, maxAge: .seconds(1)))
        #expect(!schedule.isTooOld(.zero, at: .distantFuture))
        #expect(schedule.isTooOld(Timestamp(microseconds: 1), at: Timestamp(microseconds: 1_000_002)))
        #expect(!schedule.isTooOld(Timestamp(microseconds: 1), at: Timestamp(microseconds: 1_000_001)))
    }
}
