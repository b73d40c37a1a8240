import ApusCore
import ApusEngine
import Testing

/// `reuse: principal`: a worker serves one principal and no other, ever.
struct OwnerTests {
    private static func rig(max: Int = 8, concurrency: Int = 1, idle: TimeSpan = .seconds(60)) -> EngineRig {
        var plan = EngineRig.plan(
            order: .none, concurrency: concurrency, scale: ScalePlan(max: max, idle: idle))
        plan.reuse = .principal
        return EngineRig(plan)
    }

    private func ask(_ rig: inout EngineRig, _ id: UInt64, owner: UInt64) {
        rig.engine.invoke(
            RequestID(rawValue: id), function: EngineRig.function, bytes: 10, deadline: nil, owner: owner, now: rig.now)
    }

    private func request(_ dispatch: Dispatch) -> UInt64? {
        if case .request(let id) = dispatch.work { id.rawValue } else { nil }
    }

    private func stopped(_ actions: [EngineAction]) -> [WorkerID] {
        actions.compactMap { if case .stop(let worker) = $0 { worker } else { nil } }
    }

    @Test func eachPrincipalHasAWorkerOfItsOwnAndWaitsForThatOne() throws {
        var rig = Self.rig()
        for (id, owner) in [(1, 7), (2, 7), (3, 9)] as [(UInt64, UInt64)] { self.ask(&rig, id, owner: owner) }
        let started1 = rig.startWorkers()
        #expect(started1.count == 2)
        let first = rig.dispatches()
        #expect(Set(first.compactMap(self.request)) == [1, 3])
        #expect(Set(first.map(\.worker)).count == 2)
        let own = try #require(first.first { self.request($0) == 1 })
        let other = try #require(first.first { self.request($0) == 3 })
        // The worker of another is free, and still not its.
        rig.succeed(other)
        let dispatched2 = rig.dispatches()
        #expect(dispatched2.isEmpty)
        rig.succeed(own)
        let second = try #require(rig.dispatches().first)
        #expect(self.request(second) == 2 && second.worker == own.worker)
    }

    @Test func aWorkerTakesAsManyOfItsPrincipalsCallsAsItsConcurrencySays() {
        var rig = Self.rig(concurrency: 2)
        for id in 1...3 { self.ask(&rig, UInt64(id), owner: 7) }
        let started3 = rig.startWorkers(credit: 2)
        #expect(started3.count == 1)
        let dispatched4 = rig.dispatches()
        #expect(dispatched4.compactMap(self.request) == [1, 2])
    }

    @Test func aWorkerWhosePrincipalAsksForNothingIsStopped() throws {
        var rig = Self.rig()
        self.ask(&rig, 1, owner: 7)
        let workers = rig.startWorkers()
        rig.succeed(try #require(rig.dispatches().first))
        rig.advance(.seconds(59))
        let actions5 = rig.take()
        #expect(self.stopped(actions5).isEmpty)
        rig.advance(.seconds(2))
        let actions6 = rig.take()
        #expect(self.stopped(actions6) == workers)
    }

    @Test func whereThereIsNoPlaceTheOneThatWasIdleForLongestGoes() throws {
        var rig = Self.rig(max: 2)
        self.ask(&rig, 1, owner: 7)
        self.ask(&rig, 2, owner: 8)
        _ = rig.startWorkers()
        let running = rig.dispatches()
        let oldest = try #require(running.first { self.request($0) == 1 })
        rig.succeed(oldest)
        rig.advance(.seconds(1))
        rig.succeed(try #require(running.first { self.request($0) == 2 }))
        _ = rig.take()
        self.ask(&rig, 3, owner: 9)
        let actions7 = rig.take()
        #expect(self.stopped(actions7) == [oldest.worker])
        rig.engine.workerExited(oldest.worker, Failure(.cancelled, "stopped"), now: rig.now)
        let started8 = rig.startWorkers()
        #expect(started8.count == 1)
        let dispatched9 = rig.dispatches()
        #expect(dispatched9.compactMap(self.request) == [3])
    }

    @Test func deliveriesShareAWorkerThatNoPrincipalGets() throws {
        var rig = Self.rig()
        rig.publish([record(0)])
        let workers = rig.startWorkers()
        let delivery = try #require(rig.dispatches().first)
        rig.succeed(delivery)
        self.ask(&rig, 1, owner: 7)
        let others = rig.startWorkers()
        #expect(others.count == 1 && others != workers)
        let dispatched11 = rig.dispatches()
        #expect(dispatched11.compactMap(self.request) == [1])
    }

    @Test func aFunctionThatIsTriedIsStartedOnceAndItsWorkerIsTheFirstCallers() throws {
        var rig = Self.rig()
        let isWarm12 = rig.engine.warm(EngineRig.function, now: rig.now)
        #expect(!isWarm12)
        let workers = rig.startWorkers()
        #expect(workers.count == 1)
        self.ask(&rig, 1, owner: 7)
        let dispatched13 = rig.dispatches()
        #expect(dispatched13.map(\.worker) == workers)
    }
}
