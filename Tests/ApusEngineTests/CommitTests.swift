import ApusCore
import Testing

@testable import ApusEngine

@Suite struct CommitTests {
    /// Behaviour 1.
    @Test func aRunOfOffsetsDoneInOrderIsCommittedOnce() {
        var rig = EngineRig(EngineRig.plan(order: .none, concurrency: 10, scale: ScalePlan(max: 1)))
        rig.publish((0..<10).map { record($0) })
        _ = rig.startWorkers(credit: 10)
        for dispatch in rig.dispatches() { rig.succeed(dispatch) }
        let entries = rig.commit()
        #expect(entries.map(\.state) == [LedgerState(watermark: 10)])
        #expect(rig.commit().isEmpty)
    }

    /// Behaviour 22. One read asks for its bound at most, less where less may be unsettled, and no read begins for a few records of room.
    @Test(arguments: [(100_000, Limits.Engine.fetchRecords), (Limits.Engine.fetchRecords, Limits.Engine.fetchRecords), (8, 8)])
    func oneReadAsksForABoundedNumberOfRecords(unsettled: Int, asked: Int) {
        var configuration = EngineConfiguration()
        configuration.unsettledPerPartition = unsettled
        var rig = EngineRig(
            EngineRig.plan(order: .none, concurrency: 1, scale: ScalePlan(max: 1)), configuration: configuration,
            bounds: OffsetBounds(start: 0, end: 1_000_000))
        func fetches(_ rig: inout EngineRig) -> [(from: Offset, count: Int)] {
            rig.take().compactMap {
                if case .fetch(_, _, let from, let count) = $0 { (from, count) } else { nil }
            }
        }
        let first = fetches(&rig)
        #expect(first.map(\.count) == [asked] && first.first?.from == 0)
        // As many as were asked for came: the next read asks for what still may come.
        rig.engine.fetched(
            EngineRig.trigger, partition: 0, records: (0..<Offset(asked)).map { record($0) }, next: Offset(asked),
            now: rig.now)
        #expect(fetches(&rig).map(\.count) == (unsettled >= 2 * asked ? [asked] : []))
    }

    /// Behaviour 2.
    @Test func aBrokenSequenceCommitsOnlyUpToTheFirstUnfinishedOffset() {
        var rig = EngineRig(EngineRig.plan(order: .none, concurrency: 4, scale: ScalePlan(max: 1)))
        rig.publish((0..<4).map { record($0) })
        _ = rig.startWorkers(credit: 4)
        for dispatch in rig.dispatches() where dispatch.offset != 1 { rig.succeed(dispatch) }
        #expect(rig.commit().map(\.state) == [LedgerState(watermark: 1, settled: [2..<4])])
    }

    /// Behaviour 4.
    @Test func gapsOfCompactionAreSettledWithoutWork() {
        var rig = EngineRig(EngineRig.plan(order: .none, concurrency: 4, scale: ScalePlan(max: 1)))
        rig.publish([record(0), record(1), record(5), record(1_000_000_000_000)])
        _ = rig.startWorkers(credit: 4)
        for dispatch in rig.dispatches() { rig.succeed(dispatch) }
        #expect(rig.commit().map(\.state) == [LedgerState(watermark: 1_000_000_000_001)])
    }

    /// Behaviour 12.
    @Test func aRestartRunsOnlyWhatWasNotSettled() {
        let state = LedgerState(watermark: 1, settled: [2..<4])
        var rig = EngineRig(
            EngineRig.plan(order: .none, concurrency: 4, scale: ScalePlan(max: 1)), state: state,
            bounds: OffsetBounds(start: 0, end: 4)
        )
        #expect(rig.take() == [.fetch(EngineRig.trigger, partition: 0, from: 1, maxRecords: 256)])
        rig.engine.fetched(
            EngineRig.trigger, partition: 0, records: [record(1), record(2), record(3)], next: 4, now: rig.now)
        _ = rig.startWorkers(credit: 4)
        let dispatches = rig.dispatches()
        #expect(dispatches.map(\.offset) == [1])
        for dispatch in dispatches { rig.succeed(dispatch) }
        #expect(rig.commit().map(\.state) == [LedgerState(watermark: 4)])
    }
}

/// A million deliveries that end in random order: behaviour of the ledger at scale, and of its cost.
@Suite struct CommitOrderTests {
    /// Behaviour 3.
    @Test func aMillionRandomCompletionsCommitExactlyToTheEndAndNeverPastAnUnfinishedOffset() {
        let count = 1_000_000
        var ledger = Ledger(LedgerState(watermark: 0), start: 0)
        var generator = SeededGenerator(seed: 3)
        var running: [Int32] = []
        var next: Offset = 0
        var committed = 0
        while committed < count {
            while running.count < 512, next < count {
                guard let slot = ledger.admit(next, orderKey: 0, bytes: 1, tableMark: 0) else { continue }
                next += 1
                ledger.makeReady(slot)
                if let taken = ledger.takeReady() { running.append(taken) }
            }
            for _ in 0..<min(64, running.count) {
                running.swapAt(Int.random(in: 0..<running.count, using: &generator), running.count - 1)
                let slot = running.removeLast()
                ledger.finish(slot)
                let isWritten = ledger.write(slot)
                #expect(isWritten)
            }
            let state = ledger.beginWrite()
            let oldest = running.map { ledger[$0].offset }.min() ?? next
            if state.watermark != oldest {
                Issue.record("watermark \(state.watermark), the oldest unfinished is \(oldest)")
            }
            committed += ledger.commitWrite()
        }
        #expect(ledger.state == LedgerState(watermark: Offset(count)))
        #expect(ledger.unsettled == 0)
    }

    /// Behaviour 4.
    @Test func theLedgerHoldsEntriesForWhatIsUnsettledOnly() {
        var ledger = Ledger(LedgerState(watermark: 0), start: 0)
        // One delivery stays; ten thousand pass it by, over gaps of a billion each.
        guard let stuck = ledger.admit(0, orderKey: 0, bytes: 1, tableMark: 0) else { return }
        for index in 1...10_000 {
            let offset = Offset(index) * 1_000_000_000
            guard let slot = ledger.admit(offset, orderKey: 0, bytes: 1, tableMark: 0) else { continue }
            ledger.finish(slot)
            _ = ledger.write(slot)
            _ = ledger.beginWrite()
            _ = ledger.commitWrite()
        }
        #expect(ledger.entries.count == 2)
        #expect(ledger.state == LedgerState(watermark: 0, settled: [1..<10_000_000_000_001]))
        ledger.settle(stuck)
        #expect(ledger.state == LedgerState(watermark: 10_000_000_000_001))
    }

    /// Behaviour 4: a restart need not be told of gaps in which nothing was settled, so that a write says as much as without them.
    @Test func aGapBetweenUnsettledDeliveriesIsNotInTheState() {
        var ledger = Ledger(LedgerState(watermark: 0), start: 0)
        var slots: [Int32] = []
        for index in 0..<100 {
            guard let slot = ledger.admit(Offset(index) * 1_000, orderKey: 0, bytes: 1, tableMark: 0) else { continue }
            ledger.fail(slot, due: .zero)
            slots.append(slot)
        }
        #expect(ledger.state.settled.isEmpty && ledger.state.pending.count == 100)
        // What was settled in between is told, with the gaps beside it.
        ledger.settle(slots[50])
        #expect(ledger.state.settled == [49_001..<51_000])
        ledger.settle(slots[99])
        #expect(ledger.state.settled == [49_001..<51_000, 98_001..<99_001])
        // So is what a filter passed by, and what was settled before a restart.
        ledger.pass(to: 99_500)
        guard let next = ledger.admit(100_000, orderKey: 0, bytes: 1, tableMark: 0) else { return }
        ledger.fail(next, due: .zero)
        #expect(ledger.state.settled == [49_001..<51_000, 98_001..<100_000])
        var restarted = Ledger(ledger.state, start: 0)
        #expect(restarted.admit(50_000, orderKey: 0, bytes: 1, tableMark: 0) == nil)
        #expect(restarted.admit(49_000, orderKey: 0, bytes: 1, tableMark: 0) != nil)
    }
}

@Suite struct LedgerWriteTests {
    private func rig(_ count: Offset = 3) -> EngineRig {
        var rig = EngineRig(EngineRig.plan(order: .none, concurrency: 8, scale: ScalePlan(max: 1)))
        rig.publish((0..<count).map { record($0) })
        _ = rig.startWorkers(credit: 8)
        return rig
    }

    /// Behaviour 13.
    @Test func aFailedCommitStaysDirtyAndIsWrittenAgainAfterADelay() {
        var rig = self.rig()
        for dispatch in rig.dispatches() { rig.succeed(dispatch) }
        #expect(rig.engine.takeLedgerWrites().map(\.state.watermark) == [3])
        #expect(rig.engine.takeLedgerWrites().isEmpty, "one write is under way at most")
        _ = rig.take()
        rig.engine.ledgerFailed(now: rig.now)
        #expect(rig.take() == [])
        rig.advance(Limits.Engine.ledgerRetry)
        #expect(rig.take() == [.ledgerDirty(.whole)])
        #expect(rig.commit().map(\.state.watermark) == [3])
    }

    /// Behaviour 13.
    @Test func whileCommitsNeverSucceedWorkGoesOnToItsBoundAndNoFurther() {
        var configuration = EngineConfiguration()
        configuration.unsettledPerPartition = 10
        var rig = EngineRig(
            EngineRig.plan(order: .none, concurrency: 4, scale: ScalePlan(max: 1)), configuration: configuration)
        rig.engine.grew(EngineRig.trigger, partition: 0, end: 1_000, now: rig.now)
        var ran = 0
        var next: Offset = 0
        func step() {
            for action in rig.take() {
                switch action {
                case .start(let worker, _, _):
                    rig.engine.workerReady(worker, now: rig.now)
                    rig.engine.credit(worker, 4, now: rig.now)
                case .fetch(_, _, let from, let count):
                    next = from + Offset(count)
                    rig.engine.fetched(
                        EngineRig.trigger, partition: 0, from: from, records: (from..<next).map { record($0) },
                        next: next, now: rig.now)
                case .dispatch(let dispatch):
                    ran += 1
                    rig.succeed(dispatch)
                case .ledgerDirty: break
                default: break
                }
            }
        }
        for _ in 0..<200 {
            step()
            if !rig.engine.takeLedgerWrites().isEmpty { rig.engine.ledgerFailed(now: rig.now) }
            rig.advance(Limits.Engine.ledgerRetry)
        }
        #expect(ran == 10)
        #expect(rig.engine.status(of: EngineRig.trigger)?.counters.settled == 0)
        for _ in 0..<1_000 {
            step()
            _ = rig.commit()
        }
        #expect(ran == 1_000)
        #expect(rig.engine.watermark(of: EngineRig.trigger, partition: 0) == 1_000)
    }

    @Test func whatEndsDuringAWriteGoesIntoTheNext() {
        var rig = self.rig()
        let dispatches = rig.dispatches()
        rig.succeed(dispatches[0])
        #expect(rig.engine.takeLedgerWrites().map(\.state) == [LedgerState(watermark: 1)])
        rig.succeed(dispatches[1])
        _ = rig.take()
        rig.engine.ledgerCommitted(now: rig.now)
        #expect(rig.take().contains(.ledgerDirty(.whole)))
        #expect(rig.commit().map(\.state) == [LedgerState(watermark: 2)])
    }

    @Test func anOutcomeWhoseOutputIsNotWrittenIsNotSettled() {
        var rig = self.rig()
        let dispatches = rig.dispatches()
        let verdict = rig.engine.outcome(dispatches[0].stream, .succeeded, now: rig.now)
        let delivery = Delivery(trigger: EngineRig.trigger, partition: 0, offset: 0)
        #expect(verdict == .publish(delivery, attempts: 1))
        rig.succeed(dispatches[1])
        #expect(rig.commit().map(\.state) == [LedgerState(watermark: 0, settled: [1..<2])])
        rig.engine.written(delivery)
        rig.engine.written(delivery)
        #expect(rig.commit().map(\.state) == [LedgerState(watermark: 2)])
        #expect(rig.commit().isEmpty)
    }

    /// Behaviour 58.
    @Test func recordsThatAFilterSkipsCostOneWriteTogetherAndNoAttempt() {
        var rig = EngineRig(EngineRig.plan(order: .none))
        rig.publish((0..<200).map { record($0, isMatch: false) })
        #expect(rig.take().filter { $0 != .ledgerDirty(.whole) && !$0.isFetch } == [])
        #expect(rig.commit().isEmpty)
        rig.advance(Limits.Engine.lazySettle)
        #expect(rig.commit().map(\.state) == [LedgerState(watermark: 200)])
        #expect(rig.engine.status(of: EngineRig.trigger)?.counters.skipped == 200)
        rig.advance(.seconds(60))
        #expect(rig.commit().isEmpty)
    }

    /// Behaviour 8.
    @Test func recordsThatRetentionTookBeforeTheRestartAreCountedAndDoNotSpin() {
        let pending = LedgerState.Pending(offset: 5, attempts: 2, nextDue: .zero)
        let state = LedgerState(watermark: 5, settled: [7..<9], pending: [pending])
        var rig = EngineRig(EngineRig.plan(), state: state, bounds: OffsetBounds(start: 20, end: 20))
        let delivery = Delivery(trigger: EngineRig.trigger, partition: 0, offset: 5)
        // 5 had failed and is known; 6 and 9..<20 are lost; 7 and 8 were settled.
        #expect(rig.engine.status(of: EngineRig.trigger)?.counters.lost == 12)
        let actions = rig.take()
        #expect(
            actions.contains {
                if case .deadLetter(delivery, attempts: 2, let failure) = $0 {
                    failure.code == .recordExpired
                } else {
                    false
                }
            })
        rig.engine.written(delivery)
        #expect(rig.commit().last?.state == LedgerState(watermark: 20))
        #expect(rig.engine.nextDue == nil)
    }

    @Test func aDeliveryThatFailedBeforeTheRestartAndIsNotReadAgainIsNotForgotten() {
        let pending = [2, 4].map { LedgerState.Pending(offset: $0, attempts: 3, nextDue: .zero) }
        let state = LedgerState(watermark: 2, settled: [3..<4], pending: pending)
        let plan = EngineRig.plan(order: .none, concurrency: 8, scale: ScalePlan(max: 1))
        var rig = EngineRig(plan, state: state, bounds: OffsetBounds(start: 0, end: 6))
        _ = rig.take()
        // Retention took everything below 5 between the opening and the read.
        rig.engine.fetched(EngineRig.trigger, partition: 0, records: [record(5)], next: 6, now: rig.now)
        _ = rig.startWorkers(credit: 8)
        let dispatches = rig.dispatches()
        #expect(dispatches.map { [$0.offset, Offset($0.attempt)] } == [[2, 4], [4, 4], [5, 1]])
        rig.engine.recordGone(dispatches[0].stream, isSuperseded: false, now: rig.now)
        rig.engine.recordGone(dispatches[1].stream, isSuperseded: true, now: rig.now)
        let expired = Delivery(trigger: EngineRig.trigger, partition: 0, offset: 2)
        let dead = rig.take().compactMap { action -> Delivery? in
            guard case .deadLetter(let delivery, attempts: 3, _) = action else { return nil }
            return delivery
        }
        #expect(dead == [expired])
        rig.engine.written(expired)
        #expect(rig.commit().last?.state == LedgerState(watermark: 5))
    }

    @Test func aDeliveryKeepsItsAttemptsAndItsDueTimeAcrossARestart() {
        var rig = EngineRig(
            EngineRig.plan(
                retry: RetryPlan(attempts: 3, initial: .seconds(10), max: .seconds(10)), scale: ScalePlan(max: 1)))
        rig.publish([record(0, key: 1), record(1, key: 2)])
        _ = rig.startWorkers()
        guard let first = rig.dispatches().first, case .retry(_, 1, let due) = rig.fail(first) else {
            Issue.record("the first attempt should be retried")
            return
        }
        guard let state = rig.commit().last?.state else { return }
        #expect(
            state == LedgerState(watermark: 0, pending: [LedgerState.Pending(offset: 0, attempts: 1, nextDue: due)]))
        var after = EngineRig(
            EngineRig.plan(scale: ScalePlan(max: 1)), state: state, bounds: OffsetBounds(start: 0, end: 2))
        after.engine.fetched(
            EngineRig.trigger, partition: 0, records: [record(0, key: 1), record(1, key: 2)], next: 2, now: after.now)
        _ = after.startWorkers()
        let second = after.dispatches()
        #expect(second.map(\.offset) == [1], "the failed one is not due yet")
        for dispatch in second { after.succeed(dispatch) }
        after.advance(.seconds(11))
        #expect(after.dispatches().map { [$0.offset, Offset($0.attempt)] } == [[0, 2]])
    }
}

extension EngineAction {
    var isFetch: Bool { if case .fetch = self { true } else { false } }
}
