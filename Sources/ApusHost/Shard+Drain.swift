public import ApusCore
internal import ApusEngine

/// A graceful stop under way.
struct DrainState {
    enum Phase {
        /// What runs may finish and be written. Next: `leaving`.
        case finishing
        /// Workers were told to leave. Next: `killing`, or the end.
        case leaving
        /// Those that stayed were killed.
        case killing
    }

    var phase = Phase.finishing
    var until: Timestamp
    var completion: () -> Void
}

extension Shard {
    /// Stops within a bound: nothing new is dispatched, what runs may finish and is written, workers leave or are
    /// killed.
    /// - Parameter completion: called once, on the loop, when every worker is gone and every handle of the shard
    ///   closed.
    public func drain(until: Timestamp, completion: @escaping () -> Void) {
        guard self.drain == nil, !self.isClosed else { return }
        self.drain = DrainState(until: until, completion: completion)
        self.engine.drain(now: self.now)
        self.requestTurn()
    }

    /// Called once per turn; housekeeping makes turns while a drain is on.
    func advanceDrain(now: Timestamp) {
        guard let drain = self.drain else { return }
        let isLate = now >= drain.until
        switch drain.phase {
        case .finishing:
            let isFinished =
                self.engine.attemptsInFlight == 0 && !self.commits.isWaiting && self.lostDeliveries.isEmpty
                && self.lostAwaited == 0
            guard isFinished || isLate else { return }
            self.drain?.phase = .leaving
            for worker in Array(self.channels.keys) { self.stop(worker, now: now) }
            self.flushChannels()
            self.requestTurn()
        case .leaving:
            if self.channels.isEmpty { return self.finishDrain() }
            guard isLate else { return }
            self.drain?.phase = .killing
            for worker in Array(self.channels.keys) { self.kill(worker, .stopTimedOut) }
        case .killing:
            if self.channels.isEmpty { self.finishDrain() }
        }
    }

    private func finishDrain() {
        let unwritten = self.triggers.values.reduce(0) { $0 + (self.engine.status(of: $1.trigger.id)?.settling ?? 0) }
        if unwritten > 0 {
            self.configuration.note(
                "the end comes before the log took the outcomes of \(unwritten) deliveries: these run again\(self.writeFailure.map { ": \($0.message)" } ?? "")"
            )
        }
        // A write that is still under way has its outputs and its ledger in one transaction: it counts or it does not.
        for topic in self.followed.values { self.log.unfollow(topic.token) }
        self.followed = [:]
        let waiting = self.requests.values.map(\.sink)
        self.requests = [:]
        for sink in waiting { sink.onFailure(Failure(.shuttingDown, "the server stops")) }
        let completion = self.drain?.completion
        self.drain = nil
        self.closeHandles()
        completion?()
    }
}
