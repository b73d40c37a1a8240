import ApusCore
import Testing

@testable import ApusEngine

/// Deliveries that are given up before their outcome.
@Suite struct CancelTests {
    private func rig(
        order: DeliveryOrder = .none, concurrency: Int = 1, batch: BatchPlan? = nil,
        retry: RetryPlan = RetryPlan(attempts: 5, initial: .seconds(10), max: .seconds(10))
    ) -> EngineRig {
        EngineRig(
            EngineRig.plan(
                order: order, retry: retry, concurrency: concurrency, batch: batch, scale: ScalePlan(max: 1)))
    }

    private func delivery(_ offset: Offset) -> Delivery {
        Delivery(trigger: EngineRig.trigger, partition: 0, offset: offset)
    }

    private func cancelled(_ offset: Offset, attempts: Int) -> EngineAction {
        .deadLetter(self.delivery(offset), attempts: attempts, Engine.cancelledFailure)
    }

    @Test func oneThatWaitsForAWorkerNeverRuns() {
        var rig = self.rig()
        rig.publish((0..<4).map { record($0) })
        #expect(rig.engine.cancel(self.delivery(2), now: rig.now) == .taken)
        #expect(rig.engine.cancel(self.delivery(0), now: rig.now) == .taken)
        let actions = rig.take()
        #expect(actions.contains(self.cancelled(2, attempts: 0)))
        #expect(actions.contains(self.cancelled(0, attempts: 0)))
        rig.engine.written(self.delivery(0))
        rig.engine.written(self.delivery(2))
        for case .start(let worker, _, _) in actions {
            rig.engine.workerReady(worker, now: rig.now)
            rig.engine.credit(worker, 1, now: rig.now)
        }
        var ran: [Offset] = []
        while let dispatch = rig.dispatches().first {
            ran.append(dispatch.offset)
            rig.succeed(dispatch)
        }
        #expect(ran == [1, 3])
        #expect(rig.commit().last?.state == LedgerState(watermark: 4))
        #expect(rig.engine.cancel(self.delivery(3), now: rig.now) == .tooLate)
        #expect(rig.engine.cancel(self.delivery(9), now: rig.now) == .later)
    }

    @Test func oneThatRunsIsOverWhenItsWorkerAnswersWhateverItSays() {
        var rig = self.rig()
        rig.publish([record(0)])
        _ = rig.startWorkers()
        guard let dispatch = rig.dispatches().first else { return }
        #expect(rig.engine.cancel(self.delivery(0), now: rig.now) == .taken)
        #expect(rig.take() == [.cancel(dispatch.worker, dispatch.stream)])
        #expect(rig.engine.cancel(self.delivery(0), now: rig.now) == .taken)
        #expect(rig.take().isEmpty)
        #expect(rig.engine.outcome(dispatch.stream, .succeeded, now: rig.now) == .ignore)
        #expect(rig.take().contains(self.cancelled(0, attempts: 1)))
        #expect(rig.engine.cancel(self.delivery(0), now: rig.now) == .tooLate)
        rig.engine.written(self.delivery(0))
        #expect(rig.commit().last?.state == LedgerState(watermark: 1))
        #expect(rig.engine.attemptsInFlight == 0)
    }

    @Test func aWorkerThatDoesNotHeedItIsKilled() {
        var rig = self.rig()
        rig.publish([record(0)])
        _ = rig.startWorkers()
        guard let dispatch = rig.dispatches().first else { return }
        _ = rig.engine.cancel(self.delivery(0), now: rig.now)
        _ = rig.take()
        rig.advance(rig.engine.configuration.cancelGrace)
        #expect(rig.take().contains(.kill(dispatch.worker, reason: .deadline)))
        rig.engine.workerExited(dispatch.worker, Failure(.workerCrashed, "killed"), now: rig.now)
        #expect(rig.take().contains(self.cancelled(0, attempts: 1)))
    }

    @Test func oneThatWaitsForItsNextAttemptHasNone() {
        var rig = self.rig()
        rig.publish([record(0)])
        _ = rig.startWorkers()
        guard let dispatch = rig.dispatches().first, case .retry = rig.fail(dispatch) else {
            Issue.record("it should be retried")
            return
        }
        #expect(rig.engine.cancel(self.delivery(0), now: rig.now) == .taken)
        #expect(rig.take().contains(self.cancelled(0, attempts: 1)))
        rig.engine.written(self.delivery(0))
        _ = rig.commit()
        rig.advance(.seconds(60))
        #expect(rig.dispatches().isEmpty)
    }

    @Test func oneWhoseDeadlineHasPassedIsNotTriedAgainEither() {
        var rig = self.rig()
        rig.publish([record(0)])
        _ = rig.startWorkers()
        guard let dispatch = rig.dispatches().first else { return }
        rig.advance(.seconds(30))
        #expect(rig.take() == [.cancel(dispatch.worker, dispatch.stream)])
        #expect(rig.engine.cancel(self.delivery(0), now: rig.now) == .taken)
        let late = AttemptOutcome.failed(Failure(.functionFailed, "late"), retryAfter: nil)
        #expect(rig.engine.outcome(dispatch.stream, late, now: rig.now) == .ignore)
        #expect(rig.take().contains(self.cancelled(0, attempts: 1)))
    }

    @Test func aDispatchThatTheHostRefusesGivesItsCreditBack() {
        var rig = self.rig(batch: BatchPlan(maxSize: 3, maxWait: .zero))
        rig.publish((0..<3).map { record($0) })
        _ = rig.startWorkers()
        let dispatches = rig.dispatches()
        #expect(dispatches.count == 3)
        let failure = Failure(.expired, "too old")
        rig.engine.refuse(dispatches[1].stream, failure, now: rig.now)
        #expect(rig.take() == [.deadLetter(self.delivery(1), attempts: 0, failure)])
        rig.succeed(dispatches[0])
        rig.succeed(dispatches[2])
        rig.publish([record(3)])
        #expect(rig.dispatches().map(\.offset) == [3])
        rig.engine.refuse(dispatches[1].stream, failure, now: rig.now)
        #expect(rig.take().isEmpty)
    }

    @Test func oneBehindAnotherOfItsKeyIsLeftToTheHost() {
        var rig = self.rig(order: .key)
        rig.publish([record(0, key: 1), record(1, key: 1), record(2, key: 2)])
        #expect(rig.engine.cancel(self.delivery(1), now: rig.now) == .later)
        #expect(rig.engine.cancel(self.delivery(0), now: rig.now) == .taken)
        _ = rig.startWorkers(credit: 1)
        #expect(rig.dispatches().map(\.offset) == [2])
    }
}
