internal import ApusCore
internal import ApusEngine

/// Performs the engine's actions as a host does, and checks each against the model.
extension Simulator {
    func perform(_ action: EngineAction) throws(SimulationFailure) {
        switch action {
        case .fetch(let trigger, let partition, let from, let maxRecords):
            try self.fetch(trigger, partition, from: from, maxRecords: maxRecords)
        case .dispatch(let dispatch): try self.dispatch([dispatch], isBatch: false)
        case .dispatchBatch(let dispatches): try self.dispatch(dispatches, isBatch: true)
        case .start(let worker, let function, let generation): try self.start(worker, function, generation)
        case .stop(let worker): try self.stop(worker)
        case .cancel(let worker, let stream): try self.cancel(worker, stream)
        case .kill(let worker, _): try self.kill(worker)
        case .fail(let request, _): try self.answered(request)
        case .deadLetter(let delivery, let attempts, let failure): try self.deadLetter(delivery, attempts, failure)
        case .dropped(let delivery, _, _): try self.drop(delivery)
        case .ledgerDirty: self.scheduleTake()
        case .waits(let request, _):
            guard self.requests[request] != nil else { throw self.failure("\(request) waits and is not there") }
        case .demand, .occupied: throw self.failure("the pool was told of a function that is not its own")
        }
    }

    func lane(_ trigger: TriggerID, _ partition: Int) -> Int {
        self.setup.triggers[Int(trigger.rawValue) - 100].firstLane + partition
    }

    private func fetch(_ trigger: TriggerID, _ partition: Int, from: Offset, maxRecords: Int) throws(SimulationFailure)
    {
        let lane = self.lane(trigger, partition)
        self.lanes[lane].fetchesUnderWay += 1
        guard self.lanes[lane].fetchesUnderWay == 1 else {
            throw self.failure("two reads of one partition are under way")
        }
        guard maxRecords > 0 else { throw self.failure("a read of no records was asked for") }
        self.schedule(
            .fetchAnswer(
                trigger: Int(trigger.rawValue) - 100, partition: partition, from: from, maxRecords: maxRecords),
            after: self.random.span(milliseconds: 0...20)
        )
    }

    func answered(_ request: RequestID) throws(SimulationFailure) {
        guard let known = self.requests.removeValue(forKey: request) else {
            throw self.failure("\(request) was answered twice")
        }
        guard !known.isAbandoned else { throw self.failure("\(request) was answered after its caller had left") }
        self.report.answeredRequests += 1
    }

    // MARK: outcomes

    private func deadLetter(_ delivery: Delivery, _ attempts: Int, _ failure: Failure) throws(SimulationFailure) {
        let lane = self.lane(delivery.trigger, delivery.partition)
        if failure.code != .recordExpired, attempts != self.lanes[lane][delivery.offset].failed {
            throw self.failure(
                "\(delivery) is dead after \(attempts) attempts; \(self.lanes[lane][delivery.offset].failed) failed"
            )
        }
        if failure.code != .cancelled { try self.checkNotCancelled(delivery) }
        try self.decided(delivery)
    }

    /// The outcome is known: its output goes into the pending write, at once or a little later.
    func decided(_ delivery: Delivery) throws(SimulationFailure) {
        let lane = self.lane(delivery.trigger, delivery.partition)
        guard !self.lanes[lane][delivery.offset].isDecided else { throw self.failure("\(delivery) was decided twice") }
        guard self.lanes[lane][delivery.offset].running == nil else {
            throw self.failure("\(delivery) was decided while it runs")
        }
        self.lanes[lane][delivery.offset].isDecided = true
        if self.random.chance(0.3) {
            self.schedule(.written(delivery), after: self.random.span(milliseconds: 0...30))
        } else {
            self.hostWrites(delivery)
        }
    }

    func hostWrites(_ delivery: Delivery) {
        self.pendingOutputs.append(delivery)
        self.engine.written(delivery)
    }

    func drop(_ delivery: Delivery) throws(SimulationFailure) {
        let lane = self.lane(delivery.trigger, delivery.partition)
        guard !self.lanes[lane][delivery.offset].isDecided else { throw self.failure("\(delivery) was decided twice") }
        self.lanes[lane][delivery.offset].isDecided = true
        self.lanes[lane][delivery.offset].isDropped = true
    }

    // MARK: the ledger

    private func scheduleTake() {
        guard !self.isTakeScheduled, self.write == nil else { return }
        self.isTakeScheduled = true
        self.schedule(.takeWrites, after: self.random.span(milliseconds: 0...10))
    }

    func takeWrites() throws(SimulationFailure) {
        self.isTakeScheduled = false
        guard self.write == nil else { return }
        let entries = self.engine.takeLedgerWrites()
        guard !entries.isEmpty else { return }
        guard self.engine.takeLedgerWrites().isEmpty else { throw self.failure("two ledger writes are under way") }
        var write = SimulatedWrite(outputs: self.pendingOutputs, entries: entries)
        self.pendingOutputs = []
        for entry in entries {
            let lane = self.lane(entry.trigger, entry.partition)
            write.failed[lane] = self.lanes[lane].deliveries.compactMapValues { $0.failed > 0 ? $0.failed : nil }
            write.dropped[lane] = Set(self.lanes[lane].deliveries.filter { $0.value.isDropped }.keys)
            try self.checkPending(entry, lane)
        }
        self.write = write
        self.schedule(.commit, after: self.random.span(milliseconds: 0...30))
    }

    func commit() throws(SimulationFailure) {
        guard let write = self.write else { return }
        self.write = nil
        let isRefused = write.outputs.contains { self.withoutTopic.contains(self.trigger(of: $0)) }
        if self.isOutage || isRefused {
            self.report.failedWrites += 1
            self.pendingOutputs = write.outputs + self.pendingOutputs
            self.engine.ledgerFailed(now: self.now)
            if !self.isOutage { self.refuseOutputs() }
        } else {
            try self.makeDurable(write)
            self.engine.ledgerCommitted(now: self.now)
        }
    }

    private func trigger(of delivery: Delivery) -> Int { Int(delivery.trigger.rawValue) - 100 }

    /// As a host does whose log says that a topic is not there: what needs it is taken out, and all else is written.
    private func refuseOutputs() {
        let refused = self.pendingOutputs.filter { self.withoutTopic.contains(self.trigger(of: $0)) }
        self.pendingOutputs.removeAll { self.withoutTopic.contains(self.trigger(of: $0)) }
        for delivery in refused where self.engine.unwritten(delivery) {
            self.report.refusedOutputs += 1
            self.refusedOutputs[self.trigger(of: delivery), default: []].append(delivery)
            self.engine.setRefused(delivery.trigger, true, now: self.now)
        }
    }

    /// One transaction: outputs and ledger entries, all or none.
    func makeDurable(_ write: SimulatedWrite) throws(SimulationFailure) {
        for delivery in write.outputs {
            let lane = self.lane(delivery.trigger, delivery.partition)
            self.lanes[lane][delivery.offset].outputs += 1
            // The request is answered in the transaction that ends the invocation.
            if self.lanes[lane].cancels.remove(delivery.offset) != nil { self.report.cancellations += 1 }
            self.report.outputs += 1
            guard self.lanes[lane][delivery.offset].outputs == 1 else {
                throw self.failure("\(delivery) was settled twice")
            }
        }
        for entry in write.entries {
            let lane = self.lane(entry.trigger, entry.partition)
            self.log.ledger[lane] = entry.state.encode()
            for (offset, failed) in write.failed[lane] ?? [:] { self.lanes[lane][offset].durableFailed = failed }
            for offset in write.dropped[lane] ?? [] where entry.state.settles(offset) {
                self.lanes[lane][offset].isDurablyDropped = true
            }
            for event in entry.remembered {
                guard self.lanes[lane][event.offset].isDone else {
                    throw self.failure("lane \(lane): \(event.offset) is remembered and has no outcome")
                }
                self.log.remembered[lane, default: [:]][event.identity] = event
            }
            try self.checkState(entry.state, lane)
        }
    }
}

extension LedgerState {
    func settles(_ offset: Offset) -> Bool { offset < self.watermark || self.settled.contains { $0.contains(offset) } }
}
