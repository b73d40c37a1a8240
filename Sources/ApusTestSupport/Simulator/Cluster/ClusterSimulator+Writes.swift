internal import ApusCore
internal import ApusEngine
internal import ApusLog

/// A share's outputs and ledger on their way to the brokers: first what goes outside of transactions, then one transaction.
extension ClusterSimulator {
    func scheduleTake(_ node: Int, _ share: Int) {
        let known = self.nodes[node].shares[share]
        guard !known.isTakeScheduled, known.write == nil else { return }
        self.nodes[node].shares[share].isTakeScheduled = true
        self.schedule(node, .takeWrites(share: share), after: self.random.span(milliseconds: 0...50))
    }

    func takeWrites(_ node: Int, _ share: Int) {
        self.nodes[node].shares[share].isTakeScheduled = false
        guard self.nodes[node].shares[share].write == nil, self.nodes[node].shares[share].isOpen else { return }
        let entries = self.nodes[node].engine.takeLedgerWrites(of: LedgerGroup(rawValue: share))
        guard !entries.isEmpty else { return }
        var write = ClusterWrite()
        write.entries = entries
        for output in self.nodes[node].shares[share].outputs {
            if output.isLetter || self.setup.triggers[self.lanes[output.lane].trigger].isExactlyOnce {
                write.outputs.append(output)
            } else {
                write.plain.append(output)
            }
        }
        write.dropped = self.nodes[node].shares[share].dropped
        let known = self.nodes[node].shares[share]
        write.droppedBefore = known.pendingDropped + known.droppedUnderWay
        self.nodes[node].shares[share].outputs = []
        self.nodes[node].shares[share].dropped = []
        self.nodes[node].shares[share].write = write
        self.tryWrite(node, share)
    }

    /// Goes on with the write under way, as far as it can.
    func tryWrite(_ node: Int, _ share: Int) {
        let known = self.nodes[node].shares[share]
        guard let write = known.write, write.stage == .proving else { return }
        if write.plain.isEmpty || self.fault == .settlesFirst {
            self.produced(node, share)
        } else if !known.pending.mayHandOver(now: self.now), self.fault != .skipsProof {
            // A commit shows that the share is this node's still.
            self.send(node, share)
        } else {
            self.nodes[node].shares[share].write?.stage = .producing
            self.request(node, share, .produce(write))
        }
    }

    /// What goes outside of the transaction is on the log: the ledger follows, at once where something takes effect with it.
    func produced(_ node: Int, _ share: Int) {
        guard let write = self.nodes[node].shares[share].write, write.stage != .transacting else { return }
        let isTogether =
            !write.outputs.isEmpty
            || write.entries.contains { self.setup.triggers[Int($0.trigger.rawValue) - 100].isExactlyOnce }
        guard !isTogether, !self.nodes[node].shares[share].isStolen else {
            self.nodes[node].shares[share].write?.stage = .transacting
            return self.send(node, share)
        }
        for entry in write.entries {
            self.nodes[node].shares[share].pending.add(
                entry, of: self.lane(entry.trigger, entry.partition), now: self.now)
        }
        self.nodes[node].shares[share].pendingDropped += write.dropped
        self.nodes[node].shares[share].write = nil
        self.nodes[node].engine.ledgerCommitted(of: LedgerGroup(rawValue: share), now: self.now)
        self.scheduleFlush(node, share)
    }

    /// Nobody knows what of it is on the log: all of it goes again.
    func writeFailed(_ node: Int, _ share: Int) {
        guard let write = self.nodes[node].shares[share].write, write.stage == .producing else { return }
        self.troubledAt = self.now
        self.nodes[node].shares[share].write = nil
        self.nodes[node].shares[share].outputs = write.plain + write.outputs + self.nodes[node].shares[share].outputs
        self.nodes[node].shares[share].dropped = write.dropped + self.nodes[node].shares[share].dropped
        self.nodes[node].engine.ledgerFailed(of: LedgerGroup(rawValue: share), now: self.now)
    }

    // MARK: what follows its outputs

    private func scheduleFlush(_ node: Int, _ share: Int) {
        guard let due = self.nodes[node].shares[share].pending.due else { return }
        self.schedule(node, .flush(share: share), after: due > self.now ? due - self.now : .zero)
    }

    func flush(_ node: Int, _ share: Int) {
        guard self.nodes[node].shares[share].pending.isDue(now: self.now) else { return }
        self.send(node, share)
    }

    // MARK: transactions

    /// Begins one: with the write where that is due, with what is pending in any case, or with nothing, as a proof.
    func send(_ node: Int, _ share: Int) {
        let known = self.nodes[node].shares[share]
        guard known.isOpen, !known.isBusy, known.epoch != nil, known.write != nil || !known.pending.isEmpty else {
            return
        }
        let isProof = known.write.map { $0.stage != .transacting && !known.isStolen } ?? true
        var transaction = ShareTransaction(basedOn: known.version)
        var entries = self.nodes[node].shares[share].pending.take()
        transaction.dropped = known.pendingDropped
        self.nodes[node].shares[share].droppedUnderWay = known.pendingDropped
        self.nodes[node].shares[share].pendingDropped = []
        if !isProof, let write = known.write {
            for entry in write.entries { entries[self.lane(entry.trigger, entry.partition)] = entry }
            transaction.outputs = write.outputs
            transaction.dropped += write.dropped
        }
        transaction.entries = entries.sorted { $0.key < $1.key }.map(\.value)
        self.nodes[node].shares[share].isBusy = true
        self.nodes[node].shares[share].isProof = isProof
        self.request(node, share, .send(transaction))
    }

    func aborted(_ node: Int, _ share: Int) {
        self.nodes[node].shares[share].pending.failed(now: self.now)
        let dropped = self.nodes[node].shares[share].droppedUnderWay
        self.nodes[node].shares[share].droppedUnderWay = []
        self.nodes[node].shares[share].pendingDropped = dropped + self.nodes[node].shares[share].pendingDropped
        self.schedule(node, .resend(share: share), after: self.random.span(milliseconds: 20...500))
    }

    func resend(_ node: Int, _ share: Int) {
        if self.nodes[node].shares[share].write?.stage == .proving { self.tryWrite(node, share) } else {
            self.send(node, share)
        }
    }

    func committed(_ node: Int, _ share: Int, askedAt: Timestamp) throws(SimulationFailure) {
        self.nodes[node].shares[share].pending.committed(askedAt: askedAt)
        self.nodes[node].shares[share].droppedUnderWay = []
        self.scheduleFlush(node, share)
        if self.nodes[node].shares[share].isStolen {
            self.nodes[node].shares[share].isStolen = false
            return try self.event(node, share, .lost)
        }
        guard let write = self.nodes[node].shares[share].write else { return }
        if self.nodes[node].shares[share].isProof {
            if write.stage == .transacting { self.send(node, share) } else { self.tryWrite(node, share) }
            return
        }
        self.nodes[node].shares[share].write = nil
        self.nodes[node].engine.ledgerCommitted(of: LedgerGroup(rawValue: share), now: self.now)
        // What a broken node does in the wrong order.
        if self.fault == .settlesFirst, !write.plain.isEmpty { self.request(node, share, .produce(write)) }
    }
}
