internal import ApusCore
internal import ApusEngine

/// The brokers: transactional ids with their epochs, the ledger, and what is visible of outputs.
extension ClusterSimulator {
    func arrive(_ request: ClusterRequest) throws(SimulationFailure) {
        let sender = self.nodes[request.node]
        let isAlive = sender.life == request.life && sender.state != .dead
        if self.isOutage {
            // What its sender does not try again is gone with it.
            if isAlive { self.schedule(.arrives(request), after: self.random.span(milliseconds: 50...300)) }
            return
        }
        // A process that is stopped may have it still.
        if isAlive, sender.state == .paused, self.random.chance(0.5) {
            self.nodes[request.node].held.append(.arrives(request))
            return
        }
        switch request.kind {
        case .initialise: self.initialise(request)
        case .read:
            // Reading to the end waits until whatever is open is decided.
            guard self.logs[request.share].open == nil else {
                self.schedule(.arrives(request), after: .milliseconds(20))
                return
            }
            let log = self.logs[request.share]
            self.answer(request, .ledger(version: log.version, states: log.states))
        case .send(let transaction): self.send(request, transaction)
        case .commit: try self.commit(request)
        case .produce(let write):
            guard request.sentAt + ClusterTimes.proof >= self.now else { return self.answer(request, .notProduced) }
            try self.land(write, by: request)
            // Its answer may be lost.
            self.answer(request, self.random.chance(self.faults.unknown / 2) ? .notProduced : .produced)
        }
    }

    private func answer(_ request: ClusterRequest, _ answer: ClusterAnswer) {
        self.schedule(.hears(request, answer), after: self.random.span(milliseconds: 1...20))
    }

    /// Who asks has the id from here on; what the one before left open is undone.
    private func initialise(_ request: ClusterRequest) {
        self.logs[request.share].epoch += 1
        self.logs[request.share].open = nil
        self.logs[request.share].takenOverAt = self.now
        self.answer(request, .initialised(epoch: self.logs[request.share].epoch))
    }

    private func send(_ request: ClusterRequest, _ transaction: ShareTransaction) {
        guard request.epoch == self.logs[request.share].epoch else { return self.answer(request, .fenced) }
        guard !self.areLettersDown || !transaction.outputs.contains(where: \.isLetter) else {
            self.troubledAt = self.now
            return self.answer(request, .aborted)
        }
        self.logs[request.share].open = transaction
        self.logs[request.share].openedAt = self.now
        self.answer(request, .sent)
    }

    private func commit(_ request: ClusterRequest) throws(SimulationFailure) {
        guard request.epoch == self.logs[request.share].epoch, let open = self.logs[request.share].open else {
            return self.answer(request, .fenced)
        }
        if self.doCommitsFail {
            self.troubledAt = self.now
            self.logs[request.share].open = nil
            return self.answer(request, .aborted)
        }
        if self.random.chance(self.faults.unknown) {
            self.troubledAt = self.now
            if self.random.chance(0.5) { try self.apply(open, request) }
            return self.answer(request, .unknown)
        }
        try self.apply(open, request)
        self.answer(request, .committed)
    }

    /// Transactions that nobody ends are ended, and their writer with them.
    func expireTransactions() {
        for share in self.logs.indices {
            guard self.logs[share].open != nil, self.logs[share].openedAt + ClusterTimes.transaction < self.now else {
                continue
            }
            self.logs[share].open = nil
            self.logs[share].epoch += 1
        }
    }

    /// One transaction becomes visible, all of it.
    private func apply(_ transaction: ShareTransaction, _ request: ClusterRequest) throws(SimulationFailure) {
        let share = request.share
        self.report.transactions += 1
        try self.checkKnowledge(transaction, request)
        self.logs[share].open = nil
        self.logs[share].version += 1
        for (lane, offset) in transaction.dropped { self.lanes[lane][offset].isDropped = true }
        for output in transaction.outputs { try self.checkOnce(output, request) }
        for output in transaction.outputs { try self.checkOrder(output, with: transaction.outputs) }
        for entry in transaction.entries {
            let lane = self.lane(entry.trigger, entry.partition)
            try self.checkState(entry.state, lane, request)
            self.logs[share].states[lane] = entry.state.encode()
            self.lanes[lane].state = entry.state
            for offset in self.lanes[lane].deliveries.keys
            where self.lanes[lane][offset].settledAt == nil && entry.state.settles(offset) {
                self.lanes[lane][offset].settledAt = self.logs[share].version
            }
        }
        for output in transaction.outputs where self.lanes[output.lane][output.delivery.offset].settledAt == nil {
            throw self.failure("\(output.delivery) has its output in a transaction that does not settle it")
        }
    }

    /// Outputs outside of transactions: visible at once.
    private func land(_ write: ClusterWrite, by request: ClusterRequest) throws(SimulationFailure) {
        let company = write.plain + write.outputs
        for output in write.plain {
            let offset = output.delivery.offset
            let known = self.lanes[output.lane][offset]
            if known.outputs > 0 {
                self.report.repeats += 1
                try self.checkRepeat(output, known, request)
            }
            self.report.outputs += 1
            self.lanes[output.lane][offset].outputs += 1
            if known.outputs == 0 {
                self.lanes[output.lane][offset].landedAt = self.now
                try self.checkOrder(output, with: company, dropped: write.dropped + write.droppedBefore)
            }
        }
    }
}
