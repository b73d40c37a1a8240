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
        self.nodes[node].shares[share].outputs = []
        self.nodes[node].shares[share].dropped = []
        self.nodes[node].shares[share].write = write
        self.tryWrite(node, share)
    }

    /// Goes on with the write under way, as far as it can.
    func tryWrite(_ node: Int, _ share: Int) {
        let known = self.nodes[node].shares[share]
        guard let write = known.write, write.stage == .proving else { return }
        if write.plain.isEmpty {
            self.produced(node, share)
        } else if known.committedAt + ClusterTimes.proof <= self.now {
            // A commit shows that the share is this node's still.
            self.send(node, share)
        } else {
            self.nodes[node].shares[share].write?.stage = .producing
            self.request(node, share, .produce(write))
        }
    }

    /// What goes outside of the transaction is on the log: the ledger follows.
    func produced(_ node: Int, _ share: Int) {
        guard let write = self.nodes[node].shares[share].write, write.stage != .transacting else { return }
        self.nodes[node].shares[share].write?.stage = .transacting
        self.send(node, share)
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

    /// Begins a transaction: with the write, or with nothing, as a proof.
    func send(_ node: Int, _ share: Int) {
        let known = self.nodes[node].shares[share]
        guard known.isOpen, !known.isBusy, known.epoch != nil, let write = known.write else { return }
        let isProof = write.stage != .transacting && !known.isStolen
        var transaction = ShareTransaction(basedOn: known.version)
        if !isProof {
            transaction.entries = write.entries
            transaction.outputs = write.outputs
            transaction.dropped = write.dropped
        }
        self.nodes[node].shares[share].isBusy = true
        self.nodes[node].shares[share].isProof = isProof
        self.request(node, share, .send(transaction))
    }

    func resend(_ node: Int, _ share: Int) {
        guard let write = self.nodes[node].shares[share].write else { return }
        if write.stage == .proving { self.tryWrite(node, share) } else { self.send(node, share) }
    }

    func committed(_ node: Int, _ share: Int) throws(SimulationFailure) {
        guard let write = self.nodes[node].shares[share].write else { return }
        if self.nodes[node].shares[share].isStolen {
            self.nodes[node].shares[share].isStolen = false
            return try self.event(node, share, .lost)
        }
        if self.nodes[node].shares[share].isProof {
            if write.stage == .transacting { self.send(node, share) } else { self.tryWrite(node, share) }
            return
        }
        self.nodes[node].shares[share].write = nil
        self.nodes[node].engine.ledgerCommitted(of: LedgerGroup(rawValue: share), now: self.now)
    }
}
