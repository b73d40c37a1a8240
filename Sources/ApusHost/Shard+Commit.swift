internal import ApusCore
internal import ApusEngine
internal import ApusLoop

extension Shard {
    /// Writes what the turn gathered, for each group of lanes: unless a write of it is under way or it may wait for company.
    func commit(now: Timestamp) {
        for group in self.commits.groups { self.commit(group, now: now) }
    }

    private func commit(_ group: LedgerGroup, now: Timestamp) {
        while self.commits[group].isDue(now: now, isIdle: self.engine.attemptsInFlight == 0) {
            let owner = self.held.owner(of: group)
            var keys: [LogBatch.KeyWrite] = []
            let entries = self.engine.takeLedgerWrites(of: group).compactMap { entry -> LogBatch.LedgerWrite? in
                guard let trigger = self.triggers[entry.trigger] else { return nil }
                let key = LedgerKey.key(prefix: trigger.ledgerPrefix, partition: entry.partition)
                keys += Deduplication.keys(entry.remembered, now: now)
                if self.log.rebuildsKeys, let dedup = trigger.dedup(partition: entry.partition) {
                    keys.append(dedup.mark(entry.state.watermark, now: now))
                }
                return LogBatch.LedgerWrite(
                    key: key, value: entry.state.encode(), share: owner?.share, outputs: trigger.trigger.outputs,
                    position: trigger.position(entry.partition, entry.state.watermark))
            }
            guard let batch = self.commits[group].begin(entries, keys: keys, owner: owner, now: now) else {
                // The engine's changes were of triggers that are gone.
                self.engine.ledgerCommitted(of: group, now: now)
                return
            }
            self.settlementsBegin(group)
            let answer = CommitAnswer()
            let epoch = self.commits.epoch(of: group)
            self.log.submit(batch) { [loop = self.loop, weak self] result in
                // A log in memory answers on the spot; the answer is then taken below, without a detour.
                if loop.isCurrent, answer.isOnTheSpot {
                    answer.result = result
                } else {
                    loop.post { [weak self] in self?.committed(group, epoch, result) }
                }
            }
            answer.isOnTheSpot = false
            guard let result = answer.result else { return }
            self.settle(group, result, now: now)
        }
    }

    private func committed(_ group: LedgerGroup, _ epoch: Int, _ result: Result<LogReceipt, ApusError>) {
        // Another may own the group by now: what it says of the ledger counts.
        guard !self.isClosed, epoch == self.commits.epoch(of: group) else { return }
        self.settle(group, result, now: self.now)
        self.requestTurn()
    }

    private func settle(_ group: LedgerGroup, _ result: Result<LogReceipt, ApusError>, now: Timestamp) {
        switch result {
        case .success:
            self.statistics.commits += 1
            if let since = self.commits[group].inFlightSince { self.statistics.committing.record(now - since) }
            let ended = self.commits[group].succeeded()
            if self.writeFailure != nil { self.writeFailure = nil }
            if !self.unwrittenDeadLetters.isEmpty { self.unwrittenDeadLetters = [] }
            self.engine.ledgerCommitted(of: group, now: now)
            for (trigger, count) in ended { self.invocationsEnded(trigger, count, now: now) }
            self.settlementsEnd(group, now: now)
            self.letGo(group, now: now)
        case .failure(let error):
            self.statistics.commitsFailed += 1
            // Of a share that is held no more nothing is tried again.
            if let owner = self.held.owner(of: group), self.held.term(of: owner.share) == nil {
                self.commits.reset(group)
                break
            }
            self.writeFailure = error
            self.commits[group].failed(now: now)
            self.engine.ledgerFailed(of: group, now: now)
            if error.code == .topicNotFound { self.refuseOutputs(of: group, now: now) }
        }
        self.tellWritten()
        self.watchRoom(now: now)
    }

    /// What was held joins the next write, as far as that takes it.
    private func letGo(_ group: LedgerGroup, now: Timestamp) {
        guard !self.commits.isShort, !self.commits[group].held.isEmpty else { return }
        for held in self.commits[group].takeHeld() {
            guard !self.commits.isFull(group) else {
                self.commits[group].hold(held.delivery, held.outputs)
                continue
            }
            self.append(held.outputs, of: held.delivery, now: now)
            self.engine.written(held.delivery)
        }
    }

    /// Outputs stop while the log is short of room, or while too many of them wait for it.
    func watchRoom(now: Timestamp) {
        let isShort = self.log.status.isShort || self.commits.bytes > Limits.Host.pendingOutputBytes
        guard isShort != self.commits.isShort else { return }
        self.commits.isShort = isShort
        self.engine.setLogShort(isShort, now: now)
        if !isShort {
            for group in self.commits.groups { self.letGo(group, now: now) }
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
