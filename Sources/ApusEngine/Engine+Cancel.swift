public import ApusCore

/// What the engine makes of the wish to give a delivery up.
public enum Cancellation: Sendable, Hashable {
    /// It will not run any more: `.deadLetter` with the code `cancelled` follows, once its worker has answered or is gone.
    case taken
    /// It has not been read, or stands behind another of its key: the host refuses it with
    /// ``Engine/refuse(_:_:now:)`` when it comes.
    case later
    /// Its outcome is known.
    case tooLate
}

/// Deliveries that are given up before their outcome.
extension Engine {
    static let cancelledFailure = Failure(.cancelled, "it was cancelled")

    /// Gives a delivery up, whatever its trigger's policy for failures says. An attempt that runs is cancelled; what it still
    /// says does not count.
    public mutating func cancel(_ delivery: Delivery, now: Timestamp) -> Cancellation {
        guard let lane = self.lane(of: delivery.trigger, delivery.partition) else { return .tooLate }
        guard let slot = self.lanes[Int(lane)].ledger.find(delivery.offset) else {
            return self.lanes[Int(lane)].ledger.isAhead(delivery.offset) ? .later : .tooLate
        }
        let function = self.lanes[Int(lane)].function
        switch self.lanes[Int(lane)].ledger[slot].state {
        case .held: return .later
        case .finished, .written, .free: return .tooLate
        case .running: return self.cancelAttempt(lane, slot, now: now)
        case .ready:
            self.lanes[Int(lane)].ledger.withdraw(slot)
            self.rebuild(function, now: now)
        case .waiting: break
        }
        self.abandon(lane, slot, Self.cancelledFailure, now: now)
        self.schedule(function, now: now)
        return .taken
    }

    /// At dispatch the host knows that the delivery shall not run: its attempt is over and its credit is back, the worker never
    /// saw it. `.deadLetter` with this failure follows.
    public mutating func refuse(_ stream: StreamID, _ failure: Failure, now: Timestamp) {
        guard let attempt = self.inFlight.find(stream) else { return }
        let (work, function) = (self.inFlight[attempt].work, self.inFlight[attempt].function)
        self.endAttempt(attempt, returnsCredit: true, now: now)
        if case .delivery(let lane, let generation, let slot) = work,
            self.isCurrent(LaneReference(lane: lane, generation: generation))
        {
            self.abandon(lane, slot, failure, now: now)
        }
        self.schedule(function, now: now)
    }

    private mutating func cancelAttempt(_ lane: Int32, _ slot: Int32, now: Timestamp) -> Cancellation {
        let function = Int(self.lanes[Int(lane)].function)
        guard let attempt = self.attempt(of: lane, slot) else { return .tooLate }
        switch self.inFlight[attempt].state {
        case .running:
            self.inFlight.expire(
                attempt, as: .cancelled, killAt: now + self.configuration.cancelGrace,
                deadlines: &self.functions[function].deadlines)
            self.actions.append(
                .cancel(self.workerID(self.inFlight[attempt].worker), self.inFlight.stream(attempt)))
        case .expired: self.inFlight.giveUpExpired(attempt)
        case .cancelled: break
        case .abandoned, .free: return .tooLate
        }
        return .taken
    }

    /// Searches what runs on the function's workers: cancelling is rare.
    private func attempt(of lane: Int32, _ slot: Int32) -> Int32? {
        for worker in self.functions[Int(self.lanes[Int(lane)].function)].workers {
            var attempt = self.workers[Int(worker)].attempts.first
            while attempt != InFlight.none {
                if case .delivery(lane, let generation, slot) = self.inFlight[attempt].work,
                    generation == self.lanes[Int(lane)].generation
                {
                    return attempt
                }
                attempt = self.inFlight[attempt].workerAfter
            }
        }
        return nil
    }

    /// A cancelled attempt is over.
    mutating func cancelled(_ work: InFlight.Work, now: Timestamp) {
        guard case .delivery(let lane, let generation, let slot) = work,
            self.isCurrent(LaneReference(lane: lane, generation: generation))
        else { return }
        self.lanes[Int(lane)].ledger.fail(slot, due: now)
        self.abandon(lane, slot, Self.cancelledFailure, now: now)
    }

    /// Its outcome is that it was given up.
    mutating func abandon(_ lane: Int32, _ slot: Int32, _ failure: Failure, now: Timestamp) {
        let delivery = self.delivery(lane, slot)
        let attempts = Int(self.lanes[Int(lane)].ledger[slot].attempts)
        self.triggers[Int(self.lanes[Int(lane)].trigger)].counters.deadLetters += 1
        self.release(lane, slot, now: now)
        self.lanes[Int(lane)].ledger.finish(slot)
        self.actions.append(.deadLetter(delivery, attempts: attempts, failure))
    }
}
