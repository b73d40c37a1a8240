import ApusCore
import Testing

@testable import ApusEngine

@Suite struct RequestTests {
    private let request = RequestID(rawValue: 1)

    private func failures(_ actions: [EngineAction]) -> [RequestID: ErrorCode] {
        var codes: [RequestID: ErrorCode] = [:]
        for case .fail(let request, let failure) in actions { codes[request] = failure.code }
        return codes
    }

    private func invoke(_ rig: inout EngineRig, _ id: UInt64, deadline: TimeSpan? = nil) {
        let moment = deadline.map { rig.now + $0 }
        rig.engine.invoke(
            RequestID(rawValue: id), function: EngineRig.function, bytes: 10, deadline: moment, now: rig.now)
    }

    @Test func callersAreServedInTheOrderOfTheirArrival() {
        var rig = EngineRig(EngineRig.plan(scale: ScalePlan(max: 1)))
        for id in 1...3 { self.invoke(&rig, UInt64(id)) }
        _ = rig.startWorkers()
        for id in 1...3 {
            let dispatches = rig.dispatches()
            #expect(dispatches.map(\.work) == [.request(RequestID(rawValue: UInt64(id)))])
            let failed = AttemptOutcome.failed(Failure(.functionFailed, "no"), retryAfter: nil)
            #expect(
                rig.engine.outcome(dispatches[0].stream, failed, now: rig.now)
                    == .answer(RequestID(rawValue: UInt64(id))))
        }
    }

    @Test func theQueueIsBounded() {
        var configuration = EngineConfiguration()
        configuration.waitingRequestsPerFunction = 2
        var rig = EngineRig(EngineRig.plan(), configuration: configuration)
        for id in 1...3 { self.invoke(&rig, UInt64(id)) }
        #expect(self.failures(rig.take()) == [RequestID(rawValue: 3): .overloaded])
    }

    @Test func anUnknownFunctionAndAPastDeadlineAreRefused() {
        var rig = EngineRig(EngineRig.plan())
        rig.engine.invoke(self.request, function: FunctionID(rawValue: 99), bytes: 0, deadline: nil, now: rig.now)
        self.invoke(&rig, 2, deadline: .zero)
        #expect(
            self.failures(rig.take()) == [self.request: .functionNotFound, RequestID(rawValue: 2): .deadlineExceeded])
    }

    @Test func aDeadlineEndsTheWaitAndTheRun() {
        var rig = EngineRig(EngineRig.plan(scale: ScalePlan(max: 1)))
        self.invoke(&rig, 1, deadline: .seconds(1))
        self.invoke(&rig, 2, deadline: .milliseconds(500))
        let workers = rig.startWorkers()
        let dispatches = rig.dispatches()
        #expect(
            dispatches.map(\.deadline) == [rig.now + .seconds(1)], "the caller's deadline is earlier than the timeout")
        rig.advance(.milliseconds(500))
        #expect(self.failures(rig.take()) == [RequestID(rawValue: 2): .deadlineExceeded])
        rig.advance(.milliseconds(500))
        let actions = rig.take()
        #expect(self.failures(actions) == [RequestID(rawValue: 1): .deadlineExceeded])
        #expect(actions.contains(.cancel(workers[0], dispatches[0].stream)))
        #expect(rig.engine.outcome(dispatches[0].stream, .succeeded, now: rig.now) == .ignore)
    }

    @Test func aCallerWithoutADeadlineWaitsNoLongerThanTheBound() {
        var plan = EngineRig.plan()
        plan.isPaused = true
        var rig = EngineRig(plan)
        self.invoke(&rig, 1)
        rig.advance(.milliseconds(Limits.Engine.requestWait.milliseconds - 1))
        #expect(self.failures(rig.take()).isEmpty)
        rig.advance(.milliseconds(1))
        #expect(self.failures(rig.take()) == [self.request: .deadlineExceeded])
    }

    @Test func aCallerThatLeavesIsForgottenOrItsAttemptCancelled() {
        var rig = EngineRig(EngineRig.plan(scale: ScalePlan(max: 1)))
        self.invoke(&rig, 1)
        self.invoke(&rig, 2)
        let workers = rig.startWorkers()
        let dispatches = rig.dispatches()
        rig.engine.abandon(RequestID(rawValue: 2), now: rig.now)
        rig.engine.abandon(RequestID(rawValue: 1), now: rig.now)
        rig.engine.abandon(RequestID(rawValue: 1), now: rig.now)
        #expect(rig.take() == [.cancel(workers[0], dispatches[0].stream)])
        #expect(rig.engine.outcome(dispatches[0].stream, .succeeded, now: rig.now) == .ignore)
        self.invoke(&rig, 3)
        #expect(rig.dispatches().count == 1, "the credit came back with the late answer")
    }

    @Test func aCrashAnswersTheCaller() {
        var rig = EngineRig(EngineRig.plan(scale: ScalePlan(max: 1)))
        self.invoke(&rig, 1)
        let workers = rig.startWorkers()
        _ = rig.take()
        rig.engine.workerExited(workers[0], Failure(.workerCrashed, "signal 9"), now: rig.now)
        #expect(self.failures(rig.take()) == [self.request: .workerCrashed])
    }

    @Test func callersOfAFunctionThatCannotStartAreToldSo() {
        var rig = EngineRig(EngineRig.plan(scale: ScalePlan(max: 1)))
        self.invoke(&rig, 1)
        for failure in 1...Limits.Engine.startFailuresBeforeRefusal {
            guard
                case .start(let worker, _, _)? = rig.take().first(where: { if case .start = $0 { true } else { false } }
                )
            else { return }
            rig.engine.startFailed(worker, Failure(.startFailed, "no module 'x'"), now: rig.now)
            if failure < Limits.Engine.startFailuresBeforeRefusal { rig.advance(.milliseconds(200)) }
        }
        #expect(self.failures(rig.take()) == [self.request: .startFailed])
        self.invoke(&rig, 2)
        #expect(
            self.failures(rig.take()) == [RequestID(rawValue: 2): .startFailed],
            "at once, until a start may be tried again")
        rig.advance(.seconds(1))
        self.invoke(&rig, 3)
        #expect(rig.startWorkers().count == 1)
        #expect(rig.dispatches().count == 1)
    }

    /// Behaviour 66.
    @Test func drainingFinishesWhatRunsAndRefusesTheRest() {
        var rig = EngineRig(EngineRig.plan(order: .none, scale: ScalePlan(max: 1)))
        self.invoke(&rig, 1)
        self.invoke(&rig, 2)
        rig.publish([record(0)])
        _ = rig.startWorkers()
        let dispatches = rig.dispatches()
        rig.engine.drain(now: rig.now)
        self.invoke(&rig, 3)
        #expect(
            self.failures(rig.take()) == [RequestID(rawValue: 2): .shuttingDown, RequestID(rawValue: 3): .shuttingDown])
        #expect(rig.engine.outcome(dispatches[0].stream, .succeeded, now: rig.now) == .answer(self.request))
        #expect(rig.engine.attemptsInFlight == 0)
        #expect(rig.dispatches().isEmpty)
    }

    /// Behaviour 66.
    @Test(arguments: [OnExhausted.deadLetter, .drop, .block])
    func whatTheEndOfTheServerCutsOffIsNeitherCountedNorGivenUpOn(onExhausted: OnExhausted) {
        let retry = RetryPlan(attempts: 1)
        var rig = EngineRig(
            EngineRig.plan(
                order: .none, retry: retry, onExhausted: onExhausted, concurrency: 2, scale: ScalePlan(max: 1)))
        self.invoke(&rig, 1)
        rig.publish([record(0)])
        let workers = rig.startWorkers(credit: 2)
        #expect(rig.dispatches().count == 2)
        rig.engine.drain(now: rig.now)
        rig.engine.workerExited(workers[0], Failure(.workerCrashed, "killed"), now: rig.now)
        let actions = rig.take()
        #expect(self.failures(actions) == [RequestID(rawValue: 1): .shuttingDown])
        for action in actions {
            switch action {
            case .deadLetter, .dropped: Issue.record("given up on: \(action)")
            default: break
            }
        }
        #expect(rig.engine.attemptsInFlight == 0)
        // A restart finds the delivery as it was: no attempt counted, nothing settled.
        for entry in rig.commit() { #expect(entry.state == LedgerState(watermark: 0)) }
    }

    @Test func deliveriesAndCallersShareAFunctionFairly() {
        var rig = EngineRig(EngineRig.plan(order: .none, scale: ScalePlan(max: 1)))
        rig.publish((0..<10).map { record($0) })
        for id in 1...10 { self.invoke(&rig, UInt64(id)) }
        _ = rig.startWorkers()
        var kinds = ""
        for _ in 0..<8 {
            guard let dispatch = rig.dispatches().first else { break }
            if case .request = dispatch.work { kinds += "r" } else { kinds += "d" }
            rig.succeed(dispatch)
        }
        #expect(kinds == "drdrdrdr")
    }
}

@Suite struct DeadlineHeapTests {
    @Test func theEarliestComesFirstUnderInsertionsChangesAndRemovals() {
        var generator = SeededGenerator(seed: 5)
        var heap = DeadlineHeap()
        var model: [Int32: Timestamp] = [:]
        for _ in 0..<20_000 {
            let index = Int32.random(in: 0..<64, using: &generator)
            if Bool.random(using: &generator) {
                let moment = Timestamp(microseconds: Int64.random(in: 0..<100, using: &generator))
                heap.set(index, moment)
                model[index] = moment
            } else {
                heap.remove(index)
                model[index] = nil
            }
            #expect(heap.count == model.count)
            #expect(heap.first?.moment == model.values.min())
        }
    }
}
