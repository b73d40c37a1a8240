internal import ApusCore
internal import ApusEngine

/// What happens to the simulated server.
extension Simulator {
    func happen(_ event: Event) throws(SimulationFailure) {
        switch event {
        case .publish(let topic): self.publish(topic)
        case .retain: self.retain()
        case .outage(let isOn): self.isOutage = isOn && !self.isCalm
        case .logShort(let isOn): self.setLogShort(isOn && !self.isCalm)
        case .topicGone(let trigger, let isGone): self.setTopic(of: trigger, isGone: isGone && !self.isCalm)
        case .pause(let function, let isOn): self.pause(function, isOn && !self.isCalm)
        case .redeploy(let function): self.redeploy(function)
        case .remove(let function): self.remove(function)
        case .invoke(let function): try self.invoke(function)
        case .cancel(let topic): try self.cancelOne(topic)
        case .restart: try self.restart()
        case .calm: self.calm()
        case .grew(let topic, let partition): self.tellGrowth(topic, partition)
        case .fetchAnswer(let trigger, let partition, let from, let maxRecords):
            try self.answerFetch(trigger, partition, from: from, maxRecords: maxRecords)
        case .fetchAnswerAgain(let trigger, let partition, let records, let next):
            self.engine.fetched(trigger, partition: partition, records: records, next: next, now: self.now)
        case .abandon(let request): self.abandon(request)
        case .ready(let worker): self.workerReady(worker)
        case .startFails(let worker): try self.workerGone(worker, isStart: true)
        case .exit(let worker): try self.workerGone(worker, isStart: false)
        case .answer(let stream, let outcome, let blame): try self.answer(stream, outcome, blame)
        case .written(let delivery): self.hostWrites(delivery)
        case .takeWrites: try self.takeWrites()
        case .commit: try self.commit()
        }
    }

    // MARK: deployments

    func deployAll() {
        for (place, plan) in self.setup.plans.enumerated() where !self.removed.contains(place) {
            self.engine.apply(plan, now: self.now)
        }
        for (index, lane) in self.lanes.enumerated() where !self.isRemoved(lane) {
            var state = LedgerState(watermark: 0)
            if let bytes = self.log.ledger[index] {
                guard let decoded = try? LedgerState(decoding: bytes) else {
                    preconditionFailure("the engine wrote a state it cannot read")
                }
                state = decoded
            }
            let bounds = self.log.topics[lane.topic][lane.partition].bounds
            let trigger = self.setup.triggers[lane.trigger].plan.trigger
            self.engine.open(trigger, partition: lane.partition, state: state, bounds: bounds, now: self.now)
        }
        self.engine.setLogShort(self.isLogShort, now: self.now)
    }

    func isRemoved(_ lane: LaneModel) -> Bool { self.removed.contains(self.setup.triggers[lane.trigger].function) }

    private func remove(_ function: Int) {
        guard self.removed.insert(function).inserted else { return }
        self.engine.remove(self.setup.plans[function].function, now: self.now)
    }

    private func redeploy(_ function: Int) {
        guard !self.removed.contains(function) else { return }
        SimulationSetup.vary(&self.setup.plans[function], &self.random)
        self.setup.plans[function].generation += 1
        self.engine.apply(self.setup.plans[function], now: self.now)
    }

    private func pause(_ function: Int, _ isPaused: Bool) {
        guard !self.removed.contains(function) else { return }
        if self.random.chance(0.5) {
            self.setup.plans[function].isPaused = isPaused
        } else {
            let trigger = self.random.pick(0...self.setup.plans[function].triggers.count - 1)
            self.setup.plans[function].triggers[trigger].isPaused = isPaused
        }
        if !isPaused { self.resume(function) }
        self.engine.apply(self.setup.plans[function], now: self.now)
    }

    private func resume(_ function: Int) {
        self.setup.plans[function].isPaused = false
        for trigger in self.setup.plans[function].triggers.indices {
            self.setup.plans[function].triggers[trigger].isPaused = false
        }
    }

    private func setLogShort(_ isShort: Bool) {
        self.isLogShort = isShort
        self.engine.setLogShort(isShort, now: self.now)
    }

    /// What waited for the topic goes into the pending write when it is there again.
    private func setTopic(of trigger: Int, isGone: Bool) {
        guard isGone else {
            guard self.withoutTopic.remove(trigger) != nil else { return }
            for delivery in self.refusedOutputs.removeValue(forKey: trigger) ?? [] { self.hostWrites(delivery) }
            return self.engine.setRefused(self.setup.triggers[trigger].plan.trigger, false, now: self.now)
        }
        self.withoutTopic.insert(trigger)
    }

    /// From here on nothing fails any more: everything must settle.
    private func calm() {
        self.isCalm = true
        self.rates = .none
        self.isOutage = false
        self.setLogShort(false)
        for trigger in self.withoutTopic.sorted() { self.setTopic(of: trigger, isGone: false) }
        for function in self.setup.plans.indices where !self.removed.contains(function) {
            self.resume(function)
            self.engine.apply(self.setup.plans[function], now: self.now)
        }
    }

    /// The server dies: only the log is left. A write under way may have become durable without anyone being told.
    private func restart() throws(SimulationFailure) {
        self.report.restarts += 1
        if let write = self.write, self.random.chance(0.5), !self.isOutage { try self.makeDurable(write) }
        self.write = nil
        self.pendingOutputs = []
        self.refusedOutputs = [:]
        self.isTakeScheduled = false
        self.workers = [:]
        self.attempts = [:]
        self.requests = [:]
        self.batches = [:]
        self.batchSizes = [:]
        for lane in self.lanes.indices { self.lanes[lane].restart() }
        var world = BinaryHeap<Scheduled>()
        while let next = self.queue.popFirst() {
            switch next.event {
            case .publish, .retain, .outage, .logShort, .topicGone, .pause, .redeploy, .remove, .invoke, .cancel, .restart, .calm:
                world.insert(next)
            default: break
            }
        }
        self.queue = world
        self.engine = Engine(
            configuration: self.setup.configuration, seed: self.seed &+ UInt64(self.report.restarts), fault: self.fault)
        self.deployAll()
    }

    // MARK: the log

    private func publish(_ topic: Int) {
        let isCompacted = self.setup.topics[topic].isCompacted
        let burst = self.random.pick([1, 1, 3, 10])
        for _ in 0..<burst {
            let partition = self.random.pick(0...self.setup.topics[topic].partitions - 1)
            let key = isCompacted || self.random.chance(0.8) ? UInt64(self.random.pick(1...5)) : 0
            self.log.topics[topic][partition].append(
                key: key, bytes: self.random.pick(10...400), kind: self.random.pick(0...5),
                isPoison: self.random.chance(0.03), event: self.random.pick(0...40), appended: self.now,
                gap: self.random.chance(0.1) ? Int64(self.random.pick(1...1_000)) : 0, isCompacted: isCompacted
            )
            // A table's end is known at once, so that the model knows it as the engine does.
            if isCompacted { self.tellGrowth(topic, partition) }
        }
        for partition in 0..<self.setup.topics[topic].partitions where !isCompacted {
            self.schedule(.grew(topic: topic, partition: partition), after: self.random.span(milliseconds: 0...10))
        }
    }

    private func tellGrowth(_ topic: Int, _ partition: Int) {
        let end = self.log.topics[topic][partition].end
        for trigger in self.setup.triggers where trigger.topic == topic {
            self.engine.grew(trigger.plan.trigger, partition: partition, end: end, now: self.now)
        }
    }

    private func retain() {
        for topic in self.log.topics.indices
        where !self.setup.topics[topic].isCompacted && !self.setup.topics[topic].isQueue {
            for partition in self.log.topics[topic].indices where self.random.chance(0.3) {
                let bounds = self.log.topics[topic][partition].bounds
                guard bounds.end > bounds.start else { continue }
                let start = Offset.random(in: bounds.start...bounds.end, using: &self.random)
                self.log.topics[topic][partition].retain(from: start)
            }
        }
    }

    private func answerFetch(_ trigger: Int, _ partition: Int, from: Offset, maxRecords: Int) throws(SimulationFailure)
    {
        let (plan, topic) = (self.setup.triggers[trigger].plan, self.setup.triggers[trigger].topic)
        let lane = self.setup.triggers[trigger].firstLane + partition
        self.lanes[lane].fetchesUnderWay -= 1
        if self.isOutage || self.random.chance(self.rates.fetchFails) {
            self.engine.fetchFailed(plan.trigger, partition: partition, now: self.now)
            return
        }
        let read = self.log.topics[topic][partition].read(from: from, maxRecords: maxRecords)
        let records = read.records.map {
            RecordSummary(
                offset: $0.offset, keyHash: $0.key, bytes: $0.bytes, isMatch: self.setup.matches($0, trigger),
                appended: $0.appended, identity: self.identity(of: $0, plan),
                isDuplicate: plan.dedupWindow != nil && self.log.isRemembered($0, lane))
        }
        let ends = self.tableEnds(self.setup.triggers[trigger].function)
        for record in records where self.lanes[lane][record.offset].tableEnds.isEmpty {
            self.lanes[lane][record.offset].tableEnds = ends
        }
        self.engine.fetched(plan.trigger, partition: partition, records: records, next: read.next, now: self.now)
        for record in records where self.lanes[lane].cancels.contains(record.offset) {
            try self.cancel(lane, record.offset)
        }
        // The read of a table belongs to no position, so only a topic's answer may come again.
        if plan.kind == .topic, self.random.chance(self.rates.fetchTwice) {
            self.schedule(
                .fetchAnswerAgain(plan.trigger, partition: partition, records, next: read.next),
                after: self.random.span(milliseconds: 0...50)
            )
        }
        try self.checkBounds(lane)
    }

    private func identity(of record: SimulatedRecord, _ plan: TriggerPlan) -> EventIdentity? {
        plan.dedupWindow == nil ? nil : record.identity
    }

    /// The ends of a function's tables, by lane in the order of lanes.
    func tableEnds(_ function: Int) -> [Offset] {
        self.tables[function].map { self.log.topics[self.lanes[$0].topic][self.lanes[$0].partition].end }
    }

    // MARK: direct invocations

    private func invoke(_ function: Int) throws(SimulationFailure) {
        self.nextRequest += 1
        let request = RequestID(rawValue: self.nextRequest)
        self.requests[request] = SimulatedRequest(function: function, tableEnds: self.tableEnds(function))
        let deadline = self.random.chance(0.5) ? self.now + self.random.span(milliseconds: 0...3_000) : nil
        let id = self.setup.plans[function].function
        self.engine.invoke(request, function: id, bytes: self.random.pick(0...400), deadline: deadline, now: self.now)
        if self.random.chance(0.2) {
            self.schedule(.abandon(request), after: self.random.span(milliseconds: 0...1_000))
        }
    }

    private func abandon(_ request: RequestID) {
        guard self.requests[request] != nil else { return }
        self.requests[request]?.isAbandoned = true
        self.engine.abandon(request, now: self.now)
    }
}
