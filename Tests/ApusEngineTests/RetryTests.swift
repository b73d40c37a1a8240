import ApusCore
import Testing

@testable import ApusEngine

@Suite struct RetryTests {
    /// Behaviour 33.
    @Test func twoFailuresThenASuccessAreThreeAttemptsWithBackoffInBounds() {
        let retry = RetryPlan(attempts: 5, initial: .milliseconds(200), max: .seconds(30))
        var rig = EngineRig(EngineRig.plan(retry: retry, scale: ScalePlan(max: 1)))
        rig.publish([record(0, key: 1)])
        _ = rig.startWorkers()
        var attempts: [Int] = []
        for failure in 1...2 {
            guard let dispatch = rig.dispatches().first, case .retry(_, failure, let due) = rig.fail(dispatch) else {
                Issue.record("attempt \(failure) should be retried")
                return
            }
            attempts.append(dispatch.attempt)
            let delay = (due - rig.now).milliseconds
            let whole = Int64(200 << (failure - 1))
            #expect((whole / 2...whole).contains(delay))
            rig.advance(.milliseconds(delay - 1))
            #expect(rig.dispatches().isEmpty)
            rig.advance(.milliseconds(2))
        }
        guard let last = rig.dispatches().first else { return }
        attempts.append(last.attempt)
        rig.succeed(last)
        #expect(attempts == [1, 2, 3])
        #expect(rig.commit().last?.state == LedgerState(watermark: 1))
    }

    @Test func whatIsTriedOnceIsTriedAgainOnlyWhereItsHandlerAsks() {
        var rig = EngineRig(EngineRig.plan(retry: RetryPlan(attempts: 5), scale: ScalePlan(max: 1)))
        rig.publish([0, 1].map { RecordSummary(offset: $0, keyHash: UInt64($0 + 1), bytes: 1, isOnce: true) })
        _ = rig.startWorkers()
        guard let first = rig.dispatches().first, case .retry = rig.fail(first, retryAfter: .seconds(1)) else {
            Issue.record("its handler asked for another attempt")
            return
        }
        guard let second = rig.dispatches().first, case .deadLetter = rig.fail(second) else {
            Issue.record("nobody asked for another attempt")
            return
        }
        rig.advance(.seconds(2))
        guard let third = rig.dispatches().first, case .deadLetter(_, attempts: 2) = rig.fail(third) else {
            Issue.record("its second failure is the last")
            return
        }
    }

    @Test func whatIsPostponedRunsWhenItIsResumedOrWhenItsTimeIsOver() {
        var rig = EngineRig(EngineRig.plan(retry: RetryPlan(attempts: 1), scale: ScalePlan(max: 1)))
        rig.publish([record(0, key: 1), record(1, key: 2)])
        _ = rig.startWorkers()
        let until = rig.now + .seconds(60)
        for _ in 0..<2 {
            guard let dispatch = rig.dispatches().first else {
                Issue.record("both run")
                return
            }
            guard case .retry = rig.engine.outcome(dispatch.stream, .postponed(until: until), now: rig.now) else {
                Issue.record("it goes on, whatever its trigger says of retries")
                return
            }
        }
        rig.advance(.seconds(10))
        #expect(rig.dispatches().isEmpty)
        rig.engine.resume(Delivery(trigger: EngineRig.trigger, partition: 0, offset: 1), now: rig.now)
        guard let resumed = rig.dispatches().first else {
            Issue.record("it was resumed")
            return
        }
        rig.succeed(resumed)
        rig.engine.resume(Delivery(trigger: EngineRig.trigger, partition: 0, offset: 1), now: rig.now)
        #expect(rig.dispatches().isEmpty)
        rig.advance(.seconds(51))
        guard let late = rig.dispatches().first else {
            Issue.record("its time is over")
            return
        }
        rig.succeed(late)
        #expect(rig.commit().last?.state == LedgerState(watermark: 2))
    }

    @Test func whatWaitsFromTheBeginningStartsNoWorkerBeforeItIsResumed() {
        var rig = EngineRig(EngineRig.plan(order: .none, scale: ScalePlan(max: 4)))
        let until = rig.now + .seconds(3_600)
        var held = (0..<3).map { record(Offset($0), key: 0) }
        for index in held.indices { held[index].notBefore = until }
        rig.publish(held)
        let deliveries = (0..<3).map { Delivery(trigger: EngineRig.trigger, partition: 0, offset: Offset($0)) }
        #expect(deliveries.allSatisfy { rig.engine.isWaiting($0) })
        rig.advance(.seconds(60))
        #expect(rig.startWorkers().isEmpty, "nothing runs, and nothing is made ready")
        rig.engine.giveUp(deliveries[0], Failure(.functionRejected, "declined"), now: rig.now)
        let letters = rig.take().compactMap { action -> (Delivery, Int, Failure)? in
            guard case .deadLetter(let delivery, let attempts, let failure) = action else { return nil }
            return (delivery, attempts, failure)
        }
        #expect(letters.map(\.0) == [deliveries[0]] && letters.map(\.1) == [0] && letters.map(\.2.message) == ["declined"])
        rig.engine.resume(deliveries[1], now: rig.now)
        #expect(rig.startWorkers().count == 1)
        #expect(rig.dispatches().map(\.work) == [.delivery(deliveries[1])])
        // What runs is not given up in this way, and what is over waits for nothing.
        rig.engine.giveUp(deliveries[1], Failure(.functionRejected, "late"), now: rig.now)
        #expect(!rig.engine.isWaiting(deliveries[0]) && !rig.engine.isWaiting(deliveries[1]))
        #expect(rig.take().isEmpty)
    }

    @Test func theDelayStaysInItsBoundsForEveryAttempt() {
        let schedule = RetrySchedule(plan: RetryPlan(attempts: 0, initial: .milliseconds(100), max: .seconds(5)))
        var generator = SeededGenerator(seed: 11)
        for attempts in 1...200 {
            let whole = min(Int64(100_000) << Int64(min(attempts - 1, 20)), 5_000_000)
            #expect(schedule.bounds(attempts: attempts) == whole / 2...whole)
            for _ in 0..<20 {
                #expect(
                    schedule.bounds(attempts: attempts).contains(
                        schedule.delay(attempts: attempts, using: &generator).microseconds))
            }
        }
        let extreme = RetrySchedule(
            plan: RetryPlan(attempts: 0, initial: TimeSpan(microseconds: .max), max: TimeSpan(microseconds: .max)))
        #expect(extreme.bounds(attempts: 1_000_000_000).upperBound == .max)
    }

    /// Behaviour 35.
    @Test func exhaustedAttemptsBecomeOneDeadLetterAndTheOffsetIsSettledAfterIt() {
        var rig = EngineRig(
            EngineRig.plan(retry: RetryPlan(attempts: 2, initial: .zero, max: .zero), scale: ScalePlan(max: 1)))
        rig.publish([record(0, key: 1)])
        _ = rig.startWorkers()
        let delivery = Delivery(trigger: EngineRig.trigger, partition: 0, offset: 0)
        guard let first = rig.dispatches().first else { return }
        #expect(rig.fail(first) == .retry(delivery, attempts: 1, at: rig.now))
        rig.advance(.zero)
        guard let second = rig.dispatches().first else { return }
        #expect(rig.fail(second) == .deadLetter(delivery, attempts: 2))
        #expect(rig.commit().last?.state.watermark == 0, "the dead letter is not in the pending write yet")
        rig.advance(.seconds(600))
        #expect(rig.dispatches().isEmpty)
        rig.engine.written(delivery)
        #expect(rig.commit().last?.state == LedgerState(watermark: 1))
    }

    @Test func aRejectedDeliveryIsNotTriedAgain() {
        var rig = EngineRig(EngineRig.plan(retry: RetryPlan(attempts: 0), scale: ScalePlan(max: 1)))
        rig.publish([record(0, key: 1), record(1, key: 1)])
        _ = rig.startWorkers()
        guard let first = rig.dispatches().first else { return }
        let verdict = rig.engine.outcome(first.stream, .rejected(Failure(.functionRejected, "poison")), now: rig.now)
        #expect(verdict == .deadLetter(Delivery(trigger: EngineRig.trigger, partition: 0, offset: 0), attempts: 1))
        #expect(rig.dispatches().map(\.offset) == [1])
    }

    /// Behaviour 37.
    @Test func blockKeepsTheDeliveryAndItsKeyAndTriesEveryMax() {
        let retry = RetryPlan(attempts: 1, initial: .milliseconds(1), max: .seconds(5))
        var rig = EngineRig(
            EngineRig.plan(retry: retry, onExhausted: .block, scale: ScalePlan(max: 1, idle: .seconds(3_600))))
        rig.publish([record(0, key: 1), record(1, key: 1)])
        _ = rig.startWorkers()
        for attempt in 1...4 {
            guard let dispatch = rig.dispatches().first else {
                Issue.record("attempt \(attempt) should run")
                return
            }
            #expect(dispatch.offset == 0)
            #expect(dispatch.attempt == attempt)
            _ = rig.fail(dispatch)
            rig.advance(.milliseconds(4_999))
            #expect(rig.dispatches().isEmpty)
            rig.advance(.milliseconds(1))
        }
    }

    /// Behaviour 37.
    @Test func dropSettlesAndCounts() {
        var rig = EngineRig(EngineRig.plan(retry: RetryPlan(attempts: 1), onExhausted: .drop, scale: ScalePlan(max: 1)))
        rig.publish([record(0, key: 1)])
        _ = rig.startWorkers()
        guard let first = rig.dispatches().first else { return }
        #expect(rig.fail(first) == .drop(Delivery(trigger: EngineRig.trigger, partition: 0, offset: 0), attempts: 1))
        #expect(rig.commit().last?.state == LedgerState(watermark: 1))
        #expect(rig.engine.status(of: EngineRig.trigger)?.counters.dropped == 1)
    }

    /// Behaviour 49.
    @Test func withoutABoundOnAttemptsItIsTriedForEver() {
        var rig = EngineRig(
            EngineRig.plan(retry: RetryPlan(attempts: 0, initial: .zero, max: .zero), scale: ScalePlan(max: 1)))
        rig.publish([record(0, key: 1)])
        _ = rig.startWorkers()
        for attempt in 1...1_000 {
            guard let dispatch = rig.dispatches().first else { break }
            #expect(dispatch.attempt == attempt)
            _ = rig.fail(dispatch)
            rig.advance(.zero)
        }
        #expect(rig.commit().last?.state.pending.first?.attempts == 1_000)
    }

    @Test func attemptsAreCountedUpToTheirBound() {
        let bound = Limits.Engine.countedAttempts
        let pending = LedgerState.Pending(offset: 0, attempts: bound - 1, nextDue: .zero)
        var ledger = Ledger(LedgerState(watermark: 0, pending: [pending]), start: 0)
        guard let slot = ledger.admit(0, orderKey: 0, bytes: 0, tableMark: 0) else { return }
        for _ in 0..<3 { ledger.fail(slot, due: .zero) }
        #expect(ledger[slot].attempts == Int32(bound))
        #expect(ledger.state.pending.first?.attempts == bound)
    }

    /// Behaviour 34.
    @Test func aHandlerMaySayWhenToTryAgainWithinABound() {
        var rig = EngineRig(EngineRig.plan(scale: ScalePlan(max: 1)))
        rig.publish([record(0, key: 1), record(1, key: 2)])
        _ = rig.startWorkers()
        guard let first = rig.dispatches().first else { return }
        #expect(
            rig.fail(first, retryAfter: .seconds(7))
                == .retry(
                    Delivery(trigger: EngineRig.trigger, partition: 0, offset: 0), attempts: 1,
                    at: rig.now + .seconds(7)))
        guard let second = rig.dispatches().first,
            case .retry(_, _, let due) = rig.fail(second, retryAfter: .seconds(1_000_000))
        else { return }
        #expect(due == rig.now + Limits.Engine.retryAfter)
    }

    @Test func aRecordThatIsGoneAtDispatchIsNoAttempt() {
        var rig = EngineRig(EngineRig.plan(order: .none, concurrency: 2, scale: ScalePlan(max: 1)))
        rig.publish([record(0), record(1), record(2)])
        _ = rig.startWorkers(credit: 2)
        let dispatches = rig.dispatches()
        rig.engine.recordGone(dispatches[0].stream, isSuperseded: true, now: rig.now)
        #expect(rig.dispatches().map(\.offset) == [2], "its credit is back")
        rig.engine.recordGone(dispatches[1].stream, isSuperseded: false, now: rig.now)
        let expired = Delivery(trigger: EngineRig.trigger, partition: 0, offset: 1)
        #expect(
            rig.take().contains {
                if case .deadLetter(expired, attempts: 0, let failure) = $0 {
                    failure.code == .recordExpired
                } else {
                    false
                }
            })
        let counters = rig.engine.status(of: EngineRig.trigger)?.counters
        #expect(counters?.superseded == 1)
        #expect(counters?.expired == 1)
    }
}
