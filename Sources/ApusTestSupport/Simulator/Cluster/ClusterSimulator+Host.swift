internal import ApusCore
internal import ApusEngine
internal import ApusLog

/// Performs an engine's actions as its host does: reads, workers, outcomes.
extension ClusterSimulator {
    func lane(_ trigger: TriggerID, _ partition: Int) -> Int {
        self.setup.triggers[Int(trigger.rawValue) - 100].firstLane + partition
    }

    func perform(_ node: Int) throws(SimulationFailure) {
        var actions: [EngineAction] = []
        for _ in 0..<10_000 {
            self.nodes[node].engine.takeActions(into: &actions)
            if actions.isEmpty { return }
            for action in actions {
                self.note("node \(node) \(action)")
                try self.perform(node, action)
            }
        }
        throw self.failure("the engine's actions cause each other without end")
    }

    private func perform(_ node: Int, _ action: EngineAction) throws(SimulationFailure) {
        switch action {
        case .fetch(let trigger, let partition, let from, let maxRecords):
            self.schedule(
                node, .fetchAnswer(lane: self.lane(trigger, partition), from: from, maxRecords: maxRecords),
                after: self.random.span(milliseconds: 0...20))
        case .dispatch(let dispatch): try self.dispatch(node, [dispatch])
        case .dispatchBatch(let dispatches): try self.dispatch(node, dispatches)
        case .start(let worker, let function, _):
            let plan = self.setup.plans[Int(function.rawValue) - 1]
            self.nodes[node].workers[worker] = ClusterNode.Worker(
                function: Int(function.rawValue) - 1, isBatched: plan.batch != nil, concurrency: plan.concurrency)
            self.schedule(node, .ready(worker), after: self.random.span(milliseconds: 1...200))
        case .stop(let worker), .kill(let worker, _):
            self.nodes[node].workers[worker]?.isKilled = true
            self.schedule(node, .exit(worker), after: self.random.span(milliseconds: 0...50))
        case .cancel(_, let stream):
            guard self.random.chance(0.5) else { return }
            let outcome = AttemptOutcome.failed(Failure(.cancelled, "cancelled"), retryAfter: nil)
            self.schedule(node, .answer(stream, outcome), after: self.random.span(milliseconds: 0...50))
        case .fail, .waits: throw self.failure("a caller was answered, and nobody called")
        case .demand, .occupied: throw self.failure("the pool was told of a function that is not its own")
        case .deadLetter(let delivery, _, _): self.output(node, delivery, isLetter: true)
        case .dropped(let delivery, _, _): self.drop(node, delivery)
        case .ledgerDirty(let group): self.scheduleTake(node, group.rawValue)
        }
    }

    func happen(_ node: Int, _ event: NodeEvent) throws(SimulationFailure) {
        switch event {
        case .beat:
            self.schedule(node, .beat, after: ClusterTimes.heartbeat)
            guard !self.nodes[node].isStopping else { return }
            self.schedule(
                .heartbeat(node: node, life: self.nodes[node].life), after: self.random.span(milliseconds: 1...20))
        case .tick(let share): try self.tick(node, share)
        case .grew(let topic, let partition): self.grew(node, topic, partition)
        case .fetchAnswer(let lane, let from, let maxRecords): self.answerFetch(node, lane, from, maxRecords)
        case .ready(let worker):
            guard let known = self.nodes[node].workers[worker], !known.isKilled else { return }
            self.nodes[node].engine.workerReady(worker, now: self.now)
            self.nodes[node].engine.credit(worker, known.concurrency, now: self.now)
        case .exit(let worker): self.exit(node, worker)
        case .answer(let stream, let outcome): self.answer(node, stream, outcome)
        case .takeWrites(let share): self.takeWrites(node, share)
        case .tryWrite(let share): self.tryWrite(node, share)
        case .resend(let share): self.resend(node, share)
        case .flush(let share): self.flush(node, share)
        }
    }

    // MARK: reading

    private func grew(_ node: Int, _ topic: Int, _ partition: Int) {
        let end = self.topics[topic][partition].end
        for trigger in self.setup.triggers where trigger.topic == topic {
            self.nodes[node].engine.grew(trigger.plan.trigger, partition: partition, end: end, now: self.now)
        }
    }

    private func answerFetch(_ node: Int, _ lane: Int, _ from: Offset, _ maxRecords: Int) {
        let known = self.lanes[lane]
        let trigger = self.setup.triggers[known.trigger].plan.trigger
        if self.isOutage || self.random.chance(self.faults.fetchFails) {
            self.nodes[node].engine.fetchFailed(trigger, partition: known.partition, now: self.now)
            return
        }
        let read = self.topics[known.topic][known.partition].read(from: from, maxRecords: maxRecords)
        let records = read.records.map {
            RecordSummary(
                offset: $0.offset, keyHash: $0.key, bytes: $0.bytes, isMatch: self.setup.matches($0, known.trigger))
        }
        self.nodes[node].engine.fetched(
            trigger, partition: known.partition, from: from, records: records, next: read.next, now: self.now)
    }

    // MARK: workers

    private func dispatch(_ node: Int, _ dispatches: [Dispatch]) throws(SimulationFailure) {
        for dispatch in dispatches {
            guard case .delivery(let delivery) = dispatch.work else { throw self.failure("no delivery was dispatched") }
            self.report.dispatches += 1
            try self.checkDispatch(node, delivery, dispatch)
            let share = self.lanes[self.lane(delivery.trigger, delivery.partition)].share
            self.nodes[node].attempts[dispatch.stream.rawValue] = ClusterNode.Attempt(
                worker: dispatch.worker, delivery: delivery, term: self.nodes[node].shares[share].machine.term)
            self.nodes[node].workers[dispatch.worker]?.attempts.insert(dispatch.stream.rawValue)
            self.run(node, dispatch, delivery)
        }
    }

    /// What the handler does with it.
    private func run(_ node: Int, _ dispatch: Dispatch, _ delivery: Delivery) {
        let lane = self.lanes[self.lane(delivery.trigger, delivery.partition)]
        let isPoison = self.topics[lane.topic][lane.partition].record(delivery.offset)?.isPoison ?? false
        if self.random.chance(self.faults.hang) { return }
        if self.random.chance(self.faults.crash) {
            self.report.workerCrashes += 1
            self.schedule(node, .exit(dispatch.worker), after: self.random.span(milliseconds: 0...100))
            return
        }
        var outcome = AttemptOutcome.succeeded
        if self.random.chance(self.faults.reject) { outcome = .rejected(Failure(.functionRejected, "no")) }
        if (isPoison && !self.isCalm) || self.random.chance(self.faults.fail) {
            outcome = .failed(Failure(.functionFailed, "no"), retryAfter: nil)
        }
        let span = self.random.chance(0.05) ? 500...6_000 : 0...80
        self.schedule(node, .answer(dispatch.stream, outcome), after: self.random.span(milliseconds: span))
    }

    private func exit(_ node: Int, _ worker: WorkerID) {
        guard let known = self.nodes[node].workers.removeValue(forKey: worker) else { return }
        for stream in known.attempts { self.nodes[node].attempts[stream] = nil }
        self.nodes[node].engine.workerExited(worker, Failure(.workerCrashed, "gone"), now: self.now)
    }

    private func answer(_ node: Int, _ stream: StreamID, _ outcome: AttemptOutcome) {
        guard let attempt = self.nodes[node].attempts.removeValue(forKey: stream.rawValue) else { return }
        self.nodes[node].workers[attempt.worker]?.attempts.remove(stream.rawValue)
        switch self.nodes[node].engine.outcome(stream, outcome, now: self.now) {
        case .publish(let delivery, _): self.output(node, delivery, isLetter: false)
        case .deadLetter(let delivery, _): self.output(node, delivery, isLetter: true)
        case .drop(let delivery, _): self.drop(node, delivery)
        case .answer, .retry, .fed, .ignore: break
        }
    }

    private func output(_ node: Int, _ delivery: Delivery, isLetter: Bool) {
        let lane = self.lane(delivery.trigger, delivery.partition)
        let output = ClusterOutput(delivery: delivery, lane: lane, isLetter: isLetter)
        self.nodes[node].shares[self.lanes[lane].share].outputs.append(output)
        self.nodes[node].engine.written(delivery)
    }

    private func drop(_ node: Int, _ delivery: Delivery) {
        let lane = self.lane(delivery.trigger, delivery.partition)
        self.nodes[node].shares[self.lanes[lane].share].dropped.append((lane, delivery.offset))
    }
}
