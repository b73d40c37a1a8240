import ApusCore
import Testing

@testable import ApusEngine

/// Batches that fail as a whole.
@Suite struct SplitTests {
    private static let failure = AttemptOutcome.failed(Failure(.functionFailed, "no"), retryAfter: nil)

    private func rig(_ size: Int, retry: RetryPlan = RetryPlan(attempts: 2, initial: .seconds(1), max: .seconds(1)))
        -> EngineRig
    {
        var rig = EngineRig(
            EngineRig.plan(
                order: .key, retry: retry, batch: BatchPlan(maxSize: size, maxWait: .zero),
                scale: ScalePlan(min: 1, max: 1, idle: .seconds(3_600))))
        _ = rig.startWorkers()
        return rig
    }

    /// Runs batches until nothing is left to run: one with a bad event fails as a whole, others succeed.
    /// - Returns: the sizes of the batches in which each event ran.
    private func run(_ rig: inout EngineRig, bad: Set<Offset>) -> [Offset: [Int]] {
        var runs: [Offset: [Int]] = [:]
        for _ in 0..<1_000 {
            let batches = rig.take().compactMap { if case .dispatchBatch(let items) = $0 { items } else { nil } }
            if batches.isEmpty { break }
            for batch in batches {
                let fails = batch.contains { bad.contains($0.offset) }
                for item in batch {
                    runs[item.offset, default: []].append(batch.count)
                    if fails {
                        _ = rig.engine.outcome(item.stream, Self.failure, blame: .batch, now: rig.now)
                    } else {
                        rig.succeed(item)
                    }
                }
            }
            _ = rig.commit()
        }
        return runs
    }

    /// Behaviour 44.
    @Test(arguments: [2, 3, 7, 8, 16, 100])
    func aBadEventEndsAloneAndGoodOnesRunOnlyAFewTimesMore(_ size: Int) {
        var rig = self.rig(size)
        rig.publish((0..<Offset(size)).map { record($0, key: UInt64($0) + 1, bytes: 1) })
        let bad = Offset(size / 2)
        let runs = self.run(&rig, bad: [bad])
        let halvings = Int.bitWidth - (size - 1).leadingZeroBitCount
        for (offset, sizes) in runs where offset != bad {
            #expect(sizes.count <= 1 + halvings, "\(offset) ran \(sizes.count) times, in batches of \(sizes)")
        }
        #expect(runs[bad]?.last == 1, "it ran alone in the end")
        let counters = rig.engine.status(of: EngineRig.trigger)?.counters
        #expect(counters?.attemptsFailed == 1, "only the attempt that it failed alone counts")
        #expect(counters?.settled == Int64(size) - 1)
        rig.advance(.seconds(2))
        #expect(rig.dispatches().map(\.attempt) == [2], "its second attempt, after its backoff")
    }

    @Test func whatFailedAloneNeverHarmsAnotherAgain() {
        var rig = self.rig(4, retry: RetryPlan(attempts: 3, initial: .seconds(1), max: .seconds(1)))
        rig.publish((0..<4).map { record($0, key: UInt64($0) + 1, bytes: 1) })
        _ = self.run(&rig, bad: [2])
        rig.publish((4..<7).map { record($0, key: UInt64($0) + 1, bytes: 1) })
        rig.advance(.seconds(1))
        let runs = self.run(&rig, bad: [2])
        #expect(runs[2] == [1])
        for offset in Offset(4)..<7 { #expect(runs[offset]?.count == 1) }
    }

    @Test func theOrderOfAKeyIsKept() {
        var rig = self.rig(8)
        rig.publish((0..<12).map { record($0, key: UInt64($0 % 3) + 1, bytes: 1) })
        var last: [UInt64: Offset] = [:]
        for _ in 0..<200 {
            let items = rig.dispatches()
            if items.isEmpty { break }
            let fails = items.count > 1 && items.contains { $0.offset == 4 }
            for item in items {
                let key = UInt64(item.offset % 3)
                #expect(last[key].map { $0 < item.offset } ?? true, "\(item.offset) ran before one of its key was done")
                if fails {
                    _ = rig.engine.outcome(item.stream, Self.failure, blame: .batch, now: rig.now)
                } else {
                    last[key] = item.offset
                    rig.succeed(item)
                }
            }
        }
        #expect(last == [0: 9, 1: 10, 2: 11])
    }

    @Test func aCrashAndATimeoutSplitTheBatchToo() {
        var rig = self.rig(4)
        rig.publish((0..<4).map { record($0, key: UInt64($0) + 1, bytes: 1) })
        let batch = rig.dispatches()
        #expect(batch.count == 4)
        rig.engine.workerExited(batch[0].worker, Failure(.workerCrashed, "gone"), now: rig.now)
        rig.advance(.seconds(1))
        _ = rig.startWorkers()
        let halves = rig.dispatches()
        #expect(halves.count == 2)
        #expect(halves.allSatisfy { $0.attempt == 1 }, "nobody knows whose doing it was")
        rig.advance(.seconds(30))
        for item in halves { #expect(rig.engine.outcome(item.stream, .succeeded, now: rig.now) == .ignore) }
        let later = rig.take().compactMap { if case .dispatchBatch(let items) = $0 { items.count } else { nil } }
        #expect(later == [2], "the other half goes first")
        #expect(rig.engine.status(of: EngineRig.trigger)?.counters.attemptsFailed == 0)
    }

    @Test func whatIsToldOfOneEventCountsForItAlone() {
        var rig = self.rig(2)
        rig.publish([record(0, key: 1, bytes: 1), record(1, key: 2, bytes: 1)])
        let batch = rig.dispatches()
        guard case .retry(_, attempts: 1, _) = rig.engine.outcome(batch[0].stream, Self.failure, now: rig.now) else {
            Issue.record("it should be tried again")
            return
        }
        rig.succeed(batch[1])
        #expect(rig.commit().last?.state.pending.map(\.attempts) == [1])
    }

    @Test func aRejectionOfABatchRejectsOnlyWhatIsAlone() {
        var rig = self.rig(2)
        rig.publish([record(0, key: 1, bytes: 1), record(1, key: 2, bytes: 1)])
        let rejected = AttemptOutcome.rejected(Failure(.functionRejected, "no"))
        for item in rig.dispatches() {
            guard case .retry = rig.engine.outcome(item.stream, rejected, blame: .batch, now: rig.now) else {
                Issue.record("\(item.offset) should run again alone")
                return
            }
        }
        let alone = rig.dispatches()
        #expect(alone.count == 1)
        let verdict = rig.engine.outcome(alone[0].stream, rejected, blame: .batch, now: rig.now)
        guard case .deadLetter(_, attempts: 1) = verdict else {
            Issue.record("it should be a dead letter, and is \(verdict)")
            return
        }
    }
}
