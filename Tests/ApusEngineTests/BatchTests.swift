import ApusCore
import Testing

@testable import ApusEngine

@Suite struct BatchTests {
    private func rig(_ batch: BatchPlan, concurrency: Int = 1, credit: Int = 1) -> EngineRig {
        var rig = EngineRig(
            EngineRig.plan(order: .none, concurrency: concurrency, batch: batch, scale: ScalePlan(min: 1, max: 1)))
        _ = rig.startWorkers(credit: credit)
        return rig
    }

    private func batches(_ actions: [EngineAction]) -> [[Offset]] {
        actions.compactMap { if case .dispatchBatch(let dispatches) = $0 { dispatches.map(\.offset) } else { nil } }
    }

    /// Behaviour 43.
    @Test func aBatchClosesAtItsSize() {
        var rig = self.rig(BatchPlan(maxSize: 3, maxWait: .seconds(10)), concurrency: 4, credit: 4)
        rig.publish((0..<2).map { record($0) })
        #expect(self.batches(rig.take()).isEmpty)
        rig.publish((2..<7).map { record($0) })
        #expect(self.batches(rig.take()) == [[0, 1, 2], [3, 4, 5]])
        rig.advance(.milliseconds(9_999))
        #expect(self.batches(rig.take()).isEmpty)
        rig.advance(.milliseconds(1))
        #expect(self.batches(rig.take()) == [[6]])
    }

    /// Behaviour 43.
    @Test func aBatchClosesAtItsBytesAndHoldsNoMoreThanThem() {
        var rig = self.rig(BatchPlan(maxSize: 100, maxWait: .seconds(10), maxBytes: 1_000), concurrency: 4, credit: 4)
        rig.publish([record(0, bytes: 400), record(1, bytes: 400), record(2, bytes: 400)])
        #expect(self.batches(rig.take()) == [[0, 1]])
        rig.publish([record(3, bytes: 5_000)])
        #expect(self.batches(rig.take()) == [[2], [3]], "one that is larger goes alone")
    }

    /// Behaviour 43.
    @Test func aBatchClosesAfterItsWait() {
        var rig = self.rig(BatchPlan(maxSize: 100, maxWait: .seconds(5)))
        rig.publish([record(0)])
        rig.advance(.seconds(4))
        #expect(self.batches(rig.take()).isEmpty)
        rig.publish([record(1)])
        rig.advance(.seconds(1))
        #expect(self.batches(rig.take()) == [[0, 1]])
    }

    /// Nothing that would fill the batch is due, and somebody is free: waiting would help nobody.
    @Test func oneAloneDoesNotWaitWhereAWorkerIsFreeAndNothingElseIsDue() {
        var rig = self.rig(BatchPlan(maxSize: 100, maxWait: .milliseconds(5)))
        rig.publish([record(0)])
        #expect(self.batches(rig.take()) == [[0]])
        rig.publish([record(1)])
        rig.publish([record(2)])
        #expect(self.batches(rig.take()).isEmpty, "the only worker is busy")
    }

    /// Under load, the next one is due before the budget is over.
    @Test func underLoadABatchWaitsForTheNextAsLongAsItsBudgetAllows() {
        var rig = self.rig(BatchPlan(maxSize: 4, maxWait: .milliseconds(5)), concurrency: 8, credit: 8)
        var sizes: [Int] = []
        for offset in 0..<2_000 {
            rig.publish([record(Offset(offset))])
            rig.advance(.milliseconds(1))
            for action in rig.take() {
                guard case .dispatchBatch(let dispatches) = action else { continue }
                sizes.append(dispatches.count)
                for dispatch in dispatches { rig.succeed(dispatch) }
            }
        }
        #expect(sizes.suffix(100).allSatisfy { $0 == 4 }, "\(sizes.suffix(20))")
    }

    /// Behaviour 43.
    @Test func withoutAWaitABatchClosesAtOnce() {
        var rig = self.rig(BatchPlan(maxSize: 100, maxWait: .zero))
        rig.publish([record(0)])
        #expect(self.batches(rig.take()) == [[0]])
    }

    @Test func aBatchIsOneCreditThatReturnsWithItsLastItem() {
        var rig = self.rig(BatchPlan(maxSize: 2, maxWait: .zero))
        rig.publish((0..<4).map { record($0) })
        let first = rig.dispatches()
        #expect(first.map(\.offset) == [0, 1])
        rig.succeed(first[1])
        #expect(rig.dispatches().isEmpty)
        #expect(rig.commit().last?.state == LedgerState(watermark: 0, settled: [1..<2]), "items settle one by one")
        _ = rig.fail(first[0])
        #expect(rig.dispatches().map(\.offset) == [2, 3])
    }

    @Test func theGathererForgetsWhatLeaves() {
        var gatherer = BatchGatherer(BatchPlan(maxSize: 2, maxWait: .seconds(1), maxBytes: 100))
        #expect(gatherer.closesAt == nil)
        gatherer.add(bytes: 10, now: Timestamp(microseconds: 5))
        #expect(gatherer.closesAt == Timestamp(microseconds: 1_000_005))
        #expect(!gatherer.isClosed(now: Timestamp(microseconds: 1_000_004)))
        #expect(gatherer.isClosed(now: Timestamp(microseconds: 1_000_005)))
        gatherer.remove(bytes: 10)
        #expect(gatherer.closesAt == nil)
        gatherer.add(bytes: 100, now: .zero)
        #expect(gatherer.isClosed(now: .zero))
        #expect(!gatherer.fits(count: 1, bytes: 60, next: 41))
        #expect(gatherer.fits(count: 1, bytes: 60, next: 40))
        #expect(!gatherer.fits(count: 2, bytes: 0, next: 1))
        #expect(gatherer.fits(count: 0, bytes: 0, next: 1_000))
    }
}
