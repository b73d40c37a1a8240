internal import ApusCore
internal import ApusEngine
internal import ApusLoop

extension Shard {
    /// Writes what the turn gathered, unless a write is under way or it may wait for company.
    func commit(now: Timestamp) {
        while self.commits.isDue(now: now, isIdle: self.engine.attemptsInFlight == 0) {
            let entries = self.engine.takeLedgerWrites().compactMap { entry -> LogBatch.LedgerWrite? in
                guard let trigger = self.triggers[entry.trigger] else { return nil }
                let key = LedgerKey.key(prefix: trigger.ledgerPrefix, partition: entry.partition)
                return LogBatch.LedgerWrite(key: key, value: entry.state.encode())
            }
            guard let batch = self.commits.begin(entries, now: now) else {
                // The engine's changes were of triggers that are gone.
                self.engine.ledgerCommitted(now: now)
                return
            }
            self.settlementsBegin()
            let answer = CommitAnswer()
            self.log.submit(batch) { [loop = self.loop, weak self] result in
                // A log in memory answers on the spot; the answer is then taken below, without a detour.
                if loop.isCurrent, answer.isOnTheSpot {
                    answer.result = result
                } else {
                    loop.post { [weak self] in self?.committed(result) }
                }
            }
            answer.isOnTheSpot = false
            guard let result = answer.result else { return }
            self.settle(result, now: now)
        }
    }

    private func committed(_ result: Result<LogReceipt, ApusError>) {
        guard !self.isClosed else { return }
        self.settle(result, now: self.now)
        self.requestTurn()
    }

    private func settle(_ result: Result<LogReceipt, ApusError>, now: Timestamp) {
        switch result {
        case .success:
            self.statistics.commits += 1
            if let since = self.commits.inFlightSince { self.statistics.committing.record(now - since) }
            let ended = self.commits.succeeded()
            if self.writeFailure != nil { self.writeFailure = nil }
            if !self.unwrittenDeadLetters.isEmpty { self.unwrittenDeadLetters = [] }
            self.engine.ledgerCommitted(now: now)
            for (trigger, count) in ended { self.invocationsEnded(trigger, count, now: now) }
            self.settlementsEnd(now: now)
        case .failure(let error):
            self.statistics.commitsFailed += 1
            self.writeFailure = error
            self.commits.failed(now: now)
            self.engine.ledgerFailed(now: now)
        }
        self.tellWritten()
        self.watchRoom(now: now)
    }

    /// Outputs stop while the log is short of room, or while too many of them wait for it.
    func watchRoom(now: Timestamp) {
        let isShort = self.log.status.isShort || self.commits.bytes > Limits.Host.pendingOutputBytes
        guard isShort != self.commits.isShort else { return }
        self.commits.isShort = isShort
        self.engine.setLogShort(isShort, now: now)
        if !isShort {
            for held in self.commits.takeHeld() {
                self.append(held.outputs, of: held.delivery, now: now)
                self.engine.written(held.delivery)
            }
        }
        self.requestTurn()
    }
}

/// Whether a log answered before `submit` returned.
private final class CommitAnswer: @unchecked Sendable {
    // SAFETY: written and read on the loop's thread only; the completion checks that it is there.
    var isOnTheSpot = true
    var result: Result<LogReceipt, ApusError>?
}
