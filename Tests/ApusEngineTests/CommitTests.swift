import ApusCore
import ApusEngine
import Testing

@Suite struct CommitTests {
    @Test func aRunOfOffsetsDoneInOrderIsCommittedOnce() {
        var rig = EngineRig(EngineRig.plan(order: .none, concurrency: 10, scale: ScalePlan(max: 1)))
        rig.publish((0..<10).map { record($0) })
        _ = rig.startWorkers(credit: 10)
        for dispatch in rig.dispatches() { rig.succeed(dispatch) }
        let entries = rig.commit()
        #expect(entries.map(\.state) == [LedgerState(watermark: 10)])
        #expect(rig.commit().isEmpty)
    }

    @Test func aBrokenSequenceCommitsOnlyUpToTheFirstUnfinishedOffset() {
        var rig = EngineRig(EngineRig.plan(order: .none, concurrency: 4, scale: ScalePlan(max: 1)))
        rig.publish((0..<4).map { record($0) })
        _ = rig.startWorkers(credit: 4)
        for dispatch in rig.dispatches() where dispatch.offset != 1 { rig.succeed(dispatch) }
        #expect(rig.commit().map(\.state) == [LedgerState(watermark: 1, settled: [2..<4])])
    }

    @Test func gapsOfCompactionAreSettledWithoutWork() {
        var rig = EngineRig(EngineRig.plan(order: .none, concurrency: 4, scale: ScalePlan(max: 1)))
        rig.publish([record(0), record(1), record(5), record(1_000_000_000_000)])
        _ = rig.startWorkers(credit: 4)
        for dispatch in rig.dispatches() { rig.succeed(dispatch) }
        #expect(rig.commit().map(\.state) == [LedgerState(watermark: 1_000_000_000_001)])
    }

    @Test func aRestartRunsOnlyWhatWasNotSettled() {
        let state = LedgerState(watermark: 1, settled: [2..<4])
        var rig = EngineRig(
            EngineRig.plan(order: .none, concurrency: 4, scale: ScalePlan(max: 1)), state: state, bounds: OffsetBounds(start: 0, end: 4)
        )
        #expect(rig.take() == [.fetch(EngineRig.trigger, partition: 0, from: 1, maxRecords: 256)])
        rig.engine.fetched(EngineRig.trigger, partition: 0, records: [record(1), record(2), record(3)], next: 4, now: rig.now)
        _ = rig.startWorkers(credit: 4)
        let dispatches = rig.dispatches()
        #expect(dispatches.map(\.offset) == [1])
        for dispatch in dispatches { rig.succeed(dispatch) }
        #expect(rig.commit().map(\.state) == [LedgerState(watermark: 4)])
    }
}
