import ApusCore
import Testing

@testable import ApusEngine

@Suite struct ScalingTests {
    private static let function = EngineRig.function

    /// The invariant "no flap". A load is something that comes at least once in a cool-down: what comes more seldom is a start each
    /// time, as its manifest asks for.
    @Test func aLoadThatDoesNotChangeReversesNoDecisionWithinACooldown() {
        var generator = SeededGenerator(seed: 11)
        for seed in 0..<40 {
            let idle = TimeSpan.seconds(.random(in: 2...60, using: &generator))
            let every = TimeSpan.microseconds(.random(in: 20_000...idle.microseconds, using: &generator))
            let service = TimeSpan.microseconds(.random(in: 1_000...4_000_000, using: &generator))
            let start = TimeSpan.microseconds(.random(in: 5_000...40_000_000, using: &generator))
            var load = SteadyLoad(
                every: every, service: service, start: start, idle: idle,
                concurrency: .random(in: 1...4, using: &generator))
            load.run(for: .seconds(400))
            let cooldown = max(idle.microseconds, 2 * start.microseconds)
            let shortest = load.shortestReversal?.microseconds ?? .max
            #expect(
                shortest >= cooldown,
                "seed \(seed): every \(every), service \(service), start \(start), idle \(idle), starts \(load.starts.count)"
            )
            #expect(load.failed == 0)
        }
    }

    /// The invariant "no lost request across 0 <-> 1".
    @Test func everyCallerIsAnsweredThoughTheFunctionGoesToZeroBetweenThem() {
        for phase in 0..<40 {
            let every = TimeSpan.microseconds(1_000_000 + Int64(phase) * 2_500)
            var load = SteadyLoad(
                every: every, service: .milliseconds(20), start: .milliseconds(300), idle: .milliseconds(1_030))
            load.run(for: .seconds(130), callers: .seconds(120))
            let callers = Int(120_000_000 / every.microseconds) + 1
            #expect(load.answered == callers && load.failed == 0, "phase \(phase)")
        }
    }

    @Test func whatStartsAlreadyCountsAsMuchAsWhatIsReady() {
        var rig = EngineRig(EngineRig.plan(order: .none, scale: ScalePlan(max: 8)))
        rig.publish((0..<3).map { record($0) })
        #expect(rig.take().count { if case .start = $0 { true } else { false } } == 3)
        for offset in 3..<5 { rig.publish([record(Offset(offset))]) }
        #expect(rig.take().count { if case .start = $0 { true } else { false } } == 2, "only what is new")
        rig.advance(.seconds(20))
        #expect(rig.take().allSatisfy { if case .start = $0 { false } else { true } })
    }

    /// A start that takes longer than the idle policy keeps a worker is left to become ready.
    @Test func aSlowStarterIsNotStoppedBecauseItIsIdle() {
        var rig = EngineRig(EngineRig.plan(scale: ScalePlan(max: 1, idle: .milliseconds(10))))
        rig.publish([record(0, key: 1)])
        var worker: WorkerID?
        for case .start(let started, _, _) in rig.take() { worker = started }
        rig.advance(.seconds(29))
        #expect(rig.take().isEmpty, "it is neither stopped nor started twice")
        guard let worker else { return }
        rig.engine.workerReady(worker, now: rig.now)
        rig.engine.credit(worker, 1, now: rig.now)
        #expect(rig.dispatches().count == 1)
    }

    @Test func workersOfSlowStartsAreKeptForTwoStarts() {
        var rig = EngineRig(EngineRig.plan(scale: ScalePlan(max: 1, idle: .seconds(1))))
        rig.publish([record(0, key: 1)])
        guard case .start(let worker, _, _)? = rig.take().first(where: { if case .start = $0 { true } else { false } })
        else { return }
        rig.advance(.seconds(20))
        rig.engine.workerReady(worker, now: rig.now)
        rig.engine.credit(worker, 1, now: rig.now)
        for dispatch in rig.dispatches() { rig.succeed(dispatch) }
        rig.advance(.seconds(39))
        #expect(!rig.take().contains(.stop(worker)))
        rig.advance(.seconds(1))
        #expect(rig.take().contains(.stop(worker)))
    }

    @Test func waitingIsBoundedByBytesAndARefusalSaysWhenToTryAgain() {
        var configuration = EngineConfiguration()
        configuration.waitingBytesPerFunction = 100
        var rig = EngineRig(EngineRig.plan(scale: ScalePlan(max: 1)), configuration: configuration)
        let requests = (1...3).map { RequestID(rawValue: $0) }
        rig.engine.invoke(requests[0], function: Self.function, bytes: 60, deadline: nil, now: rig.now)
        rig.engine.invoke(requests[1], function: Self.function, bytes: 40, deadline: nil, now: rig.now)
        rig.engine.invoke(requests[2], function: Self.function, bytes: 1, deadline: nil, now: rig.now)
        let failures = rig.take().compactMap {
            if case .fail(let request, let failure) = $0 { (request, failure) } else { nil }
        }
        #expect(failures.map(\.0) == [requests[2]])
        #expect(failures.first?.1.code == .overloaded)
        #expect(failures.first?.1.retryAfter ?? .zero > .zero)
    }

    @Test func aCallerHearsHowLongItsStartMayTake() {
        var rig = EngineRig(EngineRig.plan(scale: ScalePlan(max: 1, idle: .seconds(1))))
        let (first, second) = (RequestID(rawValue: 1), RequestID(rawValue: 2))
        rig.engine.invoke(first, function: Self.function, bytes: 1, deadline: nil, now: rig.now)
        #expect(rig.take().contains(.waits(first, Limits.Engine.startPrior)))
        rig.advance(.milliseconds(700))
        rig.engine.invoke(second, function: Self.function, bytes: 1, deadline: nil, now: rig.now)
        let waits = rig.take().contains { if case .waits = $0 { true } else { false } }
        #expect(!waits, "what is left of the start is not worth telling")
    }
}
