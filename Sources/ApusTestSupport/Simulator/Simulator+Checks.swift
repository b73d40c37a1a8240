internal import ApusCore
internal import ApusEngine

/// What must hold.
extension Simulator {
    // MARK: at dispatch

    func checkDispatch(_ dispatch: Dispatch, _ worker: SimulatedWorker) throws(SimulationFailure) {
        let plan = self.setup.plans[worker.function]
        guard !plan.isPaused else { throw self.failure("work of a paused function was dispatched") }
        guard !self.removed.contains(worker.function) else {
            throw self.failure("work of a deleted function was dispatched")
        }
        guard dispatch.deadline > self.now else { throw self.failure("work was dispatched past its deadline") }
        switch dispatch.work {
        case .delivery(let delivery): try self.checkDelivery(delivery, dispatch, worker)
        case .request(let request):
            guard let known = self.requests[request], known.function == worker.function else {
                throw self.failure("a request was dispatched that does not wait")
            }
            try self.checkFed(known.tableEnds, worker)
        case .tableRecord: throw self.failure("a table record came as work")
        }
    }

    private func checkDelivery(_ delivery: Delivery, _ dispatch: Dispatch, _ worker: SimulatedWorker)
        throws(SimulationFailure)
    {
        let lane = self.lane(delivery.trigger, delivery.partition)
        let trigger = self.setup.triggers[self.lanes[lane].trigger]
        let model = self.lanes[lane][delivery.offset]
        let plan = self.setup.plans[trigger.function].triggers.first { $0.trigger == delivery.trigger }
        guard trigger.function == worker.function else { throw self.failure("\(delivery) went to another function") }
        guard plan?.isPaused == false else { throw self.failure("\(delivery) of a paused trigger was dispatched") }
        guard !(self.isLogShort && trigger.plan.hasOutputs) else {
            throw self.failure("\(delivery) was dispatched while the log is short")
        }
        guard self.refusedOutputs[self.lanes[lane].trigger]?.isEmpty ?? true else {
            throw self.failure("\(delivery) was dispatched while outputs of its trigger wait for a topic")
        }
        guard let record = self.log.topics[trigger.topic][delivery.partition].record(delivery.offset) else {
            throw self.failure("\(delivery) was dispatched and does not exist")
        }
        guard self.setup.matches(record, self.lanes[lane].trigger) else {
            throw self.failure("\(delivery) does not match and was dispatched")
        }
        guard model.running == nil else { throw self.failure("two attempts of \(delivery) run at once") }
        guard !model.isDone else { throw self.failure("\(delivery) was settled and runs again") }
        guard !model.isDecided else { throw self.failure("\(delivery) was decided and runs again") }
        guard dispatch.attempt == model.failed + 1 else {
            throw self.failure("\(delivery) runs as attempt \(dispatch.attempt); \(model.failed) failed before")
        }
        self.lanes[lane][delivery.offset].running = dispatch.stream.rawValue
        try self.checkOrder(delivery, record, lane, trigger.plan.order)
        try self.checkFed(model.tableEnds, worker)
    }

    /// Nothing of the same order key that is older may be undecided.
    private func checkOrder(
        _ delivery: Delivery, _ record: SimulatedRecord, _ lane: Int, _ order: DeliveryOrder
    ) throws(SimulationFailure) {
        guard order == .partition || (order == .key && record.key != 0) else { return }
        let model = self.lanes[lane]
        for other in self.log.topics[model.topic][model.partition].records {
            guard other.offset < delivery.offset else { return }
            guard order == .partition || other.key == record.key, !other.isGone else { continue }
            guard self.setup.matches(other, model.trigger) else { continue }
            let earlier = model[other.offset]
            guard earlier.isDecided || earlier.isDone || self.isRepetition(other, lane) else {
                throw self.failure("\(delivery) runs before \(other.offset) of its key is decided")
            }
        }
    }

    /// The worker has every table record that there was when the work arrived, as far as it is there still.
    private func checkFed(_ ends: [Offset], _ worker: SimulatedWorker) throws(SimulationFailure) {
        for (lane, end) in zip(self.tables[worker.function], ends) {
            let model = self.lanes[lane]
            for record in self.log.topics[model.topic][model.partition].records
            where record.offset < end && !record.isGone {
                guard worker.taken[lane]?.contains(record.offset) ?? false else {
                    throw self.failure("work was dispatched before record \(record.offset) of a table was fed")
                }
            }
        }
    }

    func checkBatch(_ dispatches: [Dispatch], _ function: Int) throws(SimulationFailure) {
        guard let batch = self.setup.plans[function].batch else {
            throw self.failure("a batch for a function without batches")
        }
        guard dispatches.count <= batch.maxSize else {
            throw self.failure("a batch of \(dispatches.count); at most \(batch.maxSize)")
        }
        var bytes = 0
        for dispatch in dispatches {
            guard case .delivery(let delivery) = dispatch.work else { continue }
            let batchMax = self.lanes[self.lane(delivery.trigger, delivery.partition)][delivery.offset].batchMax
            guard dispatches.count <= batchMax else {
                throw self.failure(
                    "\(delivery) runs in a batch of \(dispatches.count) after one of twice \(batchMax) failed")
            }
            let topic = self.lanes[self.lane(delivery.trigger, delivery.partition)].topic
            // What is gone by now is not in the frame.
            guard let record = self.log.topics[topic][delivery.partition].record(delivery.offset), !record.isGone else {
                continue
            }
            bytes += record.bytes
        }
        guard bytes <= batch.maxBytes || dispatches.count == 1 else {
            throw self.failure("a batch of \(bytes) bytes; at most \(batch.maxBytes)")
        }
    }

    /// Whether an event of the same identity came before it on its partition, within the trigger's window: it need not run then.
    func isRepetition(_ record: SimulatedRecord, _ lane: Int) -> Bool {
        let model = self.lanes[lane]
        guard let window = self.setup.triggers[model.trigger].plan.dedupWindow else { return false }
        return self.log.topics[model.topic][model.partition].records.contains { other in
            other.offset < record.offset && other.event == record.event && self.setup.matches(other, model.trigger)
                && record.appended <= other.appended + window
        }
    }

    func checkBounds(_ lane: Int) throws(SimulationFailure) {
        let trigger = self.setup.triggers[self.lanes[lane].trigger].plan.trigger
        let unsettled = self.engine.status(of: trigger)?.unsettledMax ?? 0
        guard unsettled <= self.setup.configuration.unsettledPerPartition else {
            throw self.failure(
                "\(unsettled) are unsettled; at most \(self.setup.configuration.unsettledPerPartition) may be"
            )
        }
    }

    // MARK: at an outcome

    func checkVerdict(
        _ delivery: Delivery, _ attempts: Int, _ attempt: SimulatedAttempt, _ outcome: AttemptOutcome
    ) throws(SimulationFailure) {
        guard attempt.work == .delivery(delivery) else { throw self.failure("an outcome counts for another delivery") }
        guard !attempt.isCancelled else { throw self.failure("an outcome of \(delivery) past its deadline counts") }
        let failed = self.lanes[self.lane(delivery.trigger, delivery.partition)][delivery.offset].failed
        let expected = outcome == .succeeded ? failed + 1 : failed
        guard attempts == expected else {
            throw self.failure("\(delivery) had \(expected) attempts; the engine counts \(attempts)")
        }
    }

    func checkIgnored(_ attempt: SimulatedAttempt, _ outcome: AttemptOutcome) throws(SimulationFailure) {
        if attempt.isCancelled { return }
        if let worker = self.workers[attempt.worker], self.removed.contains(worker.function) { return }
        if case .tableRecord = attempt.work, outcome != .succeeded { return }
        throw self.failure("an outcome was ignored that counts: \(attempt.work)")
    }

    // MARK: at a write

    /// Every delivery that failed and is not settled is in the state with its attempts.
    func checkPending(_ entry: LedgerEntry, _ lane: Int) throws(SimulationFailure) {
        var counts: [Offset: Int] = [:]
        for pending in entry.state.pending { counts[pending.offset] = pending.attempts }
        for (offset, model) in self.lanes[lane].deliveries where model.failed > 0 && !entry.state.settles(offset) {
            guard counts[offset] == model.failed else {
                throw self.failure(
                    "the ledger says \(counts[offset] ?? 0) attempts of \(offset) failed; \(model.failed) did")
            }
        }
    }

    /// A durable state settles what has an outcome on the log, and nothing else.
    func checkState(_ state: LedgerState, _ lane: Int) throws(SimulationFailure) {
        let model = self.lanes[lane]
        guard state.isWellFormed else { throw self.failure("the ledger state contradicts itself: \(state)") }
        for record in self.log.topics[model.topic][model.partition].records
        where self.setup.matches(record, model.trigger) {
            let delivery = model[record.offset]
            if state.settles(record.offset) {
                guard delivery.isDone || record.isGone || self.isRepetition(record, lane) else {
                    throw self.failure("lane \(lane): \(record.offset) is settled and has no outcome: \(state)")
                }
            } else if delivery.outputs > 0 {
                throw self.failure(
                    "lane \(lane): \(record.offset) has its outcome on the log and is not settled: \(state)")
            }
        }
    }

    // MARK: at the end

    /// Faults have stopped long ago: nothing may be left.
    func checkEnd() throws(SimulationFailure) {
        for (index, lane) in self.lanes.enumerated()
        where self.setup.triggers[lane.trigger].plan.kind == .topic && !self.isRemoved(lane) {
            let partition = self.log.topics[lane.topic][lane.partition]
            for record in partition.records where !record.isGone && self.setup.matches(record, lane.trigger) {
                guard lane[record.offset].isDone || self.isRepetition(record, index) else {
                    throw self.failure("lane \(index): \(record.offset) never settled")
                }
            }
            let trigger = self.setup.triggers[lane.trigger].plan.trigger
            guard let watermark = self.engine.watermark(of: trigger, partition: lane.partition),
                watermark == partition.end
            else {
                throw self.failure(
                    "lane \(index): everything settled, but the watermark is not at the end \(partition.end)")
            }
        }
        let waiting = self.requests.filter { !$0.value.isAbandoned }
        guard waiting.isEmpty else { throw self.failure("\(waiting.count) callers were never answered") }
        guard self.engine.attemptsInFlight == 0 else {
            throw self.failure("\(self.engine.attemptsInFlight) attempts never ended")
        }
        for (place, plan) in self.setup.plans.enumerated() {
            let alive = self.workers.values.count { $0.function == place }
            guard alive <= (self.removed.contains(place) ? 0 : plan.scale.min) else {
                throw self.failure("\(alive) workers are left idle; \(plan.scale.min) may be")
            }
        }
    }
}

extension LedgerState {
    /// Ranges ascend, are not empty, do not touch, and lie above the watermark; pending ones ascend and are not
    /// settled.
    var isWellFormed: Bool {
        var before = self.watermark
        for range in self.settled {
            guard range.lowerBound > before, !range.isEmpty else { return false }
            before = range.upperBound
        }
        var last: Offset = -1
        for pending in self.pending {
            guard pending.offset > last, pending.offset >= self.watermark, !self.settles(pending.offset) else {
                return false
            }
            last = pending.offset
        }
        return true
    }
}
