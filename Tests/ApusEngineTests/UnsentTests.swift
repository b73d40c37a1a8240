import ApusCore
import Testing

@testable import ApusEngine

/// Attempts whose worker was gone before anything was written to it.
@Suite struct UnsentTests {
    private func invoke(_ rig: inout EngineRig, _ id: UInt64) {
        rig.engine.invoke(RequestID(rawValue: id), function: EngineRig.function, bytes: 10, deadline: nil, now: rig.now)
    }

    @Test func aRequestGoesBackToTheFrontOfTheQueue() {
        var rig = EngineRig(EngineRig.plan(scale: ScalePlan(max: 1)))
        for id in 1...3 { self.invoke(&rig, UInt64(id)) }
        let dead = rig.startWorkers()[0]
        let first = rig.dispatches()
        #expect(first.map(\.work) == [.request(RequestID(rawValue: 1))])
        rig.engine.unsent(first[0].stream, now: rig.now)
        let actions = rig.take()
        #expect(!actions.contains { if case .fail = $0 { true } else { false } }, "nobody hears of a failure")
        #expect(actions.flatMap(\.dispatches).isEmpty, "the dead worker is given nothing more")
        #expect(rig.engine.outcome(first[0].stream, .succeeded, now: rig.now) == .ignore)
        rig.engine.workerExited(dead, Failure(.workerCrashed, "gone"), now: rig.now)
        rig.advance(.seconds(1))
        _ = rig.startWorkers()
        #expect(rig.dispatches().map(\.work) == [.request(RequestID(rawValue: 1))])
    }

    @Test func aDeliveryIsNoFailedAttemptAndKeepsItsPlace() {
        var rig = EngineRig(
            EngineRig.plan(order: .none, retry: RetryPlan(attempts: 1), scale: ScalePlan(max: 1)))
        rig.publish([record(0), record(1)])
        let dead = rig.startWorkers()[0]
        let first = rig.dispatches()
        rig.engine.unsent(first[0].stream, now: rig.now)
        rig.engine.workerExited(dead, Failure(.workerCrashed, "gone"), now: rig.now)
        rig.advance(.seconds(1))
        _ = rig.startWorkers()
        let again = rig.dispatches()
        #expect(again.map(\.offset) == [0])
        #expect(again.map(\.attempt) == [1])
        #expect(rig.engine.status(of: EngineRig.trigger)?.counters.attemptsFailed == 0)
    }

    @Test func allOfABatchGoesBack() {
        var rig = EngineRig(
            EngineRig.plan(order: .none, batch: BatchPlan(maxSize: 3, maxWait: .zero), scale: ScalePlan(max: 1)))
        rig.publish((0..<3).map { record($0) })
        let dead = rig.startWorkers()[0]
        for dispatch in rig.dispatches() { rig.engine.unsent(dispatch.stream, now: rig.now) }
        rig.engine.workerExited(dead, Failure(.workerCrashed, "gone"), now: rig.now)
        rig.advance(.seconds(1))
        _ = rig.startWorkers()
        #expect(Set(rig.dispatches().map(\.offset)) == [0, 1, 2])
    }

    /// Behaviour 48.
    @Test func workersThatDieBeforeTheyTakeAnythingStillOpenTheBreaker() {
        var rig = EngineRig(EngineRig.plan(scale: ScalePlan(max: 1)))
        self.invoke(&rig, 1)
        var starts = 0
        for _ in 0..<10 {
            for worker in rig.startWorkers() {
                starts += 1
                for dispatch in rig.dispatches() { rig.engine.unsent(dispatch.stream, now: rig.now) }
                rig.engine.workerExited(worker, Failure(.workerCrashed, "gone"), now: rig.now)
            }
        }
        #expect(starts == 1, "the next start waits for its backoff")
    }

    @Test func whatWaitsForADeletedFunctionFails() {
        var rig = EngineRig(EngineRig.plan(scale: ScalePlan(max: 1)))
        self.invoke(&rig, 1)
        _ = rig.startWorkers()
        let dispatches = rig.dispatches()
        rig.engine.remove(EngineRig.function, now: rig.now)
        rig.engine.unsent(dispatches[0].stream, now: rig.now)
        #expect(
            rig.take().contains {
                if case .fail(RequestID(rawValue: 1), let failure) = $0 {
                    failure.code == .functionNotFound
                } else {
                    false
                }
            })
    }
}
