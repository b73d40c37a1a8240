import ApusCore
import Testing

@testable import ApusEngine

/// `reuse: never`: one invocation for each worker, and others that wait ready.
struct OneShotTests {
    static func plan(scale: ScalePlan = ScalePlan(max: 8), memoryBytes: Int = 256 << 20) -> FunctionPlan {
        var plan = EngineRig.plan(order: .none, scale: scale)
        plan.reuse = .never
        plan.memoryBytes = memoryBytes
        return plan
    }

    static func killed(_ actions: [EngineAction]) -> [WorkerID] {
        actions.compactMap { if case .kill(let worker, .spent) = $0 { worker } else { nil } }
    }

    static func starts(_ actions: [EngineAction]) -> Int {
        actions.count { if case .start = $0 { true } else { false } }
    }

    @Test func aWorkerIsKilledAfterItsOneInvocationHoweverItEnds() throws {
        for succeeds in [true, false] {
            var rig = EngineRig(Self.plan())
            rig.publish([record(0)])
            let workers = rig.startWorkers()
            let dispatch = try #require(rig.dispatches().first)
            #expect(dispatch.worker == workers.first)
            if succeeds { rig.succeed(dispatch) } else { _ = rig.fail(dispatch) }
            #expect(Self.killed(rig.take()) == workers)
        }
    }

    /// What nobody waits for may be made a moment later; what somebody waits for may not.
    @Test func onlyWhatTakesTheBusyOnesPlaceIsAhead() {
        func started(_ actions: [EngineAction]) -> [WorkerID] {
            actions.compactMap { if case .start(let worker, _, _) = $0 { worker } else { nil } }
        }
        var rig = EngineRig(Self.plan(scale: ScalePlan(min: 1, max: 8)))
        let first = started(rig.take())
        #expect(first.count == 1 && first.allSatisfy { !rig.engine.isAhead($0) }, "nothing runs yet")
        for worker in first {
            rig.engine.workerReady(worker, now: rig.now)
            rig.engine.credit(worker, 1, now: rig.now)
        }
        rig.publish([record(0)])
        let next = started(rig.take())
        #expect(!next.isEmpty && next.allSatisfy { rig.engine.isAhead($0) })
        rig.publish([record(1), record(2), record(3)])
        let awaited = started(rig.take())
        #expect(!awaited.isEmpty && awaited.allSatisfy { !rig.engine.isAhead($0) })
    }

    @Test func workersThatEndBecauseTheirCallersLeftAreNoFailedStarts() throws {
        var rig = EngineRig(Self.plan())
        for _ in 0..<3 * Limits.Engine.startFailuresBeforeRefusal {
            rig.publish([record(0)])
            for worker in rig.startWorkers() {
                rig.engine.workerExited(worker, Failure(.cancelled, "the caller left"), now: rig.now)
            }
        }
        #expect(rig.engine.status(of: EngineRig.function)?.startFailures == 0)
    }

    @Test func creditThatItClaimsBesidesBringsItNothing() {
        var rig = EngineRig(Self.plan(scale: ScalePlan(max: 1)))
        rig.publish([record(0), record(1)])
        let workers = rig.startWorkers(credit: 9)
        #expect(rig.dispatches().count == 1)
        rig.engine.credit(workers[0], 9, now: rig.now)
        #expect(rig.dispatches().isEmpty)
    }

    @Test func asManyWaitReadyAsTheirBoundHoweverManyAreUsed() {
        let now = Timestamp(milliseconds: 10_000)
        func target(uses: Int, refill: TimeSpan) -> Int {
            var demand = OneShotDemand()
            demand.refilled(in: refill)
            for _ in 0..<uses { demand.used(isHit: true, now: now) }
            return demand.target(idle: .seconds(60), now: now)
        }
        // One, what is used up while one is made, and twice the root of that: 225 uses give 1 + 225 + 30.
        #expect(target(uses: 224, refill: .seconds(1)) == 1 + 224 + 28)
        #expect(target(uses: 225, refill: .seconds(1)) == Limits.Engine.pooledWorkers)
        #expect(target(uses: 226, refill: .seconds(1)) == Limits.Engine.pooledWorkers)
        #expect(target(uses: 10_000, refill: TimeSpan(microseconds: .max)) == Limits.Engine.pooledWorkers)
    }

    @Test func theFirstInvocationWaitsAndTheNextFindsAWorkerReady() throws {
        var rig = EngineRig(Self.plan())
        rig.publish([record(0)])
        _ = rig.startWorkers()
        rig.succeed(try #require(rig.dispatches().first))
        // While it is warm one more waits.
        let spare = rig.startWorkers()
        #expect(spare.isEmpty, "it was ordered with the dispatch already, whose actions are gone")
        let status = rig.engine.status(of: EngineRig.function)
        #expect(status?.poolHits == 0)
        #expect(status?.poolMisses == 1)
        #expect(status?.workersStarting == 1)
    }

    /// A worker for each order, ready at once; the workers that are killed are gone at once.
    static func settle(_ rig: inout EngineRig) -> [Dispatch] {
        var dispatches: [Dispatch] = []
        while true {
            let actions = rig.take()
            if actions.isEmpty { return dispatches }
            for action in actions {
                switch action {
                case .start(let worker, _, _):
                    rig.engine.workerReady(worker, now: rig.now)
                    rig.engine.credit(worker, 1, now: rig.now)
                case .kill(let worker, _), .stop(let worker):
                    rig.engine.workerExited(worker, Failure(.workerCrashed, "gone"), now: rig.now)
                default: dispatches += action.dispatches
                }
            }
        }
    }

    @Test func oneAfterTheOtherHitsThePoolEachTime() throws {
        var rig = EngineRig(Self.plan())
        var workers: Set<WorkerID> = []
        for offset in 0..<50 {
            rig.publish([record(Offset(offset))])
            let dispatch = try #require(Self.settle(&rig).first)
            let isNew = workers.insert(dispatch.worker).inserted
            #expect(isNew, "no worker is given a second invocation")
            rig.succeed(dispatch)
            _ = Self.settle(&rig)
            rig.advance(.milliseconds(10))
            _ = Self.settle(&rig)
        }
        let status = rig.engine.status(of: EngineRig.function)
        #expect(status?.poolMisses == 1)
        #expect(status?.poolHits == 49)
        #expect(status?.workersReady == 1)
    }

    @Test func aFunctionThatIsNotCalledScalesToZero() throws {
        var rig = EngineRig(Self.plan(scale: ScalePlan(max: 8, idle: .seconds(10))))
        rig.publish([record(0)])
        rig.succeed(try #require(Self.settle(&rig).first))
        _ = Self.settle(&rig)
        rig.advance(.seconds(9))
        _ = Self.settle(&rig)
        #expect(rig.engine.status(of: EngineRig.function)?.workersReady == 1)
        rig.advance(.seconds(12))
        _ = Self.settle(&rig)
        #expect(rig.engine.status(of: EngineRig.function)?.workersReady == 0)
        #expect(rig.engine.nextDue == nil || Self.starts(rig.take()) == 0)
    }

    @Test func aMinimumWaitsReadyWithoutAnyCall() {
        var rig = EngineRig(Self.plan(scale: ScalePlan(min: 3, max: 8)))
        _ = Self.settle(&rig)
        #expect(rig.engine.status(of: EngineRig.function)?.workersReady == 3)
    }

    @Test func whatRunsAndWhatWaitsTogetherStayBelowTheMaximum() {
        var rig = EngineRig(Self.plan(scale: ScalePlan(max: 3)))
        rig.publish((0..<10).map { record($0) })
        let dispatches = Self.settle(&rig)
        #expect(dispatches.count == 3)
        let status = rig.engine.status(of: EngineRig.function)
        #expect((status?.workersReady ?? 0) + (status?.workersStarting ?? 0) == 3)
    }

    /// 200 invocations a second for two seconds, by workers that take 50 ms to start: ten are used up while one is made.
    /// - Returns: the most that waited ready or were on their way, and the hits of the last second.
    static func drive(_ rig: inout EngineRig) -> (pooled: Int, hits: UInt64) {
        var (pooled, before) = (0, UInt64(0))
        var due: [(at: Timestamp, worker: WorkerID)] = []
        for step in 0..<400 {
            rig.publish([record(Offset(step))])
            for action in rig.take() {
                switch action {
                case .start(let worker, _, _): due.append((rig.now + .milliseconds(50), worker))
                case .kill(let worker, _), .stop(let worker):
                    rig.engine.workerExited(worker, Failure(.workerCrashed, "gone"), now: rig.now)
                default: for dispatch in action.dispatches { rig.succeed(dispatch) }
                }
            }
            rig.advance(.milliseconds(5))
            for start in due where start.at <= rig.now {
                rig.engine.workerReady(start.worker, now: rig.now)
                rig.engine.credit(start.worker, 1, now: rig.now)
            }
            due.removeAll { $0.at <= rig.now }
            guard let status = rig.engine.status(of: EngineRig.function) else { continue }
            let live = status.workersReady + status.workersStarting
            pooled = max(pooled, live - status.ready - status.attempts)
            if step == 200 { before = status.poolHits }
        }
        return (pooled, (rig.engine.status(of: EngineRig.function)?.poolHits ?? 0) - before)
    }

    @Test func thePoolGrowsWithDemandAndShrinksAfterIt() {
        var rig = EngineRig(Self.plan(scale: ScalePlan(max: 64, idle: .seconds(5)), memoryBytes: 1 << 20))
        let (pooled, hits) = Self.drive(&rig)
        #expect(pooled >= 10)
        #expect(pooled <= 24)
        #expect(hits > 190)
        for dispatch in Self.settle(&rig) { rig.succeed(dispatch) }
        rig.advance(.seconds(20))
        _ = Self.settle(&rig)
        #expect(rig.engine.status(of: EngineRig.function)?.workersReady == 0)
    }

    @Test(arguments: [0, 1, 4])
    func thePoolTakesNoMoreMemoryThanItsBound(room: Int) {
        var configuration = EngineConfiguration()
        configuration.pooledMemory = (room << 30) + 1
        let plan = Self.plan(scale: ScalePlan(max: 64), memoryBytes: 1 << 30)
        var rig = EngineRig(plan, configuration: configuration)
        #expect(Self.drive(&rig).pooled == room)
    }

    @Test func aNewRevisionThatReusesWorkersKillsNone() throws {
        var rig = EngineRig(Self.plan())
        rig.publish([record(0)])
        rig.succeed(try #require(Self.settle(&rig).first))
        _ = Self.settle(&rig)
        var plan = EngineRig.plan(order: .none, generation: 2)
        plan.reuse = .function
        rig.engine.apply(plan, now: rig.now)
        rig.publish([record(1)])
        let first = try #require(Self.settle(&rig).first)
        rig.succeed(first)
        #expect(Self.killed(rig.take()).isEmpty)
        rig.publish([record(2)])
        #expect(Self.settle(&rig).first?.worker == first.worker)
    }
}
