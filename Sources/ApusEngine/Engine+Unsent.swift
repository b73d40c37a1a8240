public import ApusCore

/// Attempts that never began.
extension Engine {
    /// The worker was gone before anything of the attempt was written to it. That is nobody's failure: what it was to run goes back to
    /// where it waited, ahead of what came after it. The worker is given nothing more; ``workerExited(_:_:now:)`` follows.
    public mutating func unsent(_ stream: StreamID, now: Timestamp) {
        guard let slot = self.inFlight.find(stream) else { return }
        let attempt = self.inFlight[slot]
        self.endAttempt(slot, returnsCredit: false, now: now)
        self.withholdWork(from: attempt.worker, now: now)
        switch attempt.state {
        case .running, .expired: self.isDraining ? self.leave(attempt.work) : self.giveBack(attempt.work, now: now)
        case .cancelled: self.abandonUnsent(attempt.work, now: now)
        case .abandoned, .free: break
        }
        self.schedule(attempt.function, now: now)
    }

    /// It was given up before it could begin.
    private mutating func abandonUnsent(_ work: InFlight.Work, now: Timestamp) {
        guard case .delivery(let lane, let generation, let slot) = work,
            self.isCurrent(LaneReference(lane: lane, generation: generation))
        else { return }
        self.abandon(lane, slot, Self.cancelledFailure, now: now)
    }

    private mutating func giveBack(_ work: InFlight.Work, now: Timestamp) {
        switch work {
        case .delivery(let lane, let generation, let slot):
            guard self.isCurrent(LaneReference(lane: lane, generation: generation)) else { return }
            self.lanes[Int(lane)].ledger.makeReadyAgain(slot)
            self.becameReady(lane, count: 1, bytes: Int(self.lanes[Int(lane)].ledger[slot].bytes), now: now)
        case .request(let request):
            let function = self.requests[request].function
            guard !self.functions[Int(function)].isRemoved else {
                self.actions.append(.fail(self.requests[request].id, Self.removedFailure))
                return self.endRequest(request)
            }
            self.requests.giveBack(request, queue: &self.functions[Int(function)].queue)
            self.requestWaits(request, now: now)
        case .tableRecord, .nothing: break
        }
    }
}
