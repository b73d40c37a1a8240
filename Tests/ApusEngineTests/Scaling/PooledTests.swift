import ApusCore
import Testing

@testable import ApusEngine

/// A function whose workers the pool starts, puts to sleep and wakes.
@Suite struct PooledTests {
    private static func rig() -> EngineRig {
        EngineRig(EngineRig.plan(scale: ScalePlan(max: 4, idle: .milliseconds(1), isPooled: true)))
    }

    private static func demands(_ actions: [EngineAction]) -> [[Int]] {
        actions.compactMap { if case .demand(_, let running, let queued) = $0 { [running, queued] } else { nil } }
    }

    @Test func thePoolIsToldOfWorkAndTheWorkWaitsForItsWorkers() throws {
        var rig = Self.rig()
        rig.publish([record(0), record(1)])
        let actions = rig.take()
        #expect(Self.demands(actions) == [[0, 2]])
        #expect(!actions.contains { if case .start = $0 { true } else { false } })
        let started = rig.engine.startPooled(EngineRig.function, now: rig.now)
        let worker = try #require(started)
        #expect(rig.take().contains(.start(worker, EngineRig.function, generation: 1)))
        rig.advance(.seconds(100))
        #expect(rig.take().isEmpty, "how long its start may take is the pool's to say")
        rig.engine.workerReady(worker, now: rig.now)
        rig.engine.credit(worker, 1, now: rig.now)
        let begun = rig.take()
        #expect(begun.contains(.occupied(worker, running: 1, uses: 1)))
        #expect(begun.flatMap(\.dispatches).count == 1)
    }

    /// Work that comes faster than it is done, by what starts and runs were seen to take, is told before it is there.
    @Test func thePoolIsToldOfWhatWillBeThereWhenAStartIsOver() throws {
        var rig = Self.rig()
        let started = rig.engine.startPooled(EngineRig.function, now: rig.now)
        let worker = try #require(started)
        rig.advance(.seconds(10))
        rig.engine.workerReady(worker, now: rig.now)
        rig.engine.credit(worker, 1, now: rig.now)
        _ = rig.take()
        var (there, most) = (0, 0)
        for turn in 0..<20 as Range<Int64> {
            rig.publish((0..<5).map { record(turn * 5 + $0) })
            there += 5
            let actions = rig.take()
            for demand in Self.demands(actions) { most = max(most, demand[0] + demand[1] - there) }
            for dispatch in actions.flatMap(\.dispatches) {
                rig.advance(.milliseconds(400))
                rig.succeed(dispatch)
                there -= 1
            }
        }
        #expect(most > 0, "five come while one is done")
    }

    @Test func oneThatSleepsIsGivenNothingUntilItIsAwake() throws {
        var rig = Self.rig()
        let started = rig.engine.startPooled(EngineRig.function, now: rig.now)
        let worker = try #require(started)
        rig.engine.workerReady(worker, now: rig.now)
        rig.engine.credit(worker, 1, now: rig.now)
        rig.advance(.seconds(5))
        #expect(!rig.take().contains(.stop(worker)), "the idle policy of the shard is not its own")
        let sleeps = rig.engine.sleep(worker, now: rig.now)
        #expect(sleeps)
        rig.publish([record(0)])
        #expect(rig.dispatches().isEmpty)
        rig.engine.wake(worker, now: rig.now)
        #expect(rig.dispatches().isEmpty, "not before it says that it is awake")
        rig.engine.woken(worker, now: rig.now)
        let dispatches = rig.dispatches()
        #expect(dispatches.map(\.worker) == [worker])
        let sleepsBusy = rig.engine.sleep(worker, now: rig.now)
        #expect(!sleepsBusy, "it runs something")
    }

    @Test func aCallerHearsWhatThePoolSaysOfItsStart() throws {
        var rig = Self.rig()
        rig.engine.startTakes(EngineRig.function, .seconds(47))
        let first = RequestID(rawValue: 1)
        rig.engine.invoke(first, function: EngineRig.function, bytes: 1, deadline: nil, now: rig.now)
        #expect(rig.take().contains(.waits(first, .seconds(47))))
        let started = rig.engine.startPooled(EngineRig.function, now: rig.now)
        let worker = try #require(started)
        rig.advance(.seconds(40))
        let second = RequestID(rawValue: 2)
        rig.engine.invoke(second, function: EngineRig.function, bytes: 1, deadline: nil, now: rig.now)
        #expect(rig.take().contains(.waits(second, .seconds(7))), "what is left of it")
        rig.engine.workerReady(worker, now: rig.now)
        rig.engine.credit(worker, 1, now: rig.now)
        let third = RequestID(rawValue: 3)
        rig.engine.invoke(third, function: EngineRig.function, bytes: 1, deadline: nil, now: rig.now)
        let waits = rig.take().contains { if case .waits(third, _) = $0 { true } else { false } }
        #expect(!waits, "one is ready")
    }

    /// Others wait for its devices: what runs goes on, and the pool hears when it is over.
    @Test func oneThatRestsIsGivenNothingNewAndSleepsWhenItIsDone() throws {
        var rig = Self.rig()
        let started = rig.engine.startPooled(EngineRig.function, now: rig.now)
        let worker = try #require(started)
        rig.engine.workerReady(worker, now: rig.now)
        rig.engine.credit(worker, 1, now: rig.now)
        rig.publish([record(0), record(1)])
        let first = try #require(rig.dispatches().first)
        rig.engine.rest(worker)
        let early = rig.engine.sleep(worker, now: rig.now)
        #expect(!early, "it runs something")
        rig.succeed(first)
        let after = rig.take()
        #expect(after.flatMap(\.dispatches).isEmpty && after.contains(.occupied(worker, running: 0, uses: 0)), "\(after)")
        let sleeps = rig.engine.sleep(worker, now: rig.now)
        #expect(sleeps)
        rig.engine.wake(worker, now: rig.now)
        rig.engine.woken(worker, now: rig.now)
        #expect(rig.dispatches().map(\.worker) == [worker], "what waited is next")
    }

    @Test func oneThatStaysAwakeAfterAllTakesWorkAgain() throws {
        var rig = Self.rig()
        let started = rig.engine.startPooled(EngineRig.function, now: rig.now)
        let worker = try #require(started)
        rig.engine.workerReady(worker, now: rig.now)
        rig.engine.credit(worker, 1, now: rig.now)
        rig.engine.rest(worker)
        rig.publish([record(0)])
        #expect(rig.dispatches().isEmpty)
        rig.engine.stays(worker, now: rig.now)
        #expect(rig.dispatches().map(\.worker) == [worker])
    }
}
