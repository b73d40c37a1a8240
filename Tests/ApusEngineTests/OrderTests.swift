import ApusCore
import Testing

@testable import ApusEngine

@Suite struct OrderTests {
    /// Behaviour 16.
    @Test func aSlowKeyHoldsBackItsOwnDeliveriesOnly() {
        var rig = EngineRig(EngineRig.plan(order: .key, concurrency: 8, scale: ScalePlan(max: 1)))
        rig.publish([record(0, key: 7), record(1, key: 7), record(2, key: 8)])
        _ = rig.startWorkers(credit: 8)
        let first = rig.dispatches()
        #expect(first.map(\.offset) == [0, 2])
        rig.succeed(first[1])
        #expect(rig.dispatches().isEmpty, "the second of a key never starts before the first ends")
        rig.succeed(first[0])
        #expect(rig.dispatches().map(\.offset) == [1], "before the first is durable")
    }

    /// Behaviour 17.
    @Test func aRetryOfAPartitionInOrderHoldsThatPartitionAndNoOther() {
        let retry = RetryPlan(attempts: 3, initial: .seconds(1), max: .seconds(1))
        var rig = EngineRig(
            EngineRig.plan(order: .partition, retry: retry, concurrency: 8, scale: ScalePlan(max: 1)), partitions: 2)
        rig.publish([record(0), record(1)], partition: 0)
        rig.publish([record(0), record(1)], partition: 1)
        _ = rig.startWorkers(credit: 8)
        let first = rig.dispatches()
        #expect(first.count == 2)
        _ = rig.fail(first[0])
        rig.succeed(first[1])
        let second = rig.dispatches()
        #expect(second.map(\.work) == [.delivery(Delivery(trigger: EngineRig.trigger, partition: 1, offset: 1))])
        rig.advance(.seconds(2))
        let retried = rig.dispatches()
        #expect(retried.map(\.offset) == [0])
        #expect(retried.map(\.attempt) == [2])
    }

    /// Behaviour 18.
    @Test func withoutOrderADeliveryInBackOffHoldsBackNobodyAndIsVisible() {
        let retry = RetryPlan(attempts: 0, initial: .seconds(600), max: .seconds(600))
        var configuration = EngineConfiguration()
        configuration.unsettledPerPartition = 4
        let plan = EngineRig.plan(order: .none, retry: retry, concurrency: 4, scale: ScalePlan(max: 1))
        var rig = EngineRig(plan, configuration: configuration)
        rig.engine.grew(EngineRig.trigger, partition: 0, end: 100, now: rig.now)
        _ = rig.take()
        rig.engine.fetched(EngineRig.trigger, partition: 0, records: (0..<4).map { record($0) }, next: 4, now: rig.now)
        _ = rig.startWorkers(credit: 4)
        var settled = 0
        var due = rig.dispatches()
        _ = rig.fail(due.removeFirst())
        // Thousands could follow: the room that the stuck delivery takes is one.
        for _ in 0..<40 {
            for dispatch in due { rig.succeed(dispatch) }
            settled += due.count
            _ = rig.commit()
            let actions = rig.take()
            due = actions.flatMap(\.dispatches)
            for case .fetch(_, _, let from, let count) in actions {
                let next = min(100, from + Offset(count))
                rig.engine.fetched(
                    EngineRig.trigger, partition: 0, records: (from..<next).map { record($0) }, next: next, now: rig.now
                )
                due += rig.dispatches()
            }
        }
        #expect(settled == 99)
        #expect(rig.engine.watermark(of: EngineRig.trigger, partition: 0) == 0)
        #expect(rig.engine.status(of: EngineRig.trigger)?.lag == 1)
    }

    /// Behaviour 19.
    @Test func deliveriesWithoutAKeySpreadAndNoneIsLost() {
        var rig = EngineRig(EngineRig.plan(order: .key, concurrency: 4, scale: ScalePlan(max: 1)))
        rig.publish((0..<8).map { record($0, key: 0) })
        _ = rig.startWorkers(credit: 4)
        var dispatches = rig.dispatches()
        #expect(dispatches.map(\.offset) == [0, 1, 2, 3], "they run side by side")
        for dispatch in dispatches { rig.succeed(dispatch) }
        dispatches = rig.dispatches()
        #expect(dispatches.map(\.offset) == [4, 5, 6, 7])
    }

    /// Behaviour 23.
    @Test func aHotPartitionLeavesTheOthersTheirShareOfTheWorkers() {
        var rig = EngineRig(EngineRig.plan(order: .none, concurrency: 1, scale: ScalePlan(max: 1)), partitions: 3)
        rig.publish((0..<200).map { record($0) }, partition: 0)
        rig.publish((0..<10).map { record($0) }, partition: 1)
        rig.publish((0..<10).map { record($0) }, partition: 2)
        _ = rig.startWorkers()
        var perPartition = [0, 0, 0]
        for _ in 0..<30 {
            guard let dispatch = rig.dispatches().first, case .delivery(let delivery) = dispatch.work else { break }
            perPartition[delivery.partition] += 1
            rig.succeed(dispatch)
        }
        #expect(perPartition == [10, 10, 10])
    }

    @Test func keyOrderForgetsKeysThatHaveNothingInFlight() {
        var keys = KeyOrder()
        let arrivals = [keys.arrive(0, key: 5), keys.arrive(1, key: 5), keys.arrive(2, key: 5), keys.arrive(3, key: 6)]
        #expect(arrivals == [true, false, false, true])
        #expect(keys.count == 2)
        let first = keys.release(0, key: 5)
        let again = keys.arrive(0, key: 5)
        #expect(first == 1 && !again)
        let rest = [keys.release(1, key: 5), keys.release(2, key: 5), keys.release(0, key: 5), keys.release(3, key: 6)]
        #expect(rest == [2, 0, nil, nil])
        #expect(keys.count == 0)
    }
}

@Suite struct BackPressureTests {
    /// Behaviour 22.
    @Test func noMoreIsReadThanTheBoundWhenHandlersHang() {
        var configuration = EngineConfiguration()
        configuration.unsettledPerPartition = 10
        var rig = EngineRig(
            EngineRig.plan(order: .none, concurrency: 1, scale: ScalePlan(max: 1)), configuration: configuration)
        rig.engine.grew(EngineRig.trigger, partition: 0, end: 1_000, now: rig.now)
        #expect(rig.take() == [.fetch(EngineRig.trigger, partition: 0, from: 0, maxRecords: 10)])
        // A host that brings more than it was asked for does not break the bound either.
        rig.engine.fetched(
            EngineRig.trigger, partition: 0, records: (0..<20).map { record($0) }, next: 20, now: rig.now)
        #expect(rig.engine.status(of: EngineRig.trigger)?.unsettled == 10)
        #expect(!rig.take().contains { $0.isFetch })
        rig.advance(.seconds(10))
        #expect(!rig.take().contains { $0.isFetch })
    }

    @Test func whatWasCutOffIsReadAgainWhenThereIsRoom() {
        var configuration = EngineConfiguration()
        configuration.unsettledPerPartition = 2
        var rig = EngineRig(
            EngineRig.plan(order: .none, concurrency: 2, scale: ScalePlan(max: 1)), configuration: configuration)
        rig.engine.grew(EngineRig.trigger, partition: 0, end: 3, now: rig.now)
        _ = rig.take()
        rig.engine.fetched(EngineRig.trigger, partition: 0, records: (0..<3).map { record($0) }, next: 3, now: rig.now)
        _ = rig.startWorkers(credit: 2)
        for dispatch in rig.dispatches() { rig.succeed(dispatch) }
        _ = rig.commit()
        #expect(rig.take().contains(.fetch(EngineRig.trigger, partition: 0, from: 2, maxRecords: 2)))
    }

    @Test func aReadThatFailedOrBroughtNothingIsAskedForAgainAfterADelay() {
        var rig = EngineRig(EngineRig.plan())
        rig.engine.grew(EngineRig.trigger, partition: 0, end: 5, now: rig.now)
        _ = rig.take()
        rig.engine.fetchFailed(EngineRig.trigger, partition: 0, now: rig.now)
        #expect(rig.take().isEmpty)
        rig.advance(Limits.Engine.fetchRetry)
        #expect(rig.take().count == 1)
        rig.engine.fetched(EngineRig.trigger, partition: 0, records: [], next: 0, now: rig.now)
        #expect(rig.take().isEmpty)
        rig.advance(Limits.Engine.fetchRetry)
        #expect(rig.take().count == 1)
    }

    @Test func triggersWithOutputsWaitWhileTheLogIsShort() {
        var rig = EngineRig(EngineRig.plan(order: .none, scale: ScalePlan(max: 1), hasOutputs: true))
        rig.engine.setLogShort(true, now: rig.now)
        rig.publish([record(0)])
        #expect(!rig.take().contains { if case .start = $0 { true } else { false } })
        rig.engine.setLogShort(false, now: rig.now)
        _ = rig.startWorkers()
        #expect(rig.dispatches().count == 1)
    }

    @Test func aPausedTriggerReadsAndRunsNothing() {
        var plan = EngineRig.plan(order: .none, scale: ScalePlan(max: 1))
        plan.triggers[0].isPaused = true
        var rig = EngineRig(plan)
        rig.engine.grew(EngineRig.trigger, partition: 0, end: 1, now: rig.now)
        #expect(rig.take().isEmpty)
        plan.triggers[0].isPaused = false
        rig.engine.apply(plan, now: rig.now)
        #expect(rig.take() == [.fetch(EngineRig.trigger, partition: 0, from: 0, maxRecords: 256)])
    }
}
