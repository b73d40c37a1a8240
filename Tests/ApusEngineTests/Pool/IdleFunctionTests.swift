import ApusCore
import Testing

@testable import ApusEngine

/// What is registered and not used costs no time: nothing is due for it. What it takes of memory, `apus-bench pool` measures.
@Suite struct IdleFunctionTests {
    @Test func functionsThatScaledToZeroAreNeverLookedAt() {
        var engine = Engine(seed: 1)
        var bed = PoolBed(devices: [])
        let count: UInt32 = 5_000
        for function in 1...count {
            let id = FunctionID(rawValue: function)
            let plan = FunctionPlan(
                function: id, generation: 1, concurrency: 1, scale: ScalePlan(min: 0, max: 8), triggers: [])
            engine.apply(plan, now: bed.now)
            bed.tell(.deploy(PoolBed.plan(function)))
        }
        #expect(engine.nextDue == nil && bed.pool.nextTimer == nil, "nothing is due for what was never used")
        bed.pool.add(capacity: 100 << 30, now: bed.now)
        for function in stride(from: 1, to: count, by: 100) {
            bed.demand(function, queued: 1)
            bed.advance(.seconds(30))
            bed.demand(function)
        }
        bed.advance(.seconds(100_000))
        #expect(bed.pool.nextTimer == nil, "nothing is due for what is gone")
        #expect((1...count).allSatisfy { bed.states(of: $0).isEmpty } && bed.pool.fault() == nil)
    }
}
