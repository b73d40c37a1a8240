import ApusCore
import Testing

@testable import ApusEngine

@Suite struct WorkerTests {
    private static func starts(_ actions: [EngineAction]) -> Int {
        actions.count { if case .start = $0 { true } else { false } }
    }

    /// Behaviour 53.
    @Test func workersStartFromZeroByQueueDepthAndStopWhenIdle() {
        var rig = EngineRig(
            EngineRig.plan(order: .none, concurrency: 2, scale: ScalePlan(min: 0, max: 3, idle: .seconds(60))))
        #expect(Self.starts(rig.take()) == 0)
        rig.publish((0..<3).map { record($0) })
        let workers = rig.startWorkers(credit: 2)
        #expect(workers.count == 2, "three deliveries, two at a time each")
        for dispatch in rig.dispatches() { rig.succeed(dispatch) }
        rig.advance(.seconds(59))
        #expect(!rig.take().contains { if case .stop = $0 { true } else { false } })
        rig.advance(.seconds(2))
        let stopped = rig.take().compactMap { if case .stop(let worker) = $0 { worker } else { nil } }
        #expect(Set(stopped) == Set(workers))
        for worker in workers { rig.engine.workerExited(worker, Failure(.cancelled, "left"), now: rig.now) }
        #expect(rig.engine.status(of: EngineRig.function)?.workersLeaving == 0)
        #expect(rig.commit().isEmpty == false)
        rig.advance(.seconds(3_600))
        #expect(rig.take() == [])
        #expect(rig.engine.nextDue == nil, "an idle function costs nothing")
    }

    /// Behaviours 56, 57.
    @Test func workersMayExceedPartitionsAndNeverTheirBound() {
        var rig = EngineRig(EngineRig.plan(order: .none, scale: ScalePlan(max: 5)))
        rig.publish((0..<100).map { record($0) })
        #expect(rig.startWorkers().count == 5)
        #expect(rig.dispatches().count == 5)
    }

    /// None has two while another has nothing to do.
    @Test func whatWaitsIsSharedByAllThatAreReady() {
        var rig = EngineRig(EngineRig.plan(order: .none, concurrency: 2, scale: ScalePlan(max: 4)))
        rig.publish((0..<8).map { record($0) })
        let workers = rig.startWorkers(credit: 2)
        let dispatches = rig.dispatches()
        #expect(workers.count == 4 && dispatches.count == 8)
        for worker in workers { #expect(dispatches.count { $0.worker == worker } == 2) }
        for dispatch in dispatches where dispatch.worker == workers[0] { rig.succeed(dispatch) }
        rig.publish((8..<10).map { record($0) })
        #expect(rig.dispatches().map(\.worker) == [workers[0], workers[0]])
    }

    /// Behaviour 54.
    @Test func aPoisonedDeliveryInBackOffStartsNoWorkers() {
        let retry = RetryPlan(attempts: 0, initial: .seconds(100), max: .seconds(100))
        var rig = EngineRig(EngineRig.plan(retry: retry, scale: ScalePlan(max: 4)))
        rig.publish([record(0, key: 1), record(1, key: 1), record(2, key: 1)])
        #expect(rig.startWorkers().count == 1, "one key is one delivery that could run")
        for dispatch in rig.dispatches() { _ = rig.fail(dispatch) }
        rig.advance(.seconds(40))
        #expect(Self.starts(rig.take()) == 0)
    }

    @Test func theMinimumIsKeptWithoutWork() {
        var rig = EngineRig(EngineRig.plan(scale: ScalePlan(min: 2, max: 4, idle: .seconds(1))))
        #expect(rig.startWorkers().count == 2)
        rig.advance(.seconds(100))
        #expect(rig.take().isEmpty)
    }

    /// Behaviour 47.
    @Test func aTimeoutCancelsThenKillsAndCountsOneFailedAttempt() {
        let plan = EngineRig.plan(
            retry: RetryPlan(attempts: 2, initial: .zero, max: .zero), scale: ScalePlan(max: 1), timeout: .seconds(1))
        var rig = EngineRig(plan)
        rig.publish([record(0, key: 1)])
        let workers = rig.startWorkers()
        guard let first = rig.dispatches().first else { return }
        #expect(first.deadline == rig.now + .seconds(1))
        rig.advance(.seconds(1))
        #expect(rig.take() == [.cancel(workers[0], first.stream)])
        rig.advance(rig.engine.configuration.cancelGrace)
        #expect(rig.take() == [.kill(workers[0], reason: .deadline)])
        rig.engine.workerExited(workers[0], Failure(.workerCrashed, "killed"), now: rig.now)
        #expect(rig.engine.outcome(first.stream, .succeeded, now: rig.now) == .ignore, "too late")
        rig.advance(.seconds(1))
        _ = rig.startWorkers()
        guard let second = rig.dispatches().first else {
            Issue.record("a second attempt should run")
            return
        }
        #expect(second.attempt == 2)
        rig.advance(.seconds(1))
        _ = rig.take()
        // It answers within its grace: the result is late all the same, and its credit is back.
        #expect(rig.engine.outcome(second.stream, .succeeded, now: rig.now) == .ignore)
        let delivery = Delivery(trigger: EngineRig.trigger, partition: 0, offset: 0)
        #expect(rig.take().contains(.deadLetter(delivery, attempts: 2, Engine.deadlineFailure)))
        #expect(rig.engine.attemptsInFlight == 0)
    }

    /// Behaviour 47.
    @Test func noDeliveryRunsAgainBeforeItsCancelledAttemptIsOver() {
        let plan = EngineRig.plan(
            retry: RetryPlan(attempts: 0, initial: .zero, max: .zero), scale: ScalePlan(max: 2), timeout: .seconds(1))
        var rig = EngineRig(plan)
        rig.publish([record(0, key: 1), record(1, key: 2)])
        let workers = rig.startWorkers()
        #expect(workers.count == 2)
        let dispatches = rig.dispatches()
        rig.succeed(dispatches[1])
        rig.advance(.milliseconds(1_500))
        #expect(rig.dispatches().isEmpty, "a worker is free, but the first attempt may still run")
        _ = rig.engine.outcome(dispatches[0].stream, .succeeded, now: rig.now)
        rig.advance(.zero)
        #expect(rig.dispatches().map(\.attempt) == [2])
    }

    /// Behaviour 48.
    @Test func aCrashFailsOnlyTheAttemptsOfItsWorkerOnceEach() {
        let plan = EngineRig.plan(order: .none, retry: RetryPlan(attempts: 1), concurrency: 2, scale: ScalePlan(max: 2))
        var rig = EngineRig(plan)
        rig.publish((0..<4).map { record($0) })
        let workers = rig.startWorkers(credit: 2)
        let dispatches = rig.dispatches()
        let failure = Failure(.workerCrashed, "signal 11")
        rig.engine.workerExited(workers[0], failure, now: rig.now)
        let dead = rig.take().compactMap { action -> Offset? in
            guard case .deadLetter(let delivery, attempts: 1, failure) = action else { return nil }
            return delivery.offset
        }
        #expect(dead.sorted() == dispatches.filter { $0.worker == workers[0] }.map(\.offset).sorted())
        #expect(rig.engine.attemptsInFlight == 2)
        for dispatch in dispatches where dispatch.worker == workers[1] { rig.succeed(dispatch) }
        #expect(rig.engine.attemptsInFlight == 0)
    }

    /// Behaviour 48.
    @Test func startsThatFailAreTriedAgainLessAndLessOften() {
        var rig = EngineRig(EngineRig.plan(scale: ScalePlan(max: 4)))
        rig.publish([record(0, key: 1)])
        var delays: [Int64] = []
        for _ in 0..<10 {
            var worker: WorkerID?
            let began = rig.now
            for _ in 0..<10_000 where worker == nil {
                for case .start(let started, _, _) in rig.take() { worker = started }
                if worker == nil { rig.advance(.milliseconds(100)) }
            }
            delays.append((rig.now - began).milliseconds)
            guard let worker else { break }
            rig.engine.startFailed(worker, Failure(.startFailed, "no module"), now: rig.now)
        }
        #expect(delays == [0, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000])
        #expect(
            rig.engine.status(of: EngineRig.trigger)?.counters.attemptsFailed == 0,
            "a delivery that never ran has not failed")
    }

    /// One worker, whose start was ordered and that has said nothing.
    private static func ordered() throws -> (EngineRig, WorkerID) {
        var rig = EngineRig(EngineRig.plan(scale: ScalePlan(max: 1)))
        rig.publish([record(0, key: 1)])
        guard case .start(let worker, _, _)? = rig.take().last else { throw ApusError(.internal, "nothing starts") }
        return (rig, worker)
    }

    @Test func aWorkerThatNeverBecomesReadyIsKilled() throws {
        let (made, worker) = try Self.ordered()
        var rig = made
        rig.advance(rig.engine.configuration.startTimeout)
        #expect(rig.take() == [.kill(worker, reason: .startTimedOut)])
        rig.engine.workerExited(worker, Failure(.workerCrashed, "killed"), now: rig.now)
        #expect(rig.engine.status(of: EngineRig.function)?.startFailures == 1, "counted once")
        rig.advance(.seconds(1))
        #expect(Self.starts(rig.take()) == 1)
    }

    @Test func aWorkerThatIsReadyAndTakesNothingIsKilled() throws {
        let (made, worker) = try Self.ordered()
        var rig = made
        let limit = rig.engine.configuration.startTimeout
        rig.advance(.seconds(1))
        rig.engine.workerReady(worker, now: rig.now)
        #expect(rig.take() == [])
        rig.advance(TimeSpan(microseconds: limit.microseconds - 1_000_000))
        #expect(rig.take() == [.kill(worker, reason: .startTimedOut)], "by the time since its order")
    }

    /// Files that come from elsewhere take what their bytes take; after that a start has its time, and no more.
    @Test func theTimeOfAStartBeginsWhenItsFilesAreThere() throws {
        let (made, worker) = try Self.ordered()
        var rig = made
        let limit = rig.engine.configuration.startTimeout
        rig.engine.startWaitsForFiles(worker)
        for _ in 0..<20 { rig.advance(limit) }
        #expect(rig.take() == [])
        rig.engine.startHasFiles(worker, now: rig.now)
        rig.advance(TimeSpan(microseconds: limit.microseconds - 1))
        #expect(rig.take() == [])
        rig.advance(.microseconds(1))
        #expect(rig.take() == [.kill(worker, reason: .startTimedOut)])
    }

    @Test func aNewRevisionTakesOverWhileTheOldFinishes() {
        var rig = EngineRig(EngineRig.plan(order: .none, scale: ScalePlan(max: 1)))
        rig.publish([record(0), record(1)])
        let old = rig.startWorkers()
        let dispatches = rig.dispatches()
        rig.engine.apply(EngineRig.plan(order: .none, scale: ScalePlan(max: 1), generation: 2), now: rig.now)
        #expect(rig.take() == [], "the old one runs something, and one worker is the most there may be")
        rig.succeed(dispatches[0])
        #expect(rig.take().contains(.stop(old[0])))
        rig.engine.workerExited(old[0], Failure(.cancelled, "left"), now: rig.now)
        let actions = rig.take()
        #expect(actions.contains { if case .start(_, EngineRig.function, generation: 2) = $0 { true } else { false } })
    }

    @Test func aWorkerThatDoesNotLeaveIsKilled() {
        var rig = EngineRig(EngineRig.plan(scale: ScalePlan(min: 0, max: 1, idle: .seconds(1))))
        rig.publish([record(0, key: 1)])
        let workers = rig.startWorkers()
        for dispatch in rig.dispatches() { rig.succeed(dispatch) }
        rig.advance(.seconds(1))
        #expect(rig.take().contains(.stop(workers[0])))
        rig.advance(rig.engine.configuration.stopGrace)
        #expect(rig.take().contains(.kill(workers[0], reason: .stopTimedOut)))
    }

    @Test func aRemovedFunctionLeavesNothingBehind() {
        var rig = EngineRig(EngineRig.plan(order: .none, scale: ScalePlan(max: 1)))
        rig.publish([record(0), record(1)])
        let workers = rig.startWorkers()
        let dispatches = rig.dispatches()
        rig.engine.invoke(RequestID(rawValue: 1), function: EngineRig.function, bytes: 1, deadline: nil, now: rig.now)
        rig.engine.remove(EngineRig.function, now: rig.now)
        #expect(
            rig.take().contains {
                if case .fail(RequestID(rawValue: 1), let failure) = $0 {
                    failure.code == .functionNotFound
                } else {
                    false
                }
            })
        #expect(rig.engine.outcome(dispatches[0].stream, .succeeded, now: rig.now) == .ignore)
        #expect(rig.take() == [.stop(workers[0])])
        rig.engine.workerExited(workers[0], Failure(.cancelled, "left"), now: rig.now)
        #expect(rig.engine.attemptsInFlight == 0)
        #expect(rig.engine.status(of: EngineRig.function) == nil)
        #expect(rig.engine.status(of: EngineRig.trigger) == nil)
        // The places are used again, and what was meant for the old ones does not reach the new.
        rig.engine.apply(EngineRig.plan(order: .none, scale: ScalePlan(max: 1)), now: rig.now)
        rig.engine.open(
            EngineRig.trigger, partition: 0, state: LedgerState(watermark: 0), bounds: OffsetBounds(start: 0, end: 0),
            now: rig.now)
        rig.engine.written(Delivery(trigger: EngineRig.trigger, partition: 0, offset: 0))
        rig.advance(.seconds(100))
        #expect(rig.take() == [])
    }

    @Test func aWorkerNeverGetsMoreThanItsConcurrencyWhateverItClaims() {
        var rig = EngineRig(EngineRig.plan(order: .none, concurrency: 3, scale: ScalePlan(max: 1)))
        rig.publish((0..<100).map { record($0) })
        let workers = rig.startWorkers(credit: Int.max)
        let dispatches = rig.dispatches()
        #expect(dispatches.count == 3)
        rig.engine.credit(workers[0], Int.max, now: rig.now)
        rig.engine.credit(workers[0], -1, now: rig.now)
        #expect(rig.dispatches().isEmpty)
        rig.succeed(dispatches[0])
        rig.engine.credit(workers[0], 1, now: rig.now)
        #expect(rig.dispatches().count == 1)
    }

    @Test func thePoolStartsWhatIsMissingAndNoMore() {
        let scale = ScalePlan(min: 1, max: 8)
        #expect(WorkerPool.desired(depth: 0, perWorker: 4, scale: scale) == 1)
        #expect(WorkerPool.desired(depth: 9, perWorker: 4, scale: scale) == 3)
        #expect(WorkerPool.desired(depth: 1_000, perWorker: 4, scale: scale) == 8)
        var pool = WorkerPool()
        #expect(pool.starts(depth: 9, perWorker: 4, scale: scale, now: .zero) == 3)
        for _ in 0..<3 { pool.started() }
        #expect(pool.starts(depth: 9, perWorker: 4, scale: scale, now: .zero) == 0)
        pool.gone(.starting)
        pool.failed(Failure(.startFailed, "no"), configuration: EngineConfiguration(), now: .zero)
        #expect(pool.starts(depth: 90, perWorker: 4, scale: scale, now: .zero) == 0)
        #expect(pool.blockedUntil == Timestamp(microseconds: 200_000))
        pool.becameReady()
        pool.becameReady()
        #expect(
            pool.starts(depth: 90, perWorker: 4, scale: scale, now: pool.blockedUntil) == 1,
            "one at a time after a failure")
        pool.worked()
        #expect(pool.starts(depth: 90, perWorker: 4, scale: scale, now: pool.blockedUntil) == 6)
    }
}
