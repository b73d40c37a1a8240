import ApusCore
import ApusEngine
import Testing

/// What an engine says of its triggers: how far each partition is, and what holds it up.
@Suite struct StatusTests {
    private func partition(_ rig: EngineRig) throws -> PartitionStatus {
        try #require(rig.engine.partitions(of: EngineRig.trigger).first)
    }

    /// Behaviour 55: nothing committed is not "no lag".
    @Test func whatNobodyReadCountsAsLag() throws {
        var plan = EngineRig.plan()
        plan.triggers[0].isPaused = true
        let rig = EngineRig(plan, bounds: OffsetBounds(start: 40, end: 100))
        let status = try self.partition(rig)
        #expect(status.lag == 60 && status.oldest == nil && status.blocks == [.paused])
        #expect(rig.engine.status(of: EngineRig.trigger)?.lag == 60)
    }

    /// Behaviour 5: a marker at the end is nobody's to settle, in memory and in what is written.
    @Test func aGapAtTheEndLeavesNoLagAndIsWritten() throws {
        var rig = EngineRig(EngineRig.plan(scale: ScalePlan(max: 1)))
        rig.publish([record(0)], next: 1)
        _ = rig.startWorkers(credit: 4)
        for dispatch in rig.dispatches() { rig.succeed(dispatch) }
        #expect(rig.commit().map(\.state.watermark) == [1])
        rig.publish([], next: 3)
        #expect(try self.partition(rig).lag == 0)
        rig.advance(.seconds(2))
        #expect(rig.commit().map(\.state.watermark) == [3])
    }

    @Test func deliveriesAreCountedByWhatTheyDo() throws {
        var rig = EngineRig(EngineRig.plan(scale: ScalePlan(max: 1)))
        var records = [record(0, key: 1), record(1, key: 1), record(2, key: 2), record(3, key: 3), record(4, key: 3)]
        for index in records.indices { records[index].appended = Timestamp(microseconds: Int64(100 + index)) }
        rig.publish(records)
        _ = rig.startWorkers(credit: 1)
        let first = try #require(rig.dispatches().first)
        var status = try self.partition(rig)
        #expect((status.running, status.ready, status.held, status.retrying) == (1, 2, 2, 0))
        #expect(status.oldest == Timestamp(microseconds: 100) && status.lag == 5 && status.blocks.isEmpty)
        _ = rig.fail(first)
        status = try self.partition(rig)
        #expect((status.running, status.ready, status.held, status.retrying) == (1, 1, 2, 1))
        let sum = try #require(rig.engine.status(of: EngineRig.trigger))
        #expect((sum.running, sum.ready, sum.held, sum.retrying) == (1, 1, 2, 1) && sum.counters.attemptsFailed == 1)
        // What is settled in memory and not durable yet is not settled.
        let second = try #require(rig.dispatches().first)
        rig.succeed(second)
        #expect(try self.partition(rig).settling == 1 && (try self.partition(rig)).lag == 5)
        _ = rig.commit()
        #expect(try self.partition(rig).settling == 0 && (try self.partition(rig)).lag == 4)
    }

    /// Behaviour 18.
    @Test func theAgeOfTheOldestIsThatOfTheOneThatWaits() throws {
        var rig = EngineRig(EngineRig.plan(order: .none, scale: ScalePlan(max: 1)))
        var records = (0..<3).map { record($0) }
        for index in records.indices { records[index].appended = Timestamp(microseconds: Int64(100 + index)) }
        rig.publish(records)
        _ = rig.startWorkers(credit: 3)
        let dispatches = rig.dispatches()
        _ = rig.fail(dispatches[0], retryAfter: .seconds(600))
        for dispatch in rig.dispatches() { rig.succeed(dispatch) }
        for dispatch in dispatches.dropFirst() { rig.succeed(dispatch) }
        for dispatch in rig.dispatches() { rig.succeed(dispatch) }
        _ = rig.commit()
        let status = try self.partition(rig)
        #expect(status.oldest == Timestamp(microseconds: 100) && status.retrying == 1 && status.lag == 1)
    }

    /// Behaviour 37: what is kept although its attempts are used up says where it is.
    @Test func aDeliveryThatBlocksIsNamedUntilItSucceeds() throws {
        let retry = RetryPlan(attempts: 1, initial: .milliseconds(1), max: .seconds(1))
        var rig = EngineRig(EngineRig.plan(retry: retry, onExhausted: .block, scale: ScalePlan(max: 1)))
        rig.publish([record(7, key: 1), record(8, key: 1)])
        _ = rig.startWorkers(credit: 1)
        _ = rig.fail(try #require(rig.dispatches().first))
        let blocks = try self.partition(rig).blocks
        #expect(blocks.first == .exhausted(1, first: 7))
        #expect(blocks.contains { if case .behindRetry(7, _) = $0 { true } else { false } })
        rig.advance(.seconds(2))
        rig.succeed(try #require(rig.dispatches().first))
        _ = rig.commit()
        #expect(try self.partition(rig).blocks.isEmpty)
    }

    @Test func workersThatCannotStartAreTheReason() throws {
        var rig = EngineRig(EngineRig.plan())
        rig.publish([record(0)])
        for case .start(let worker, _, _) in rig.take() {
            rig.engine.startFailed(worker, Failure(.startFailed, "no such module"), now: rig.now)
        }
        let blocks = try self.partition(rig).blocks
        guard case .startsFail(let failure, let until) = blocks.first else {
            Issue.record("\(blocks)")
            return
        }
        #expect(failure.message == "no such module" && until > rig.now)
    }

    @Test func aShortLogHoldsOnlyWhatWrites() throws {
        for hasOutputs in [true, false] {
            var rig = EngineRig(EngineRig.plan(hasOutputs: hasOutputs))
            rig.engine.setLogShort(true, now: rig.now)
            rig.publish([record(0)])
            #expect(try self.partition(rig).blocks == (hasOutputs ? [.logShort] : []))
        }
    }

    @Test func aLogThatCannotBeReadIsTheReasonUntilItCan() throws {
        var rig = EngineRig(EngineRig.plan())
        rig.engine.grew(EngineRig.trigger, partition: 0, end: 3, now: rig.now)
        rig.engine.fetchFailed(EngineRig.trigger, partition: 0, now: rig.now)
        #expect(try self.partition(rig).blocks == [.logUnreadable])
        rig.engine.fetched(EngineRig.trigger, partition: 0, records: [record(0)], next: 1, now: rig.now)
        #expect(try self.partition(rig).blocks.isEmpty)
    }

    /// Behaviour 8: what retention took before it was read is counted, and reading goes on behind it.
    @Test func whatRetentionTookIsCountedAndPassedOver() throws {
        var rig = EngineRig(
            EngineRig.plan(), state: LedgerState(watermark: 10), bounds: OffsetBounds(start: 30, end: 40))
        #expect(rig.engine.status(of: EngineRig.trigger)?.counters.lost == 20)
        #expect(rig.take().contains { if case .fetch(_, _, from: 30, _) = $0 { true } else { false } })
        rig.engine.fetched(EngineRig.trigger, partition: 0, records: [], next: 35, lost: 5, now: rig.now)
        #expect(rig.engine.status(of: EngineRig.trigger)?.counters.lost == 25)
        #expect(rig.commit().map(\.state.watermark) == [35])
    }
}
