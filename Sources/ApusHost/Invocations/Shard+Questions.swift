public import ApusCore
public import ApusEngine
public import ApusJSON

/// Accepted invocations whose handlers ask their caller: each waits as a delivery that is not due, and runs anew with the answers.
extension Shard {
    /// An attempt ended with questions.
    func askedOfInvocation(
        _ channel: WorkerChannel, at index: Int, _ json: [UInt8], now: Timestamp
    ) {
        guard case .delivery(let delivery) = channel.attempts[index].work,
            let trigger = channel.attempts[index].trigger, let lane = trigger.invocations,
            let capabilities = lane.begun[delivery.offset]?.envelope.capabilities
        else {
            let failure = Failure(
                .notYetSupported,
                "context.ask needs a caller that can be asked: a delivery of a topic, or an invocation over HTTP, has none")
            return self.finish(channel, at: index, .rejected(failure), failure, now: now)
        }
        if let failure = self.refusal(of: json, delivery.offset, lane, capabilities) {
            return self.finish(channel, at: index, .rejected(failure), failure, now: now)
        }
        let until = now + .seconds(Limits.Invocations.questionSeconds)
        let attempt = self.close(channel, at: index, now: now)
        let verdict = self.engine.outcome(StreamID(rawValue: attempt.stream), .postponed(until: until), now: now)
        self.statistics.succeeded += 1
        _ = self.concluded(attempt, on: channel, verdict, now: now)
        guard case .retry = verdict else { return self.perform(verdict, failure: nil) }
        var asked = lane.asked[delivery.offset] ?? InvocationQuestions()
        asked.ask(JSONMember.all(in: json), until: until)
        lane.asked[delivery.offset] = asked
        self.mark(.asked(delivery.offset), asked.mark, trigger, now: now)
        self.note(asked, of: delivery, trigger, lane, now: now)
    }

    /// Why questions cannot be asked.
    private func refusal(
        of json: [UInt8], _ offset: Offset, _ lane: InvocationLane, _ capabilities: String
    ) -> Failure? {
        guard json.count <= Limits.Invocations.questionBytes else {
            return Failure(
                .limitReached,
                "the questions have \(json.count) bytes; at most \(Limits.Invocations.questionBytes) are asked at once")
        }
        guard lane.asked[offset]?.rounds ?? 0 < Limits.Invocations.questionRounds else {
            return Failure(.functionFailed, "the function asked more than \(Limits.Invocations.questionRounds) times")
        }
        guard !lane.isFull else { return lane.fullFailure }
        return self.configuration.refusalOfQuestions(json, capabilities)
    }

    /// The state that says what is asked, or that it was answered.
    func note(
        _ asked: InvocationQuestions, of delivery: Delivery, _ trigger: TriggerState, _ lane: InvocationLane,
        now: Timestamp
    ) {
        // After a restart its event is not at hand, and what says whose it is: its next attempt writes the state.
        guard let attempts = lane.begun[delivery.offset]?.attempts else { return }
        let report = self.report(
            delivery, trigger, asked.isOpen ? .waiting : .queued, attempts: attempts, record: nil)
        self.commits[self.group(of: delivery)].append(
            [asked.isOpen ? report.append(questions: asked.openJSON) : report.append], now: now,
            owner: trigger.trigger.id)
        lane.noted(delivery.offset, now: now)
        self.requestTurn()
    }

    func mark(_ mark: InvocationMark, _ value: [UInt8]?, _ trigger: TriggerState, now: Timestamp) {
        self.commits[self.group(of: trigger, 0)].forget(
            LogBatch.LedgerWrite(
                key: mark.key(prefix: trigger.ledgerPrefix), value: value, share: self.share(of: trigger, 0)), now: now)
    }

    /// Somebody answered; the answers and their marks in the ledger are durable. Harmless when nothing is asked.
    public func answerInvocation(_ function: FunctionID, offset: Offset, _ answers: [JSONMember]) {
        guard let trigger = self.functions[function]?.triggers.first(where: { $0.invocations != nil }),
            let lane = trigger.invocations
        else { return }
        guard self.engine.isOpen(trigger.trigger.id, partition: 0) else {
            for answer in answers { lane.hear(.answer(offset, question: answer.name), answer.json) }
            return
        }
        guard var asked = lane.asked[offset] else {
            // It was over when they came.
            return self.forget(answers, of: offset, trigger, now: self.now)
        }
        guard asked.isOpen else { return }
        asked.take(answers)
        lane.asked[offset] = asked
        let delivery = Delivery(trigger: trigger.trigger.id, partition: 0, offset: offset)
        let now = self.now
        self.note(asked, of: delivery, trigger, lane, now: now)
        if asked.hold != nil {
            self.decideHold(delivery, trigger, lane, now: now)
        } else if !asked.isOpen {
            self.engine.resume(delivery, now: now)
        }
        self.requestTurn()
    }

    /// What was answered before it was read need not wait for its time.
    func resumeFetched(_ trigger: TriggerID, _ records: [RecordSummary], now: Timestamp) {
        guard let lane = self.triggers[trigger]?.invocations, !lane.asked.isEmpty else { return }
        for record in records {
            guard let asked = lane.asked[record.offset], !asked.isOpen, asked.hold == nil else { continue }
            self.engine.resume(Delivery(trigger: trigger, partition: 0, offset: record.offset), now: now)
        }
    }

    /// Its terminal state is on its way: what was asked is over, and its marks go with the same write.
    func endInvocation(_ offset: Offset, _ trigger: TriggerState, _ lane: InvocationLane, now: Timestamp) {
        _ = lane.ended(offset)
        guard let asked = lane.asked.removeValue(forKey: offset) else { return }
        self.mark(.asked(offset), nil, trigger, now: now)
        self.forget(asked.answers, of: offset, trigger, now: now)
    }

    /// Takes answers from the ledger, and from the topic, by which they came where nodes share the queue.
    private func forget(_ answers: [JSONMember], of offset: Offset, _ trigger: TriggerState, now: Timestamp) {
        for answer in answers { self.mark(.answer(offset, question: answer.name), nil, trigger, now: now) }
        guard self.log.sharing != nil, !answers.isEmpty else { return }
        let id = trigger.invocation(partition: 0, offset: offset)
        self.commits[self.group(of: trigger, 0)].append(
            answers.map { InvocationReport.answerRequest(id, question: $0.name, nil) }, now: now,
            owner: trigger.trigger.id)
    }

    /// A restart may find marks of invocations that were over when they came.
    func forgetSettledQuestions(_ trigger: TriggerState, _ ledger: LedgerState?, now: Timestamp) {
        guard let lane = trigger.invocations, let ledger else { return }
        for offset in lane.asked.keys
        where offset < ledger.watermark || ledger.settled.contains(where: { $0.contains(offset) }) {
            self.endInvocation(offset, trigger, lane, now: now)
        }
    }
}
