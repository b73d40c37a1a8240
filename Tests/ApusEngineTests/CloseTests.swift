import ApusCore
import Testing

@testable import ApusEngine

/// Partitions that leave and come back, as shares of many nodes do.
@Suite struct CloseTests {
    @Test func anAnswerFromBeforeAPartitionWasOpenedAnewSkipsNothing() {
        var rig = EngineRig(EngineRig.plan(order: .key, concurrency: 4, scale: ScalePlan(max: 1)))
        rig.publish([record(0, key: 1), record(1, key: 1), record(2, key: 2)])
        _ = rig.startWorkers(credit: 4)
        _ = rig.dispatches()
        rig.engine.grew(EngineRig.trigger, partition: 0, end: 6, now: rig.now)
        #expect(rig.take().contains(.fetch(EngineRig.trigger, partition: 0, from: 3, maxRecords: 256)))
        rig.engine.close(.whole, now: rig.now)
        rig.engine.open(
            EngineRig.trigger, partition: 0, state: LedgerState(watermark: 1), bounds: OffsetBounds(start: 0, end: 6),
            now: rig.now)
        _ = rig.take()
        rig.engine.fetched(
            EngineRig.trigger, partition: 0, from: 3, records: [record(3), record(4), record(5)], next: 6, now: rig.now)
        #expect(rig.engine.watermark(of: EngineRig.trigger, partition: 0) == 1)
        #expect(rig.engine.status(of: EngineRig.trigger)?.unsettled == 0)
        rig.engine.fetched(
            EngineRig.trigger, partition: 0, from: 1, records: (1..<6).map { record($0) }, next: 6, now: rig.now)
        #expect(rig.engine.status(of: EngineRig.trigger)?.unsettled == 5)
    }
}
