internal import ApusCore
internal import ApusEngine
internal import ApusLog

/// What must hold, whatever happens to nodes, brokers and group.
extension ClusterSimulator {
    // MARK: who decides

    /// Whoever decides about a share has seen everything that was decided before: two nodes never both do.
    func checkKnowledge(_ transaction: ShareTransaction, _ request: ClusterRequest) throws(SimulationFailure) {
        let version = self.logs[request.share].version
        guard transaction.basedOn == version else {
            throw self.failure(
                "node \(request.node) decides about share \(request.share) knowing \(transaction.basedOn) of \(version) transactions"
            )
        }
    }

    /// At most one node works on a share with a producer that the brokers still take.
    func checkOwners() throws(SimulationFailure) {
        for share in self.logs.indices {
            let able = self.nodes.indices.filter {
                let known = self.nodes[$0].shares[share]
                return self.nodes[$0].state != .dead && known.isOpen && known.epoch == self.logs[share].epoch
            }
            guard able.count <= 1 else { throw self.failure("nodes \(able) all may decide about share \(share)") }
        }
    }

    /// Before its time is over nothing of a share that is let go runs, and nothing waits to be written.
    func checkDrained(_ node: Int, _ share: Int) throws(SimulationFailure) {
        let known = self.nodes[node].shares[share]
        let running = self.nodes[node].attempts.values.count {
            self.lanes[self.lane($0.delivery.trigger, $0.delivery.partition)].share == share
                && $0.term == known.machine.term
        }
        guard running == 0, known.outputs.isEmpty, known.write == nil, known.pending.isEmpty else {
            let left = "\(running) attempts, \(known.outputs.count) outputs and \(known.pending.entries.count) entries"
            throw self.failure(
                "node \(node) lets share \(share) go with \(left), before its time is over"
            )
        }
    }

    // MARK: the ledger

    /// A state settles what has an outcome on the log and nothing else, and never takes back what an earlier one said.
    func checkState(_ state: LedgerState, _ lane: Int, _ request: ClusterRequest) throws(SimulationFailure) {
        let model = self.lanes[lane]
        guard state.isWellFormed else { throw self.failure("the ledger state contradicts itself: \(state)") }
        guard state.watermark >= model.state.watermark else {
            throw self.failure(
                "lane \(lane): the position goes back from \(model.state.watermark) to \(state.watermark)")
        }
        for record in self.topics[model.topic][model.partition].records
        where self.setup.matches(record, model.trigger) {
            let delivery = model[record.offset]
            if state.settles(record.offset) {
                guard delivery.hasOutcome else {
                    throw self.failure("lane \(lane): \(record.offset) is settled and has no outcome: \(state)")
                }
                if self.lanes[lane][record.offset].settledAt == nil {
                    self.lanes[lane][record.offset].settledAt = self.logs[request.share].version
                }
            } else if model.state.settles(record.offset) {
                throw self.failure("lane \(lane): \(record.offset) was settled and is no more")
            }
        }
        for pending in model.state.pending where !state.settles(pending.offset) {
            let attempts = state.pending.first { $0.offset == pending.offset }?.attempts ?? 0
            guard attempts >= pending.attempts else {
                throw self.failure(
                    "lane \(lane): \(pending.offset) failed \(pending.attempts) times, and now \(attempts)")
            }
        }
    }

    /// What goes with its settling in one transaction is there once.
    func checkOnce(_ output: ClusterOutput, _ request: ClusterRequest) throws(SimulationFailure) {
        let offset = output.delivery.offset
        let isExactlyOnce = self.setup.triggers[self.lanes[output.lane].trigger].isExactlyOnce
        self.report.outputs += 1
        self.lanes[output.lane][offset].outputs += 1
        guard self.lanes[output.lane][offset].settledAt == nil else {
            throw self.failure("\(output.delivery) was settled twice")
        }
        // What was replied without a transaction may have been forgotten, and have another end the next time.
        guard !isExactlyOnce || self.lanes[output.lane][offset].outputs == 1 else {
            throw self.failure("\(output.delivery) is exactly once, and has its output twice")
        }
    }

    /// Only what is not settled comes again, and from a node that lost its share only for a moment.
    func checkRepeat(
        _ output: ClusterOutput, _ known: ClusterDelivery, _ request: ClusterRequest
    ) throws(SimulationFailure) {
        guard known.settledAt != nil else { return }
        let log = self.logs[self.lanes[output.lane].share]
        guard self.now <= log.takenOverAt + ClusterTimes.late else {
            throw self.failure(
                "\(output.delivery) was settled, and node \(request.node) replies again \((self.now - log.takenOverAt).milliseconds) ms after the take-over"
            )
        }
    }

    /// What is visible of one order key comes in the order of the log, whoever owned it.
    func checkOrder(
        _ output: ClusterOutput, with company: [ClusterOutput], dropped: [(lane: Int, offset: Offset)] = []
    ) throws(SimulationFailure) {
        let model = self.lanes[output.lane]
        let order = self.setup.triggers[model.trigger].plan.order
        let partition = self.topics[model.topic][model.partition]
        guard self.lanes[output.lane][output.delivery.offset].outputs == 1, order != .none,
            let record = partition.record(output.delivery.offset), order == .partition || record.key != 0
        else { return }
        for other in partition.records {
            guard other.offset < record.offset else { return }
            guard order == .partition || other.key == record.key, self.setup.matches(other, model.trigger) else {
                continue
            }
            let isWithIt =
                company.contains { $0.lane == output.lane && $0.delivery.offset == other.offset }
                || dropped.contains { $0.lane == output.lane && $0.offset == other.offset }
            guard model[other.offset].hasOutcome || isWithIt else {
                throw self.failure("\(output.delivery) has its outcome before \(other.offset) of its key")
            }
        }
    }

    // MARK: at a node

    func checkDispatch(_ node: Int, _ delivery: Delivery, _ dispatch: Dispatch) throws(SimulationFailure) {
        let lane = self.lanes[self.lane(delivery.trigger, delivery.partition)]
        let known = self.nodes[node].shares[lane.share]
        guard known.isOpen, !known.isDraining || self.fault != .none else {
            throw self.failure("node \(node) runs \(delivery), whose share is not its own")
        }
        if let settledAt = lane[delivery.offset].settledAt, settledAt <= known.version {
            throw self.failure("\(delivery) was settled, node \(node) knows it, and runs it again")
        }
        guard known.epoch == self.logs[lane.share].epoch else { return }
        let failed = lane.state.pending.first { $0.offset == delivery.offset }?.attempts ?? 0
        guard dispatch.attempt > failed else {
            throw self.failure("\(delivery) runs as attempt \(dispatch.attempt); the ledger knows of \(failed)")
        }
    }

    /// A node that dies in peace leaves no more to repeat than its last moment.
    func checkUnsettled(_ node: Int) throws(SimulationFailure) {
        guard self.nodes[node].state == .running, !self.isOutage, self.troubledAt + .seconds(20) < self.now else {
            return
        }
        for lane in self.lanes where self.nodes[node].shares[lane.share].machine.state == .working {
            for (offset, delivery) in lane.deliveries
            where delivery.outputs > 0 && delivery.settledAt == nil
                && delivery.landedAt >= self.nodes[node].shares[lane.share].openedAt
            {
                guard delivery.landedAt + ClusterTimes.unsettled >= self.now else {
                    throw self.failure(
                        "\(offset) has its reply for \((self.now - delivery.landedAt).milliseconds) ms and is not settled"
                    )
                }
            }
        }
    }

    // MARK: at the end

    /// Whether nothing is left to do; checked once faults have stopped.
    var isSettled: Bool {
        guard
            self.nodes.allSatisfy({
                $0.state == .running && $0.attempts.isEmpty && $0.shares.allSatisfy { $0.write == nil && $0.pending.isEmpty }
            })
        else {
            return false
        }
        for lane in self.lanes where lane.state.watermark < self.topics[lane.topic][lane.partition].end {
            return false
        }
        return self.logs.indices.allSatisfy { share in
            self.nodes.count { $0.shares[share].machine.state == .working } == 1
        }
    }

    func checkEnd() throws(SimulationFailure) {
        for (index, lane) in self.lanes.enumerated() {
            let partition = self.topics[lane.topic][lane.partition]
            for record in partition.records where self.setup.matches(record, lane.trigger) {
                guard lane[record.offset].hasOutcome else {
                    throw self.failure("lane \(index): \(record.offset) was lost")
                }
                guard lane.state.settles(record.offset) else {
                    throw self.failure("lane \(index): \(record.offset) never settled")
                }
            }
            guard lane.state.watermark == partition.end else {
                throw self.failure("lane \(index): the position is \(lane.state.watermark), the end \(partition.end)")
            }
        }
        for share in self.logs.indices {
            let owners = self.nodes.count { $0.shares[share].machine.state == .working }
            guard owners == 1 else { throw self.failure("share \(share) has \(owners) owners") }
        }
    }
}
