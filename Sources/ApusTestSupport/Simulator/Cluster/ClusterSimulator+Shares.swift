internal import ApusCore
internal import ApusEngine
internal import ApusLog

/// What a node does for its shares: the real machine decides.
extension ClusterSimulator {
    func event(_ node: Int, _ share: Int, _ event: Ownership.Event) throws(SimulationFailure) {
        if case .drained = event { try self.checkDrained(node, share) }
        let wasAssigned = self.nodes[node].shares[share].machine.isAssigned
        let actions = self.nodes[node].shares[share].machine.event(event, now: self.now)
        self.note("node \(node) share \(share): \(event) -> \(self.nodes[node].shares[share].machine.state)")
        for action in actions { try self.perform(node, share, action) }
        if let due = self.nodes[node].shares[share].machine.nextDue {
            self.schedule(node, .tick(share: share), after: due > self.now ? due - self.now : .zero)
        }
        // A revoke that was waited for.
        if wasAssigned, !self.nodes[node].shares[share].machine.isAssigned,
            self.nodes[node].shares[share].drainUntil != nil
        {
            self.nodes[node].shares[share].drainUntil = nil
            self.letGo(node, share)
        }
    }

    func tick(_ node: Int, _ share: Int) throws(SimulationFailure) {
        guard let due = self.nodes[node].shares[share].machine.nextDue, due <= self.now else { return }
        try self.event(node, share, .tick)
    }

    private func perform(_ node: Int, _ share: Int, _ action: Ownership.Action) throws(SimulationFailure) {
        switch action {
        case .initialise(let term):
            self.nodes[node].shares[share].epoch = nil
            guard self.fault != .skipsFence else {
                self.nodes[node].shares[share].epoch = self.logs[share].epoch
                return try self.event(node, share, .initialised(term: term))
            }
            self.request(node, share, .initialise)
        case .read: self.request(node, share, .read)
        case .release:
            self.nodes[node].shares[share].epoch = nil
            self.nodes[node].shares[share].isBusy = false
        case .announceWorking: self.open(node, share)
        case .announceDraining(let until):
            self.nodes[node].shares[share].isDraining = true
            self.nodes[node].shares[share].drainUntil = until
            self.nodes[node].engine.leave(LedgerGroup(rawValue: share), now: self.now)
            if self.fault == .forgetsDrain { try self.event(node, share, .drained) }
        case .announceStopped: try self.close(node, share)
        }
    }

    func lanes(of share: Int) -> [Int] { self.lanes.indices.filter { self.lanes[$0].share == share } }

    private func open(_ node: Int, _ share: Int) {
        self.report.takeOvers += 1
        self.nodes[node].shares[share].isOpen = true
        self.nodes[node].shares[share].isDraining = false
        self.nodes[node].shares[share].pending.begin(now: self.now)
        self.nodes[node].shares[share].openedAt = self.now
        for lane in self.lanes(of: share) {
            var state = LedgerState(watermark: 0)
            if let bytes = self.nodes[node].shares[share].read[lane] {
                guard let decoded = try? LedgerState(decoding: bytes) else {
                    preconditionFailure("the engine wrote a state it cannot read")
                }
                state = decoded
            }
            let known = self.lanes[lane]
            self.nodes[node].engine.open(
                self.setup.triggers[known.trigger].plan.trigger, partition: known.partition, state: state,
                bounds: self.topics[known.topic][known.partition].bounds, group: LedgerGroup(rawValue: share),
                now: self.now)
        }
    }

    /// From here on nothing of it is written: what was not is forgotten.
    private func close(_ node: Int, _ share: Int) throws(SimulationFailure) {
        self.nodes[node].shares[share].isOpen = false
        self.nodes[node].shares[share].isDraining = false
        self.nodes[node].engine.close(LedgerGroup(rawValue: share), now: self.now)
        self.nodes[node].shares[share].outputs = []
        self.nodes[node].shares[share].dropped = []
        self.nodes[node].shares[share].write = nil
        self.nodes[node].shares[share].pending.begin(now: self.now)
        self.nodes[node].shares[share].pendingDropped = []
        self.nodes[node].shares[share].droppedUnderWay = []
        self.nodes[node].shares[share].isBusy = false
    }

    /// What drains and has nothing left is let go; a node that is to end and owns nothing leaves.
    func lookAtDrains(_ node: Int) throws(SimulationFailure) {
        guard self.nodes[node].state == .running else { return }
        for share in self.nodes[node].shares.indices where self.nodes[node].shares[share].isDraining {
            guard self.nodes[node].engine.isQuiet(LedgerGroup(rawValue: share)),
                self.nodes[node].shares[share].write == nil, self.nodes[node].shares[share].outputs.isEmpty
            else { continue }
            guard self.nodes[node].shares[share].pending.isEmpty || self.fault == .forgetsPending else {
                self.send(node, share)
                continue
            }
            self.report.drained += 1
            try self.event(node, share, .drained)
        }
        if self.nodes[node].isStopping, !self.nodes[node].shares.contains(where: { $0.machine.isAssigned }) {
            self.schedule(.left(node: node, life: self.nodes[node].life), after: .milliseconds(5))
            self.die(node)
        }
    }

    // MARK: the brokers' answers

    func request(_ node: Int, _ share: Int, _ kind: ClusterRequest.Kind) {
        let known = self.nodes[node].shares[share]
        let request = ClusterRequest(
            node: node, life: self.nodes[node].life, share: share, term: known.machine.term, epoch: known.epoch ?? -1,
            sentAt: self.now, kind: kind)
        self.schedule(.arrives(request), after: self.random.span(milliseconds: 1...20))
    }

    func hear(_ request: ClusterRequest, _ answer: ClusterAnswer) throws(SimulationFailure) {
        let (node, share) = (request.node, request.share)
        if case .produce = request.kind {
            guard request.term == self.nodes[node].shares[share].machine.term else { return }
            if case .produced = answer { self.produced(node, share) } else { self.writeFailed(node, share) }
            return
        }
        let known = self.nodes[node].shares[share]
        guard request.term == known.machine.term, known.machine.isAssigned else { return }
        switch answer {
        case .initialised(let epoch):
            self.nodes[node].shares[share].epoch = epoch
            if known.isStolen { return try self.writeStolen(node, share) }
            try self.event(node, share, .initialised(term: request.term))
        case .ledger(let version, let states):
            self.nodes[node].shares[share].version = version
            self.nodes[node].shares[share].read = states
            try self.event(node, share, .ledgerRead(term: request.term))
        case .sent:
            guard known.isBusy, known.epoch == request.epoch else { return }
            self.request(node, share, .commit)
        case .committed:
            guard known.isBusy, known.epoch == request.epoch else { return }
            self.nodes[node].shares[share].isBusy = false
            self.nodes[node].shares[share].version += 1
            // A node that was stopped may hear of it long after: what counts is when it asked.
            try self.committed(node, share, askedAt: request.sentAt)
        case .aborted:
            guard known.isBusy, known.epoch == request.epoch else { return }
            self.nodes[node].shares[share].isBusy = false
            self.report.failedCommits += 1
            self.aborted(node, share)
        case .fenced, .unknown:
            if case .fenced = answer { self.report.fenced += 1 } else { self.report.unknownOutcomes += 1 }
            try self.event(node, share, .failed(term: request.term))
        case .produced, .notProduced: break
        }
    }

    // MARK: a node with a defect

    /// It was taken away, and the node makes itself its owner once more to write what it has.
    func steal(_ node: Int, _ share: Int) {
        self.nodes[node].shares[share].isStolen = true
        self.nodes[node].shares[share].isBusy = false
        self.request(node, share, .initialise)
    }

    private func writeStolen(_ node: Int, _ share: Int) throws(SimulationFailure) {
        if self.nodes[node].shares[share].write == nil { self.takeWrites(node, share) }
        guard self.nodes[node].shares[share].write != nil else {
            self.nodes[node].shares[share].isStolen = false
            return try self.event(node, share, .lost)
        }
        self.send(node, share)
    }
}
