public import ApusCore
public import ApusEngine

/// Accepted invocations: deliveries whose outcome is a state on `apus.invocations` instead of a reply or a dead letter.
extension Shard {
    // MARK: outcomes

    /// The terminal state of one that succeeded.
    /// - Returns: nil when the result is too large to be kept.
    func succeededRecord(
        _ delivery: Delivery, _ trigger: TriggerState, _ attempt: Attempt, on channel: WorkerChannel,
        _ block: UnsafeRawBufferPointer, now: Timestamp
    ) throws(FrameError) -> LogBatch.Append? {
        var report = self.report(delivery, trigger, .succeeded, attempts: attempt.number, record: nil)
        report.started = report.started ?? attempt.dispatchedAt
        report.timing = self.timing(of: attempt, on: channel, now: now)
        report.finished = now
        return try report.append(result: block, isLines: attempt.extras?.isLines ?? false)
    }

    /// The terminal state of one that was given up joins the next write, together with the answer to who wanted it cancelled.
    func appendFailedInvocation(
        _ lost: LostDelivery, _ trigger: TriggerState, _ lane: InvocationLane, _ block: UnsafeRawBufferPointer?,
        now: Timestamp
    ) {
        let isCancelled = lane.cancels.contains(lost.delivery.offset)
        let state: InvocationState =
            switch lost.failure.code {
            case .cancelled where isCancelled: .cancelled
            case .expired: .expired
            default: .failed
            }
        var report = self.report(lost.delivery, trigger, state, attempts: lost.attempts, record: block)
        report.failure = lost.failure
        report.timing = trigger.invocations?.begun[lost.delivery.offset]?.timing
        report.finished = now
        self.commits[self.group(of: lost.delivery)].append(
            [report.append], now: now, owner: trigger.trigger.id, endsInvocation: true)
        self.endInvocation(lost.delivery.offset, trigger, lane, now: now)
        if isCancelled { self.answerCancel(trigger, lane, lost.delivery.offset, now: now) }
        self.engine.written(lost.delivery)
    }

    /// The request is answered: it goes from the topic, and its mark from the ledger, with the next write.
    private func answerCancel(_ trigger: TriggerState, _ lane: InvocationLane, _ offset: Offset, now: Timestamp) {
        lane.cancels.remove(offset)
        let id = trigger.invocation(partition: 0, offset: offset)
        let group = self.group(of: trigger, 0)
        self.commits[group].append(
            [InvocationReport.cancelRequest(id, principal: nil)], now: now, owner: trigger.trigger.id)
        self.commits[group].forget(
            LogBatch.LedgerWrite(
                key: InvocationMark.cancel(offset).key(prefix: trigger.ledgerPrefix), value: nil,
                share: self.share(of: trigger, 0)), now: now)
    }

    func report(
        _ delivery: Delivery, _ trigger: TriggerState, _ state: InvocationState, attempts: Int,
        record: UnsafeRawBufferPointer?
    ) -> InvocationReport {
        let begun = trigger.invocations?.begun[delivery.offset]
        let envelope = begun?.envelope ?? InvocationLane.Envelope(record)
        return InvocationReport(
            id: trigger.invocation(partition: delivery.partition, offset: delivery.offset),
            function: trigger.functionName, state: state, principal: envelope.principal, queued: envelope.queued,
            started: begun?.started, attempts: attempts, revision: begun?.revision ?? trigger.revision, isTask: envelope.isTask)
    }

    // MARK: while they run

    /// States for those that run for long, at most one a second each. Best effort: none while the log is short of room.
    func noteInvocations(now: Timestamp) {
        guard !self.commits.isShort else { return }
        for trigger in self.triggers.values {
            guard let lane = trigger.invocations, !lane.begun.isEmpty else { continue }
            for (offset, begun) in lane.takeNews(now: now) {
                let delivery = Delivery(trigger: trigger.trigger.id, partition: 0, offset: offset)
                var report = self.report(
                    delivery, trigger, begun.isRunning ? .running : .queued,
                    attempts: begun.attempts, record: nil)
                report.progress = begun.progress
                self.commits[self.group(of: delivery)].append([report.append], now: now, owner: trigger.trigger.id)
                self.requestTurn()
            }
            self.discard(trigger, lane, now: now)
        }
    }

    /// Their states are durable: there is room for others, and the queue gives up what lies below the watermark.
    func invocationsEnded(_ trigger: TriggerID, _ count: Int, now: Timestamp) {
        guard let state = self.triggers[trigger], let lane = state.invocations else { return }
        self.configuration.onInvocationsEnded(state.functionName, count)
        self.discard(state, lane, now: now)
    }

    private func discard(_ trigger: TriggerState, _ lane: InvocationLane, now: Timestamp) {
        // Nothing on a queue is settled without a durable state, so the watermark in memory is the durable one.
        guard now - lane.discardedAt >= Limits.Invocations.discardInterval,
            let watermark = self.engine.watermark(of: trigger.trigger.id, partition: 0),
            watermark > lane.discardedBefore
        else { return }
        lane.discardedAt = now
        lane.discardedBefore = watermark
        self.log.discard(TopicPartition(trigger.trigger.topic, 0), before: watermark)
    }

    // MARK: cancelling

    /// An invocation is to be cancelled; the request and its mark in the ledger are durable. Harmless when it is over.
    public func cancelInvocation(_ function: FunctionID, offset: Offset) {
        guard let trigger = self.functions[function]?.triggers.first(where: { $0.invocations != nil }),
            let lane = trigger.invocations
        else { return }
        guard self.engine.isOpen(trigger.trigger.id, partition: 0) else { return lane.hear(.cancel(offset), [1]) }
        guard lane.cancels.insert(offset).inserted else { return }
        let delivery = Delivery(trigger: trigger.trigger.id, partition: 0, offset: offset)
        if self.engine.cancel(delivery, now: self.now) == .tooLate {
            self.answerCancel(trigger, lane, offset, now: self.now)
        }
        self.requestTurn()
    }

    /// A restart may find requests for invocations that were over when it came.
    func answerSettledCancels(_ trigger: TriggerState, _ ledger: LedgerState?, now: Timestamp) {
        self.forgetSettledQuestions(trigger, ledger, now: now)
        guard let lane = trigger.invocations, let ledger else { return }
        for offset in lane.cancels
        where offset < ledger.watermark || ledger.settled.contains(where: { $0.contains(offset) }) {
            self.answerCancel(trigger, lane, offset, now: now)
        }
    }

    /// What was to be cancelled before it was read need not wait for its turn.
    func cancelFetched(_ trigger: TriggerID, _ records: [RecordSummary], now: Timestamp) {
        self.resumeFetched(trigger, records, now: now)
        guard let lane = self.triggers[trigger]?.invocations, !lane.cancels.isEmpty else { return }
        for record in records where lane.cancels.contains(record.offset) {
            _ = self.engine.cancel(Delivery(trigger: trigger, partition: 0, offset: record.offset), now: now)
        }
    }

    // MARK: the end of a function

    /// Calls `completion` once no write is under way: after ``remove(_:forgettingPositions:)`` nothing of the function is
    /// written by this shard from then on.
    public func whenWritten(_ completion: @escaping () -> Void) {
        guard self.commits.isWriting else { return completion() }
        self.waitingForWrite.append(completion)
    }

    func tellWritten() {
        guard !self.commits.isWriting, !self.waitingForWrite.isEmpty else { return }
        let waiting = self.waitingForWrite
        self.waitingForWrite = []
        for completion in waiting { completion() }
    }
}
