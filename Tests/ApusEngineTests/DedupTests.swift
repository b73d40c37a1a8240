import ApusCore
import Testing

@testable import ApusEngine

/// Behaviour 52.
@Suite struct DedupTests {
    private static let window = TimeSpan.seconds(60)
    private let start = Timestamp(microseconds: 1_000_000)

    private func rig(
        _ configuration: EngineConfiguration = EngineConfiguration(), onExhausted: OnExhausted = .deadLetter
    )
        -> EngineRig
    {
        var rig = EngineRig(
            EngineRig.plan(
                order: .none, retry: RetryPlan(attempts: 1), onExhausted: onExhausted, concurrency: 8,
                scale: ScalePlan(min: 1, max: 1), dedupWindow: Self.window), configuration: configuration)
        _ = rig.startWorkers(credit: 8)
        return rig
    }

    private func event(_ offset: Offset, _ id: UInt8, after span: TimeSpan = .zero, isKnown: Bool = false)
        -> RecordSummary
    {
        RecordSummary(
            offset: offset, keyHash: 0, bytes: 10, appended: self.start + span,
            identity: EventIdentity(Array(repeating: id, count: EventIdentity.byteCount)), isDuplicate: isKnown)
    }

    private func counters(_ rig: EngineRig) -> TriggerCounters? { rig.engine.status(of: EngineRig.trigger)?.counters }

    @Test func aRepetitionOfWhatRunsIsSkippedAndCounted() {
        var rig = self.rig()
        rig.publish([self.event(0, 1), self.event(1, 2), self.event(2, 1)])
        let dispatches = rig.dispatches()
        #expect(dispatches.map(\.offset) == [0, 1])
        #expect(self.counters(rig)?.duplicates == 1)
        for dispatch in dispatches { rig.succeed(dispatch) }
        let entry = rig.commit().last
        #expect(entry?.state == LedgerState(watermark: 3))
        #expect(entry?.remembered.map(\.offset) == [0, 1])
        #expect(entry?.remembered.allSatisfy { $0.window == Self.window } ?? false)
    }

    @Test func whatTheLogRemembersIsSkipped() {
        var rig = self.rig()
        rig.publish([self.event(0, 1, isKnown: true), self.event(1, 2)])
        #expect(rig.dispatches().map(\.offset) == [1])
    }

    @Test func afterTheWindowItRunsAgain() {
        var rig = self.rig()
        rig.publish([self.event(0, 1), self.event(1, 1, after: .seconds(60)), self.event(2, 1, after: .seconds(61))])
        #expect(rig.dispatches().map(\.offset) == [0, 2])
    }

    @Test func theSameOffsetIsNoRepetitionOfItself() {
        var rig = self.rig()
        rig.publish([self.event(0, 1)])
        let first = rig.dispatches()
        #expect(first.count == 1)
        rig.engine.fetched(EngineRig.trigger, partition: 0, records: [self.event(0, 1)], next: 1, now: rig.now)
        #expect(self.counters(rig)?.duplicates == 0)
    }

    /// The log was looked at before the first was durable, and the answer comes after.
    @Test func whatSettlesDuringAReadIsStillKnownWhenItsAnswerComes() {
        var rig = self.rig()
        rig.publish([self.event(0, 1)])
        let first = rig.dispatches()
        rig.engine.grew(EngineRig.trigger, partition: 0, end: 2, now: rig.now)
        rig.succeed(first[0])
        _ = rig.commit()
        rig.engine.fetched(EngineRig.trigger, partition: 0, records: [self.event(1, 1)], next: 2, now: rig.now)
        #expect(rig.dispatches().isEmpty)
        #expect(self.counters(rig)?.duplicates == 1)
    }

    @Test func aWriteThatFailsRemembersWithTheNext() {
        var rig = self.rig()
        rig.publish([self.event(0, 1)])
        rig.succeed(rig.dispatches()[0])
        #expect(rig.engine.takeLedgerWrites().last?.remembered.count == 1)
        rig.engine.ledgerFailed(now: rig.now)
        rig.publish([self.event(1, 1)])
        #expect(self.counters(rig)?.duplicates == 1)
        #expect(rig.commit().last?.remembered.map(\.offset) == [0])
    }

    @Test func whatWasDroppedIsRememberedToo() {
        var rig = self.rig(onExhausted: .drop)
        rig.publish([self.event(0, 1)])
        _ = rig.fail(rig.dispatches()[0])
        rig.publish([self.event(1, 1)])
        #expect(self.counters(rig)?.duplicates == 1)
        #expect(rig.commit().last?.remembered.map(\.offset) == [0])
        #expect(rig.commit().last?.remembered.isEmpty ?? true)
    }

    @Test func droppedOnesThatWaitForAWriteCountAgainstTheBound() {
        var configuration = EngineConfiguration()
        configuration.unsettledPerPartition = 2
        var rig = self.rig(configuration, onExhausted: .drop)
        rig.publish([self.event(0, 1), self.event(1, 2)])
        for dispatch in rig.dispatches() { _ = rig.fail(dispatch) }
        rig.engine.grew(EngineRig.trigger, partition: 0, end: 4, now: rig.now)
        #expect(!rig.take().contains { if case .fetch = $0 { true } else { false } })
        _ = rig.commit()
        #expect(rig.take().contains { if case .fetch = $0 { true } else { false } })
    }

    @Test func aRecordThatIsGoneLeavesItsRepetitionToRun() {
        var rig = self.rig()
        rig.publish([self.event(0, 1)])
        rig.engine.recordGone(rig.dispatches()[0].stream, isSuperseded: true, now: rig.now)
        rig.publish([self.event(1, 1)])
        #expect(rig.dispatches().map(\.offset) == [1])
    }

    @Test func withoutAWindowEverythingRuns() {
        var rig = EngineRig(EngineRig.plan(order: .none, concurrency: 4, scale: ScalePlan(min: 1, max: 1)))
        _ = rig.startWorkers(credit: 4)
        rig.publish([self.event(0, 1), self.event(1, 1, isKnown: true)])
        #expect(rig.dispatches().map(\.offset) == [0, 1])
    }
}
