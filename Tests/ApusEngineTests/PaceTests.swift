import ApusCore
import Testing

@testable import ApusEngine

/// Triggers whose deliveries are bounded by time.
@Suite struct PaceTests {
    private func rig(_ perSecond: Int, partitions: Int = 1, end: Offset = 1_000) -> EngineRig {
        var plan = EngineRig.plan(order: .none, concurrency: 1_000, scale: ScalePlan(max: 1))
        plan.triggers[0].perSecond = perSecond
        return EngineRig(plan, partitions: partitions, bounds: OffsetBounds(start: 0, end: end))
    }

    /// Answers what the engine reads and settles what it dispatches.
    /// - Returns: what was dispatched, by partition.
    private func serve(_ rig: inout EngineRig, end: Offset) -> [Int] {
        var partitions: [Int] = []
        var actions = rig.take()
        while !actions.isEmpty {
            for action in actions {
                if case .start(let worker, _, _) = action {
                    rig.engine.workerReady(worker, now: rig.now)
                    rig.engine.credit(worker, 1_000, now: rig.now)
                }
                if case .fetch(_, let partition, let from, let count) = action {
                    let next = min(end, from + Offset(count))
                    rig.engine.fetched(
                        EngineRig.trigger, partition: partition, records: (from..<next).map { record($0) }, next: next,
                        now: rig.now)
                }
                for dispatch in action.dispatches {
                    if case .delivery(let delivery) = dispatch.work { partitions.append(delivery.partition) }
                    rig.succeed(dispatch)
                }
            }
            _ = rig.commit()
            actions = rig.take()
        }
        return partitions
    }

    private func run(_ rig: inout EngineRig, for span: TimeSpan, end: Offset = 1_000) -> [Int] {
        var served = self.serve(&rig, end: end)
        let until = rig.now + span
        while rig.now < until {
            rig.advance(.milliseconds(10))
            served += self.serve(&rig, end: end)
        }
        return served
    }

    @Test(arguments: [1, 10, 100]) func noMoreBeginThanThePaceAllows(perSecond: Int) {
        var rig = self.rig(perSecond)
        let served = self.run(&rig, for: .seconds(4)).count
        #expect((perSecond * 4 - 1...perSecond * 4 + 2).contains(served), "\(served)")
    }

    /// A wish above the bound counts as the bound, so that what the bucket holds cannot overflow.
    @Test func aPaceIsBounded() {
        for perSecond in [Limits.Engine.perSecondMax, Limits.Engine.perSecondMax + 1, .max] {
            #expect(Pace(perSecond: perSecond).perSecond == Limits.Engine.perSecondMax)
            var pace = Pace(perSecond: 1)
            pace.perSecond = perSecond
            #expect(pace.perSecond == Limits.Engine.perSecondMax)
            pace.fill(now: Timestamp(milliseconds: 1))
            pace.fill(now: Timestamp(milliseconds: 3_600_000))
            #expect(pace.allowance == Limits.Engine.perSecondMax / Limits.Engine.paceParts)
        }
        #expect(Pace(perSecond: Limits.Engine.perSecondMax - 1).perSecond == Limits.Engine.perSecondMax - 1)
        #expect(Pace(perSecond: 0).perSecond == 1 && Pace(perSecond: .min).perSecond == 1)
    }

    /// A part of a second's deliveries may come at once, and no more however long it was quiet.
    @Test func quietTimeIsNotSavedUp() {
        var rig = self.rig(100, end: 0)
        _ = self.run(&rig, for: .seconds(60), end: 0)
        rig.engine.grew(EngineRig.trigger, partition: 0, end: 1_000, now: rig.now)
        #expect(self.serve(&rig, end: 1_000).count <= 100 / Limits.Engine.paceParts)
    }

    @Test func noPartitionStarves() {
        var rig = self.rig(40, partitions: 4)
        let served = self.run(&rig, for: .seconds(10))
        for partition in 0..<4 {
            let count = served.count { $0 == partition }
            #expect((50...150).contains(count), "partition \(partition): \(count) of \(served.count)")
        }
    }

    /// Partitions that another node runs are that node's to tell of.
    @Test func itIsCompleteWhenWhatIsOpenHereIs() {
        var rig = self.rig(1_000, end: 3)
        rig.engine.open(
            EngineRig.trigger, partition: 2, state: LedgerState(watermark: 0), bounds: OffsetBounds(start: 0, end: 0),
            now: rig.now)
        #expect(!rig.engine.isComplete(EngineRig.trigger))
        _ = self.run(&rig, for: .milliseconds(200), end: 3)
        #expect(rig.engine.isComplete(EngineRig.trigger))
        rig.engine.close(.whole, now: rig.now)
        #expect(!rig.engine.isComplete(EngineRig.trigger))
    }

    @Test func itIsCompleteOnceAllIsDurable() {
        var rig = self.rig(1_000, end: 3)
        #expect(!rig.engine.isComplete(EngineRig.trigger))
        _ = self.run(&rig, for: .milliseconds(200), end: 3)
        #expect(rig.engine.isComplete(EngineRig.trigger))
        #expect(rig.engine.watermark(of: EngineRig.trigger, partition: 0) == 3)
    }

    /// The pace counts what begins, not what the filter passes over.
    @Test func whatAFilterPassesOverIsNotCounted() {
        var rig = self.rig(1, end: 500)
        guard case .fetch(_, _, let from, let count)? = rig.take().first else {
            Issue.record("nothing is read")
            return
        }
        #expect(from == 0 && count >= Limits.Engine.pacedRecords)
        rig.engine.fetched(
            EngineRig.trigger, partition: 0, records: (0..<400).map { record($0, isMatch: false) } + [record(400)],
            next: 401, now: rig.now)
        #expect(rig.engine.status(of: EngineRig.trigger)?.unsettled == 1)
    }
}
