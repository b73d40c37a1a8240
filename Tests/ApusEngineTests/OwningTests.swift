import ApusCore
import ApusEngine
import Testing

/// Lanes that come and go while their trigger stays.
@Suite struct OwningTests {
    private static let one = LedgerGroup(rawValue: 3)
    private static let other = LedgerGroup(rawValue: 7)

    /// Partition 0 is of one group, partition 1 of another; both have records, and a worker is ready.
    private func rig(credit: Int = 2) -> EngineRig {
        var rig = EngineRig(EngineRig.plan(order: .none, concurrency: 8, scale: ScalePlan(max: 1)), partitions: 0)
        for (partition, group) in [Self.one, Self.other].enumerated() {
            rig.engine.open(
                EngineRig.trigger, partition: partition, state: LedgerState(watermark: 0),
                bounds: OffsetBounds(start: 0, end: 0), group: group, now: rig.now)
            rig.publish((0..<3).map { record($0) }, partition: partition)
        }
        _ = rig.startWorkers(credit: credit)
        return rig
    }

    private func partition(_ dispatch: Dispatch) -> Int {
        if case .delivery(let delivery) = dispatch.work { delivery.partition } else { -1 }
    }

    @Test func eachGroupIsWrittenByItself() {
        var rig = self.rig()
        for dispatch in rig.dispatches() { rig.succeed(dispatch) }
        #expect(rig.engine.takeLedgerWrites(of: Self.one).map(\.partition) == [0])
        #expect(rig.engine.takeLedgerWrites(of: Self.other).map(\.partition) == [1])
        #expect(rig.engine.takeLedgerWrites(of: Self.one).isEmpty)
        rig.engine.ledgerCommitted(of: Self.other, now: rig.now)
        rig.engine.ledgerFailed(of: Self.one, now: rig.now)
        rig.advance(Limits.Engine.ledgerRetry)
        #expect(rig.take().contains(.ledgerDirty(Self.one)))
        #expect(rig.engine.takeLedgerWrites(of: Self.one).map(\.state.watermark) == [1])
    }

    /// Behaviour 24: what runs may end and be written; nothing more of it begins.
    @Test func aGroupThatLeavesBeginsNothingAndIsQuietOnceWhatRanIsWritten() {
        var rig = self.rig()
        let running = rig.dispatches()
        #expect(Set(running.map(self.partition)) == [0, 1])
        rig.engine.leave(Self.one, now: rig.now)
        for dispatch in running { rig.succeed(dispatch) }
        #expect(!rig.engine.isQuiet(Self.one))
        for _ in 0..<2 {
            let next = rig.dispatches()
            #expect(next.allSatisfy { self.partition($0) == 1 })
            for dispatch in next { rig.succeed(dispatch) }
        }
        #expect(rig.engine.takeLedgerWrites(of: Self.one).map(\.state.watermark) == [1])
        rig.engine.ledgerCommitted(of: Self.one, now: rig.now)
        #expect(rig.engine.isQuiet(Self.one))
    }

    @Test func whatAClosedGroupStillRunsIsIgnoredAndAnotherBeginningStartsAtItsLedger() {
        var rig = self.rig(credit: 8)
        let running = rig.dispatches().filter { self.partition($0) == 0 }
        #expect(!running.isEmpty)
        rig.engine.close(Self.one, now: rig.now)
        #expect(!rig.engine.isOpen(EngineRig.trigger, partition: 0))
        for dispatch in running {
            #expect(rig.engine.outcome(dispatch.stream, .succeeded, now: rig.now) == .ignore)
        }
        #expect(rig.engine.takeLedgerWrites(of: Self.one).isEmpty)
        #expect(rig.engine.isQuiet(Self.one))
        // Another node settled two of them meanwhile.
        rig.engine.open(
            EngineRig.trigger, partition: 0, state: LedgerState(watermark: 2), bounds: OffsetBounds(start: 0, end: 3),
            group: Self.one, now: rig.now)
        _ = rig.take()
        rig.engine.fetched(EngineRig.trigger, partition: 0, records: [record(2)], next: 3, now: rig.now)
        let again = rig.dispatches().filter { self.partition($0) == 0 }
        #expect(again.map(\.offset) == [2])
    }

    /// A write that was under way when the group was closed says nothing to the one that is open by then.
    @Test func aWriteOfBeforeTheCloseIsForgotten() {
        var rig = self.rig()
        for dispatch in rig.dispatches() where self.partition(dispatch) == 0 { rig.succeed(dispatch) }
        #expect(rig.engine.takeLedgerWrites(of: Self.one).count == 1)
        rig.engine.close(Self.one, now: rig.now)
        rig.engine.ledgerCommitted(of: Self.one, now: rig.now)
        rig.engine.ledgerFailed(of: Self.one, now: rig.now)
        #expect(rig.engine.takeLedgerWrites(of: Self.one).isEmpty)
        #expect(rig.engine.isQuiet(Self.one))
    }
}
